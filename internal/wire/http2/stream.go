package http2

import (
	"sync"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/pace"
)

// stream is one request with its answer. It is the message.Writer that the Handler
// gets; its requestBody is the message.Body.
type stream struct {
	flow
	c      *ServerConn
	req    message.Request
	cookie []byte // what the Cookie field points to when it came in crumbs
	fault  Fault
	opened time.Time

	gone    func(any)
	goneArg any

	into     []byte    // where the Handler waits for bytes of the body
	filled   int       // of into
	expect   bool      // the client waits for a 100
	pace     pace.Pace // how the body comes
	headSent bool
	bodyless bool // the answer has no body: HEAD, 204, 304
}

// Streams are reused by all connections: what they hold is worth more than their
// place in the heap.
var streams = sync.Pool{New: func() any { return new(stream) }}

func newStream(c *ServerConn, id uint32) *stream {
	s := streams.Get().(*stream)
	s.begin(s, &c.conn, id)
	s.c, s.opened = c, c.l.Now()
	return s
}

// What a stream keeps for the next request; one that had more is left to the
// garbage collector.
const (
	keepBody   = 16 << 10
	keepCookie = 4 << 10
	keepFields = 64
)

// free gives the stream back.
func (s *stream) free() {
	if s.req.Header.Len() > keepFields || s.req.Trailer.Len() > keepFields {
		return
	}
	s.req.Reset()
	old := *s
	*s = stream{req: old.req}
	if cap(old.body) <= keepBody {
		s.body = old.body[:0]
	}
	if cap(old.cookie) <= keepCookie {
		s.cookie = old.cookie[:0]
	}
	streams.Put(s)
}

// start lets the Handler have a request.
func (c *ServerConn) start(s *stream) {
	c.streams.add(&s.flow)
	c.running++
	c.requests++
	c.strain.updates += 2
	if max := c.cfg.limits().Requests; max > 0 && c.requests >= max {
		c.Drain()
	}
	c.l.Go(serve, s)
}

// serve is the life of a request, in a coroutine of its own.
func serve(a any) {
	s := a.(*stream)
	defer s.done()
	cfg := s.c.cfg
	switch {
	case s.fault == NoFault:
		cfg.Handler.Handle(&s.req, s)
	case cfg.Refuse != nil:
		cfg.Refuse(&s.req, s, s.fault)
	default:
		s.refuse()
	}
}

// refuse answers with the status of the fault.
func (s *stream) refuse() {
	r := message.Response{Status: s.fault.Status()}
	if s.WriteHead(&r) == nil {
		s.Finish(nil)
	}
}

// done ends the stream when its Handler has returned, or panicked.
func (s *stream) done() {
	c := s.c
	s.gone, s.goneArg = nil, nil
	if s.err == nil && !s.localDone {
		if s.headSent || s.answerError() != nil {
			s.Abort(ErrAborted)
		}
	}
	if s.err == nil {
		c.relieve(reliefAnswer)
		c.strain.answered++
		if !s.remoteDone {
			c.resetLate(s)
		}
	}
	s.dropBody()
	c.running--
	if len(c.streams) == 0 {
		c.idle = c.l.Now()
	}
	alone := s.readWait.task == nil && s.writeWait.task == nil
	s.wake(ErrAborted)
	if alone {
		s.free()
	}
	c.rest()
}

// answerError answers for a Handler that did not.
func (s *stream) answerError() error {
	r := message.Response{Status: 500}
	if err := s.WriteHead(&r); err != nil {
		return err
	}
	return s.Finish(nil)
}

// failed tells the Handler that the stream has ended before its time.
func (s *stream) failed() {
	s.dropBody()
	s.wake(s.err)
	if f := s.gone; f != nil {
		arg := s.goneArg
		s.gone, s.goneArg = nil, nil
		s.c.l.Go(f, arg)
	}
}

// arrived tells the Handler of the end of the request.
func (s *stream) arrived() { s.readWait.wake(nil) }

// patience is how long a client may take nothing.
func (s *stream) patience() time.Duration { return s.c.limits().SendTimeout }

// ring ends a wait for the body that took too long.
func (s *stream) ring(now time.Time, next *time.Time) {
	if s.readWait.expired(now, next) {
		s.readWait.wake(loop.ErrTimeout)
	}
}

// OnGone has f called when nobody waits for the answer any more.
func (s *stream) OnGone(f func(any), arg any) {
	if s.err != nil && f != nil {
		s.c.l.Go(f, arg)
		return
	}
	s.gone, s.goneArg = f, arg
}
