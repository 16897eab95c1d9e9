package proxy

import (
	"errors"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/upstream"
	"github.com/pierhead/pierhead/internal/wire/http2"
)

// forward sends the request to an endpoint and the answer to the client. What fails
// before the client was told anything may be tried again (retry.go).
func (t *trip) forward() {
	f := &t.x.Route.Forward
	if k, err := t.takeBody(f); k != exchange.OK {
		t.fail(k, err)
		return
	}
	tries := retries{t: t, f: f, start: t.slot.loop.Now()}
	for {
		o := t.try(f, &tries)
		if o.kind == exchange.OK && !o.again {
			return
		}
		if !o.again && !tries.another(o) {
			t.fail(o.kind, o.err)
			return
		}
	}
}

// outcome is how one try ended.
type outcome struct {
	kind  exchange.Kind
	err   error
	stale bool // the connection was kept from before and turned out to be dead
	again bool // the endpoint answered with a status that asks for another try
}

// takeBody prepares the body: none, held, or to be streamed.
func (t *trip) takeBody(f *exchange.Forward) (exchange.Kind, error) {
	out := &t.out
	if out.Body == nil || out.Length == 0 {
		out.Body, out.Length = nil, 0
		return exchange.OK, nil
	}
	if !f.BufferRequest || t.route.Pool.GRPC() {
		return exchange.OK, nil
	}
	err := t.held.fill(t.slot.loop, out.Body, f.BodyLimit, t.slot.server.TempDir)
	t.x.Received = t.held.size
	if err != nil {
		return bodyKind(err), err
	}
	out.Body, out.Length = nil, t.held.size
	return exchange.OK, nil
}

// try is one attempt at one endpoint.
func (t *trip) try(f *exchange.Forward, r *retries) outcome {
	x, l := &t.x, t.slot.loop
	if r.dead == nil {
		t.release()
	}
	if r.again {
		t.again, r.again = true, false
	}
	e, open := r.dead, (*upstream.Endpoint).Dial
	if r.dead = nil; e == nil {
		e, open = t.route.Pool.Pick(x), (*upstream.Endpoint).Conn
	}
	if t.out.Upgrade != "" && t.route.Pool.H2C() && strings.EqualFold(t.out.Upgrade, "websocket") {
		open = (*upstream.Endpoint).DialAlone
	}
	if e == nil {
		var o outcome
		if e, o = t.awaitRoom(f); e == nil {
			t.release()
			return o
		}
	}
	t.picked = e
	t.letGo() // of the try before
	r.count++
	t.sent = false
	begin := l.Now()
	x.Upstream.Tries = append(x.Upstream.Tries, exchange.Try{Addr: e.Addr()})
	rec := &x.Upstream.Tries[len(x.Upstream.Tries)-1]
	c, err := open(e, l, f)
	rec.Connect = l.Now().Sub(begin)
	if err != nil {
		rec.Err, rec.Total = connectKind(err), rec.Connect
		t.tell(e, rec)
		t.release()
		return outcome{kind: rec.Err, err: err}
	}
	t.conn, t.keep = c, false
	rec.Reused = c.Reused
	t.watchClient(c)
	o := t.converse(c, f, r, rec, begin)
	t.unwatchClient()
	if t.gone && o.kind != exchange.OK {
		o = outcome{kind: exchange.ClientGone, err: errClientGone}
	}
	if o.kind.Source() == exchange.Upstream {
		e.Fail(l)
	}
	if o.stale && !e.Gone() {
		r.dead = e
	}
	rec.Err, rec.Total = o.kind, l.Now().Sub(begin)
	if !o.stale {
		t.tell(e, rec)
	}
	if r.dead == nil {
		t.release()
	}
	return o
}

// converse sends the request on a connection and reads the answer from it. When it
// returns, the connection is closed or stays for the log, until letGo.
func (t *trip) converse(c *upstream.Conn, f *exchange.Forward, r *retries, rec *exchange.Try, begin time.Time) outcome {
	up, err := t.send(c, f)
	if err == nil {
		err = t.awaitHead(c, f, up)
	}
	if err == nil {
		err = t.readHead(c, f)
	}
	rec.Header = t.slot.loop.Now().Sub(begin)
	if err != nil {
		c.Stream().Close()
		if k := up.failure(); k != exchange.OK { // the client's fault comes first
			return outcome{kind: k, err: up.err}
		}
		if errors.Is(err, http2.ErrRefused) {
			t.sent = false // nobody looked at it
			return outcome{kind: exchange.UpstreamClosed, err: err, stale: true}
		}
		k := upstreamKind(err)
		return outcome{kind: k, err: err, stale: k == exchange.UpstreamClosed && c.Reused}
	}
	rec.Status = t.resp.Status
	if r.byStatus(t.resp.Status) {
		c.Stream().Close()
		return outcome{again: true}
	}
	if t.resp.Status == 101 {
		return t.upgrade(c, f)
	}
	o := t.relay(c, f, rec)
	if k := up.failure(); k != exchange.OK && o.kind == exchange.UpstreamReset {
		o = outcome{kind: k, err: up.err} // the client's fault
	}
	if t.keep = o.kind == exchange.OK && up.ended() && c.Reusable(); !t.keep {
		c.Stream().Close()
	}
	return o
}

// send writes the request. A body that is streamed goes on in a coroutine of its
// own, which it returns.
func (t *trip) send(c *upstream.Conn, f *exchange.Forward) (*upload, error) {
	out := &t.out
	c.Stream().SetWriteTimeout(f.SendTimeout)
	if err := c.WriteHead(out); err != nil {
		return nil, err
	}
	if out.Body != nil {
		t.streamed = true
		return t.startUpload(c, f)
	}
	if t.held.size > 0 {
		if err := t.sendHeld(c); err != nil {
			return nil, err
		}
	}
	if err := c.Finish(nil); err != nil {
		return nil, err
	}
	t.sent = true
	return nil, nil
}

// sendHeld writes a body that was read before.
func (t *trip) sendHeld(c *upstream.Conn) error {
	return t.held.writeTo(func(p []byte) error {
		_, err := c.Write(p)
		if err == nil {
			t.sent = true
		}
		return err
	})
}

// maxInterim bounds the 1xx heads of one answer.
const maxInterim = 16

// readHead reads the final head; interim ones are passed on, but for 100, which
// answers a request of ours.
func (t *trip) readHead(c *upstream.Conn, f *exchange.Forward) error {
	resp := &t.resp
	for range maxInterim {
		c.Stream().SetReadDeadline(t.slot.loop.Now().Add(f.ReadTimeout))
		if err := c.ReadHead(resp, t.out.Method, f.HeadLimit); err != nil {
			return err
		}
		switch {
		case resp.Status >= 200:
			return nil
		case resp.Status == 101:
			if t.out.Upgrade == "" {
				return errUnasked
			}
			return nil
		case resp.Status == 100:
		default:
			if err := t.w.WriteHead(resp); err != nil {
				return &clientError{err}
			}
		}
	}
	return errInterim
}

var (
	errUnasked = errors.New("endpoint switched protocols unasked")
	errInterim = errors.New("endpoint sent too many interim answers")
)
