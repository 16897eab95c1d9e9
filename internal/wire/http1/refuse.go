package http1

import (
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/wire/pace"
)

// How long and how much a connection is read after our side has ended it. A close
// with bytes unread would make the client's system throw away the answer.
const (
	lingerTime  = 30 * time.Second
	lingerIdle  = 5 * time.Second
	lingerBytes = 64 << 20
)

// drainLimit is how much of a request body that nobody wanted is read away so that
// the connection can go on.
const drainLimit = 256 << 10

// refuse answers a request that is not served, and closes the connection.
func (c *ServerConn) refuse(w *work, r *Refusal, lim *Limits) {
	c.read()
	w.resp.Reset()
	w.resp.Status = r.Fault.Status()
	var page []byte
	if c.cfg.Refuse != nil {
		page = c.cfg.Refuse(r, &w.resp)
	}
	w.resp.Length = int64(len(page))
	w.body.begin(&w.in, noBody, 0, &w.req.Trailer, pace.Pace{})
	w.answer.begin(c, w, lim)
	w.answer.asked = false
	if w.answer.WriteHead(&w.resp) != nil || w.answer.WriteLast(page, nil) != nil {
		c.close()
		return
	}
	c.linger(w, true)
}

// linger closes the connection so that the answer reaches the client: first our
// side, and the whole when the client has ended its own.
func (c *ServerConn) linger(w *work, refused bool) {
	more := refused || !w.body.done || len(w.in.buffered()) > 0 || c.s.Ready()
	c.drop()
	if more && c.s.CloseWrite() == nil {
		readAway(c.s)
	}
	c.close()
}

// readAway reads and drops what still comes, until the other side ends it. It holds
// no buffer while it waits.
func readAway(s loop.Stream) {
	l := s.Loop()
	end := l.Now().Add(lingerTime)
	for n := 0; n < lingerBytes; {
		until := l.Now().Add(lingerIdle)
		if end.Before(until) {
			until = end
		}
		s.SetReadDeadline(until)
		if s.WaitRead() != nil {
			return
		}
		b := l.Small()
		k, err := s.Read(b)
		l.PutSmall(b)
		if n += k; err != nil || !l.Now().Before(end) {
			return
		}
	}
}

// drainable reports whether what is left of the body may be read away. What a
// client keeps back until it sees a 100 (Continue) may come or not: nothing can
// follow it.
func (b *body) drainable() bool {
	return b.done || b.err == nil && b.asks == nil && (b.mode != byLength || b.left <= drainLimit)
}

// mayGoOn guesses, when the head of the answer is sent, whether the connection can go
// on after it: a Handler that has begun to read a large body reads on.
func (b *body) mayGoOn() bool {
	return b.drainable() || b.begun && b.err == nil
}

// drain reads away what the Handler left of the body. It returns false when the
// connection cannot go on.
func (b *body) drain() bool {
	if b.done || !b.drainable() {
		return b.done
	}
	l := b.in.s.Loop()
	end := l.Now().Add(lingerTime)
	b.pace = pace.Pace{Timeout: lingerIdle}
	scratch := l.Small()
	defer l.PutSmall(scratch)
	for n := 0; n <= drainLimit && b.err == nil && l.Now().Before(end); {
		k, _ := b.Read(scratch)
		if n += k; b.done {
			return true
		}
	}
	return false
}
