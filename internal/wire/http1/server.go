package http1

import (
	"bytes"
	"cmp"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/pace"
)

// ServerConfig says how client connections are served. Connections may share one,
// or each have its own when the functions must know which connection it is.
type ServerConfig struct {
	Limits  func() *Limits  // asked before each request; nil: DefaultLimits
	Handler message.Handler // answers the requests
	Scheme  string          // of the requests; "" is "http"
	// Refuse makes the answer to a request that the codec refuses, and logs it. It
	// may add fields to the response, whose status is set and may be changed, and
	// returns the body. Nil: the answer has no body. It must not wait.
	Refuse func(*Refusal, *message.Response) []byte
	// HTTP2 takes over a connection that begins with HTTP/2's preface; nil: the
	// preface is refused like any other bad request. It owns the stream.
	HTTP2 func(loop.Stream)
	// Closed is called once, when the codec is done with the connection: it is
	// closed, or was given to HTTP2. Nil is nothing to do.
	Closed func()
	// Idle is told when the connection begins to wait for a request of which nothing is
	// here, and when it waits no longer; not that it is closed. It must not wait. Nil:
	// nobody asks.
	Idle func(bool)
	// Reading counts the connections of which a part of a request head is here, and the
	// rest is waited for. A head that comes whole is never counted. Nil: nobody asks.
	Reading *atomic.Int64
}

// Refusal is a request that the codec answered itself.
type Refusal struct {
	Fault   Fault
	Request *message.Request // as much of it as was read; valid during the call
	Line    []byte           // the request line as it arrived, as much as came; valid during the call
	Start   time.Time        // when the codec began to read the request
}

// ServerConn is one client connection. Its methods are for code of its loop.
type ServerConn struct {
	s        loop.Stream
	cfg      *ServerConfig
	work     *work // nil while nothing of a request is here
	requests int64
	parked   bool // waits for a request by OnReadable
	reading  bool // is counted in ServerConfig.Reading
	draining bool
	closed   bool
}

// work is what a connection holds while a request is in it.
type work struct {
	in     input
	head   requestHead
	req    message.Request
	resp   message.Response // of refusals
	body   body
	answer answer
}

var works = sync.Pool{New: func() any { return new(work) }}

// preface is how an HTTP/2 connection begins (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// NewServer makes a ServerConn for s, which begins with its Serve. Who must know the
// connection before its first request, to drain it, uses it instead of Serve.
func NewServer(s loop.Stream, cfg *ServerConfig) *ServerConn {
	return &ServerConn{s: s, cfg: cfg}
}

// Serve serves the requests of s. It runs in a coroutine of the stream's loop and
// returns when the connection is closed or waits for its next request.
func Serve(s loop.Stream, cfg *ServerConfig) *ServerConn {
	c := NewServer(s, cfg)
	c.Serve()
	return c
}

// Serve serves the requests of the connection, as the function of that name does.
func (c *ServerConn) Serve() {
	c.deadline(c.limits().HeaderTimeout)
	c.run(false)
}

// Stream returns the connection.
func (c *ServerConn) Stream() loop.Stream { return c.s }

// Requests returns how many requests have come, the current one included.
func (c *ServerConn) Requests() int64 { return c.requests }

// Drain closes the connection after the answer to the request in hand, which then says
// so. When there is none, a request may be on its way: Limits.Linger waits for it, and
// its answer is the last one.
func (c *ServerConn) Drain() {
	if c.draining {
		return
	}
	c.draining = true
	if c.parked {
		c.parked = false
		c.s.OnReadable(nil, nil)
		c.park()
	}
}

// park leaves the connection until its next request comes.
func (c *ServerConn) park() {
	if c.draining {
		linger := c.limits().Linger
		if linger <= 0 {
			c.close()
			return
		}
		c.deadline(linger)
	}
	c.parked = true
	c.tell(true)
	c.s.OnReadable(resume, c)
}

// tell says whether the connection is idle.
func (c *ServerConn) tell(idle bool) {
	if c.cfg.Idle != nil {
		c.cfg.Idle(idle)
	}
}

// CloseIdle closes the connection if it waits for a request, and reports whether it did.
func (c *ServerConn) CloseIdle() bool {
	if !c.parked {
		return false
	}
	c.parked = false
	c.close()
	return true
}

func (c *ServerConn) limits() *Limits {
	if c.cfg.Limits == nil {
		return &DefaultLimits
	}
	return c.cfg.Limits()
}

// deadline bounds later reads by d from now; 0 is no bound.
func (c *ServerConn) deadline(d time.Duration) {
	var t time.Time
	if d > 0 {
		t = c.s.Loop().Now().Add(d)
	}
	c.s.SetReadDeadline(t)
}

// run serves requests as long as there are any, then parks. It tries at least once
// when something happened, since that may be a deadline that has passed.
func (c *ServerConn) run(happened bool) {
	whole := false
	defer func() {
		if !whole { // a panic, of the Handler or ours, takes the connection down
			c.close()
		}
	}()
	for happened || c.work != nil || c.s.Ready() {
		happened = false
		if !c.serveOne() {
			whole = true
			return
		}
	}
	whole = true
	c.park()
}

func resume(arg any) {
	c := arg.(*ServerConn)
	c.parked = false
	c.tell(false)
	c.run(true)
}

