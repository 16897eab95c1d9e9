package proxy

import (
	"errors"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/upstream"
	"github.com/pierhead/pierhead/internal/wire/http1"
	"github.com/pierhead/pierhead/internal/wire/http2"
)

var errClientGone = errors.New("client closed the connection before the answer")

// watchClient has the connection to the endpoint closed when the client gives up, as
// far as the codec tells by itself (HTTP/2). An HTTP/1 client is watched by
// awaitHead, since its connection is not read meanwhile.
func (t *trip) watchClient(c *upstream.Conn) {
	if g, ok := t.w.(http2.Goner); ok {
		t.watched = c
		g.OnGone(clientGone, t)
	}
}

func (t *trip) unwatchClient() {
	if t.watched != nil {
		t.watched = nil
		t.w.(http2.Goner).OnGone(nil, nil)
	}
}

func clientGone(arg any) {
	t := arg.(*trip)
	if c := t.watched; c != nil {
		t.gone = true
		c.Stream().Close() // wakes whoever waits for the endpoint
	}
}

// awaitHead waits until the answer begins, or the client gives up.
func (t *trip) awaitHead(c *upstream.Conn, f *exchange.Forward, up *upload) error {
	s := c.Stream()
	if up != nil && !up.over {
		s.SetReadDeadline(time.Time{}) // until the whole request is there: upload.end
		return s.WaitRead()
	}
	return t.await(s, f)
}

// await waits until something comes from the endpoint, or the client gives up: an
// endpoint that says something now and then is not asked for nobody.
func (t *trip) await(s loop.Stream, f *exchange.Forward) error {
	until := t.slot.loop.Now().Add(f.ReadTimeout)
	s.SetReadDeadline(until)
	w, ok := t.w.(http1.Streamer)
	if !ok || t.upload != nil && !t.upload.over { // then others learn of it: clientGone, upload.client
		return s.WaitRead()
	}
	client := w.Stream()
	for !s.Ready() {
		if loop.Gone(client) {
			return &clientError{errClientGone}
		}
		if client.Ready() && !client.Quiet() {
			return awaitBeside(client, s, until)
		}
		if err := loop.WaitEither(client, s); err != nil {
			return err
		}
		if !s.Ready() && !until.After(t.slot.loop.Now()) {
			return loop.ErrTimeout
		}
	}
	return nil
}

// awaitBeside waits for s while something has arrived from the client that is not
// read yet: its next request, or TLS's word of goodbye, which the end follows. It
// looks after the client now and then.
func awaitBeside(client, s loop.Stream, until time.Time) error {
	l := s.Loop()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		if loop.Gone(client) {
			return &clientError{errClientGone}
		}
		by := l.Now().Add(pause)
		if by.After(until) {
			by = until
		}
		s.SetReadDeadline(by)
		if err := s.WaitRead(); !errors.Is(err, loop.ErrTimeout) || by.Equal(until) {
			return err
		}
	}
}
