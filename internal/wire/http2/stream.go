package http2

import (
	"sync"
	"time"

	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/pace"
)

// stream is one request with its answer. It is the message.Writer that the Handler
// gets; its requestBody is the message.Body.
type stream struct {
	c      *ServerConn
	id     uint32
	req    message.Request
	cookie []byte // what the Cookie field points to when it came in crumbs
	fault  Fault
	opened time.Time

	err     error // why the stream is over before its time: everything answers this
	gone    func(any)
	goneArg any

	// The request's body.
	toCome     int64  // bytes that Content-Length still promises, or message.Unknown
	recvWin    int64  // what the client may send
	owed       int64  // what was read and not granted anew
	body       []byte // what the Handler has not read
	off        int    // of it, what it has
	into       []byte // where the Handler waits for bytes
	filled     int    // of into
	remoteDone bool   // END_STREAM was received
	expect     bool   // the client waits for a 100
	readWait   waiter
	pace       pace.Pace // how it comes

	// The answer.
	sendWin   int64
	sent      int64
	left      int64  // bytes that Length still promises, or message.Unknown
	gen       uint32 // of c.out, when the last frame of this stream is still in it ...
	at        int    // ... at this position
	headSent  bool
	bodyless  bool // the answer has no body: HEAD, 204, 304
	localDone bool // END_STREAM was sent
	queued    bool // in c.blocked
	writeWait waiter
}

// Streams are reused by all connections: what they hold is worth more than their
// place in the heap.
var streams = sync.Pool{New: func() any { return new(stream) }}

func newStream(c *ServerConn, id uint32) *stream {
	s := streams.Get().(*stream)
	s.c, s.id, s.opened = c, id, c.l.Now()
	s.recvWin, s.sendWin = streamWindow, c.initWin
	s.left = message.Unknown
	s.gen = c.gen - 1
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
	c.streams.add(s)
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

// fail ends the stream before its time, for a reason that lies outside of its
// Handler, which is told.
func (s *stream) fail(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	s.dropBody()
	s.wake(err)
	if f := s.gone; f != nil {
		arg := s.goneArg
		s.gone, s.goneArg = nil, nil
		s.c.l.Go(f, arg)
	}
}

// wake ends the waits of the Handler.
func (s *stream) wake(err error) {
	s.readWait.wake(err)
	s.writeWait.wake(err)
}

// OnGone has f called when nobody waits for the answer any more.
func (s *stream) OnGone(f func(any), arg any) {
	if s.err != nil && f != nil {
		s.c.l.Go(f, arg)
		return
	}
	s.gone, s.goneArg = f, arg
}

// reset gives a stream up with RST_STREAM.
func (c *ServerConn) reset(s *stream, code ErrCode, err error) {
	if s.err != nil || c.dead {
		return
	}
	if !s.remoteDone {
		c.noteReset(s.id)
	}
	c.writeReset(s.id, code)
	c.remove(s)
	s.fail(err)
}

// remove takes a stream off the list of open ones.
func (c *ServerConn) remove(s *stream) {
	if c.data.s == s {
		c.data.s = nil
	}
	c.streams.remove(s.id)
}

// remoteEnd takes the end of a request.
func (c *ServerConn) remoteEnd(s *stream) error {
	if s.toCome > 0 {
		return c.offend(s, CodeProtocol)
	}
	s.remoteDone = true
	s.readWait.wake(nil)
	if s.localDone {
		c.remove(s)
	}
	return nil
}

// wait lets the coroutine wait at w, for at most d when that is not 0.
func (s *stream) wait(w *waiter, d time.Duration) error {
	c := s.c
	w.begin(c.l)
	if d > 0 {
		w.until = c.l.Now().Add(d)
		c.arm(w.until)
	}
	return w.end(c.l.Park())
}

// localEnd notes the end of an answer.
func (s *stream) localEnd() {
	s.localDone = true
	if s.remoteDone {
		s.c.remove(s)
	}
}