// close closes the connection and gives back what it holds.
func (c *ServerConn) close() {
	if c.closed {
		return
	}
	c.s.Close()
	c.gone()
}

// gone ends the codec's part in the connection.
func (c *ServerConn) gone() {
	c.closed = true
	c.read()
	c.drop()
	if c.cfg.Closed != nil {
		c.cfg.Closed()
	}
}

// drop gives back what a request holds.
func (c *ServerConn) drop() {
	w := c.work
	if w == nil {
		return
	}
	c.work = nil
	w.in.release()
	w.answer.out.release()
	w.req.Reset()
	w.resp.Reset()
	w.in, w.body, w.answer = input{}, body{}, answer{}
	works.Put(w)
}

// serveOne reads a request, has it answered and makes the connection ready for the
// next. It returns false when there will be none.
func (c *ServerConn) serveOne() bool {
	w := c.work
	if w == nil {
		if c.s.WaitRead() != nil { // too late, or the engine ends
			c.close()
			return false
		}
		w = works.Get().(*work)
		w.in.s, c.work = c.s, w
		if !w.in.first() { // readiness was a hint: there is nothing, and nothing is held meanwhile
			c.drop()
			return true
		}
	}
	lim := c.limits()
	if !c.readHead(w, lim) {
		return false
	}
	c.requests++
	c.s.SetReadDeadline(time.Time{})
	r := &w.req
	if r.Scheme = c.cfg.Scheme; r.Scheme == "" {
		r.Scheme = "http"
	}
	mode := noBody
	switch {
	case r.Length == message.Unknown:
		mode = byChunks
	case r.Length > 0:
		mode = byLength
	}
	w.body.begin(&w.in, mode, r.Length, &r.Trailer, pace.Pace{Timeout: lim.BodyTimeout, Rate: lim.BodyRate})
	if mode != noBody {
		r.Body = &w.body
	}
	w.answer.begin(c, w, lim)
	if w.head.expect && !w.body.done && len(w.in.buffered()) == 0 {
		w.body.asks = &w.answer
	}
	c.cfg.Handler.Handle(&w.req, &w.answer)
	return c.finish(w)
}

// finish makes the connection ready for the next request, or closes it.
func (c *ServerConn) finish(w *work) bool {
	switch a := &w.answer; {
	case a.state != answerDone:
		c.close()
		return false
	case !a.keep || !w.body.drain():
		c.linger(w, false)
		return false
	}
	w.req.Reset()
	w.in.drop()
	if w.in.buf == nil {
		c.drop()
		// The client was told that the connection is kept, whatever the limits say by now.
		c.deadline(cmp.Or(c.limits().KeepAlive, lastMoment))
	}
	return true
}

// lastMoment is how long a client has for its next request when connections are kept no longer.
const lastMoment = time.Second

// readHead reads the head of the next request. It returns false when there is none,
// and the connection is then closed.
func (c *ServerConn) readHead(w *work, lim *Limits) bool {
	w.head.reset()
	start := c.s.Loop().Now()
	var line []byte // of a refusal
	timed := false
	for {
		b := w.in.buffered()
		if len(b) > 0 && b[0] == 'P' && c.requests == 0 && c.cfg.HTTP2 != nil && isPreface(b) {
			if len(b) >= len(preface) {
				c.handOver(w)
				return false
			}
		} else if len(b) > 0 {
			n, fault := w.head.parse(b, &w.req, lim)
			if fault != NoFault {
				line = requestLine(b)
				c.refuse(w, &Refusal{Fault: fault, Request: &w.req, Line: line, Start: start}, lim)
				return false
			}
			if n > 0 {
				c.read()
				w.in.take(n)
				return true
			}
		}
		if len(b) > 0 && !timed { // one bound for the whole head, however slowly it comes
			c.deadline(lim.HeaderTimeout)
			timed = true
			c.reads()
		}
		moved, err := w.in.moreHead(lim.maxHead())
		if moved {
			w.head.reset()
			w.req.Reset()
		}
		if err != nil {
			if b = w.in.buffered(); errors.Is(err, loop.ErrTimeout) && len(b) > w.head.skipped {
				line = requestLine(b)
				c.refuse(w, &Refusal{Fault: HeadTimeout, Request: &w.req, Line: line, Start: start}, lim)
				return false
			}
			c.close()
			return false
		}
	}
}

// reads counts the connection as one whose head is being read.
func (c *ServerConn) reads() {
	if c.cfg.Reading != nil {
		c.reading = true
		c.cfg.Reading.Add(1)
	}
}

// read ends that.
func (c *ServerConn) read() {
	if c.reading {
		c.reading = false
		c.cfg.Reading.Add(-1)
	}
}

// isPreface reports whether b is HTTP/2's preface, or the beginning of it.
func isPreface(b []byte) bool {
	n := min(len(b), len(preface))
	return string(b[:n]) == preface[:n]
}

// requestLine returns the first line of b that is not empty, without its end.
func requestLine(b []byte) []byte {
	b = bytes.TrimLeft(b, "\r\n")
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	return bytes.TrimSuffix(b, []byte("\r"))
}

// handOver gives a connection that speaks HTTP/2 to whoever does.
func (c *ServerConn) handOver(w *work) {
	s := unread(c.s, w.in.buffered())
	c.s.SetReadDeadline(time.Time{})
	f := c.cfg.HTTP2
	c.gone()
	f(s)
}
