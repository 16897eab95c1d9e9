package proxy

import (
	"errors"
	"io"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/upstream"
	"github.com/pierhead/pierhead/internal/wire/http1"
)

// leastMoved is from how many bytes on it pays to move what is left of a body inside the
// kernel instead of copying it.
const leastMoved = 64 << 10

// move moves what has arrived of a body from the endpoint's connection to the client's,
// where both are plain, the body needs no framing, and much of it is left. It reports
// whether it has done so; where not, the body has to be copied.
func (t *trip) move(c *upstream.Conn, f *exchange.Forward, rec *exchange.Try) (outcome, bool) {
	left := c.Raw()
	if left < leastMoved {
		return outcome{}, false
	}
	w, ok := t.w.(http1.RawWriter)
	if !ok || w.Raw() != left {
		return outcome{}, false
	}
	from, plain := c.Stream().(*loop.Conn)
	to, both := w.Stream().(*loop.Conn)
	if !plain || !both {
		return outcome{}, false
	}
	if err := t.w.Flush(); err != nil {
		return t.clientGone(err), true
	}
	from.SetReadDeadline(t.slot.loop.Now().Add(f.ReadTimeout))
	if err := from.WaitRead(); err != nil { // there is something; others may have their turn first
		return lostBody(err), true
	}
	n, ok, rerr, werr := from.Move(to, left)
	if !ok {
		return outcome{}, false
	}
	rec.Length += n
	t.x.BodySent += n
	c.TookRaw(n)
	w.PutRaw(n, werr)
	switch {
	case werr != nil:
		return t.clientGone(werr), true
	case errors.Is(rerr, io.EOF):
		return outcome{kind: exchange.UpstreamReset, err: io.ErrUnexpectedEOF}, true
	case rerr != nil:
		return outcome{kind: exchange.UpstreamReset, err: rerr}, true
	}
	return outcome{}, true
}

// finishMoved ends the answer after the last byte of a moved body.
func (t *trip) finishMoved() outcome {
	if err := t.w.Finish(&t.resp.Trailer); err != nil {
		return t.clientGone(err)
	}
	return outcome{}
}
