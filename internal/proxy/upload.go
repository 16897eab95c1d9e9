package proxy

import (
	"errors"
	"io"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/upstream"
)

// upload passes a request body on as it comes, in a coroutine of its own, so that
// the endpoint may answer before it has all of it. The methods accept nil, which
// stands for a request without one.
type upload struct {
	t    *trip
	c    *upstream.Conn
	f    *exchange.Forward
	lost bool          // the endpoint takes no more: the rest is read and dropped
	over bool          // the coroutine is done
	kind exchange.Kind // the client's failure, if it was one
	err  error
	wait *loop.Task // who waits for the end
	till time.Time  // until when the rest is read once it is only dropped
}

// How much of a body that nobody wants any more is read, and for how long, so that
// the client sees the answer and not a broken connection.
const (
	maxDropped  = 1 << 20
	maxDropping = 30 * time.Second
)

// startUpload begins to pass the body on.
func (t *trip) startUpload(c *upstream.Conn, f *exchange.Forward) (*upload, error) {
	u := &upload{t: t, c: c, f: f}
	if err := c.Flush(); err != nil {
		return nil, err
	}
	t.sent, t.upload = true, u
	t.slot.loop.Go(runUpload, u)
	return u, nil
}

func runUpload(arg any) {
	u := arg.(*upload)
	defer u.end()
	u.run()
}

func (u *upload) end() {
	u.over = true
	u.c.Stream().SetReadDeadline(u.t.slot.loop.Now().Add(u.f.ReadTimeout))
	if u.wait != nil {
		u.wait.Wake()
	}
}

// run copies until the body ends, the client fails, or too much was dropped.
func (u *upload) run() {
	l, body, limit := u.t.slot.loop, u.t.out.Body, u.f.BodyLimit
	buf := l.Small()
	defer l.PutSmall(buf)
	for dropped := 0; dropped < maxDropped; {
		n, err := body.Read(buf)
		u.t.x.Received += int64(n)
		if limit > 0 && u.t.x.Received > limit {
			u.client(exchange.BodyTooLarge, errBodyTooLarge)
			return
		}
		if n > 0 && !u.lost {
			u.pass(buf[:n])
		}
		if u.lost {
			dropped += n
			if now := l.Now(); u.till.IsZero() {
				u.till = now.Add(maxDropping)
			} else if now.After(u.till) {
				return
			}
		}
		if err == io.EOF {
			u.finish()
			return
		}
		if err != nil {
			u.client(bodyKind(err), err)
			return
		}
	}
}

// pass sends a piece. When the endpoint does not take it, it may still answer.
func (u *upload) pass(p []byte) {
	if _, err := u.c.Write(p); err != nil {
		u.lost = true
		return
	}
	if err := u.c.Flush(); err != nil {
		u.lost = true
	}
}

// finish ends the request. Its trailers stop here, whatever version came in and goes
// out, as they do in nginx (RFC 9110, section 6.5.1, lets an intermediary discard them):
// no step has seen them, and an endpoint may take them for fields that only we or the
// authentication service set. Clients of gRPC send none.
func (u *upload) finish() {
	if u.lost {
		return
	}
	if err := u.c.Finish(nil); err != nil {
		u.lost = true
	}
}

// client notes that the body cannot be completed, which ends the exchange: the
// endpoint must not take what it has for the whole.
func (u *upload) client(k exchange.Kind, err error) {
	if u.lost {
		return
	}
	u.kind, u.err, u.lost = k, err, true
	u.c.Stream().Close() // wakes who waits for the answer
}

// failure returns what went wrong on the client's side.
func (u *upload) failure() exchange.Kind {
	if u == nil {
		return exchange.OK
	}
	return u.kind
}

// ended reports whether the whole body went to the endpoint.
func (u *upload) ended() bool { return u == nil || u.over && !u.lost }

// abandon waits for the end of the upload after the client was answered: what the
// client still sends is dropped. The connection was closed before, or the whole body
// went over it.
func (u *upload) abandon() {
	if u == nil {
		return
	}
	u.lost = true
	u.wait = u.t.slot.loop.Task()
	for !u.over {
		if err := u.t.slot.loop.Park(); errors.Is(err, loop.ErrStopped) {
			return
		}
	}
}
