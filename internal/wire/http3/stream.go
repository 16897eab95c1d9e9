package http3

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/quic-go"
)

// stream is one request with its answer. It is the message.Writer that the Handler
// gets; its requestBody is the message.Body.
type stream struct {
	c      *ServerConn
	str    *quic.Stream
	req    message.Request
	cookie []byte // what the Cookie field points to when it came in crumbs
	fault  http2.Fault
	opened time.Time
	expect bool // the client waits for a 100

	// The request, while it is read: of one goroutine at a time.
	in      reader
	left    uint64 // of the DATA frame at hand
	toCome  int64  // bytes that Content-Length still promises, or message.Unknown
	trailed bool   // the trailer section was there
	ignored int    // bytes of frames that mean nothing

	// Of the loop.
	err     error // why the request is over before its time: everything answers this
	bodyErr error // what the body answers from now on
	reading bool  // somebody waits for bytes of the body
	gone    func(any)
	goneArg any
	unwatch func() bool

	// The answer.
	out       []byte // frames that were not handed to QUIC
	queued    int    // bytes that QUIC took without our waiting for the client
	sent      int64
	promised  int64 // bytes that Length still promises, or message.Unknown
	headSent  bool
	bodyless  bool // the answer has no body: HEAD, 204, 304
	localDone bool // the end was sent
}

func newStream(c *ServerConn, str *quic.Stream) *stream {
	return &stream{
		c: c, str: str, in: reader{src: str}, opened: time.Now(),
		toCome: message.Unknown, promised: message.Unknown,
	}
}

// begin reads the head, on a goroutine, and lets the Handler have the request.
func (s *stream) begin() {
	if d := s.c.cfg.limits().HeaderTimeout; d > 0 {
		s.str.SetReadDeadline(s.opened.Add(d))
	}
	if err := s.readHead(); err != nil {
		s.refused(err)
		s.str.ReleaseStreamCredit()
		if s.c.leave() {
			s.c.l.Post(s.c.rest)
		}
		return
	}
	s.early()
	s.c.l.Post(s.serve)
}

// refused ends a request whose head cannot be read.
func (s *stream) refused(err error) {
	code := quic.StreamErrorCode(codeRequestCancelled)
	var c *connError
	var st *streamError
	switch {
	case errors.As(err, &c):
		s.c.fail(c.code, c.text)
	case errors.As(err, &st):
		code = st.code
		s.c.glitch(offence)
	case errors.Is(err, os.ErrDeadlineExceeded):
		code = codeRequestIncomplete
	default:
		s.c.givenUp(time.Since(s.opened))
	}
	s.cancel(code)
}

// cancel ends both directions of the stream.
func (s *stream) cancel(code quic.StreamErrorCode) {
	s.str.CancelRead(code)
	s.str.CancelWrite(code)
}

// serve is the life of a request, in a coroutine of its own.
func (s *stream) serve() {
	c := s.c
	defer s.done()
	c.requests++
	if lim := c.cfg.limits(); lim.KeepAlive <= 0 || lim.Requests > 0 && c.requests >= lim.Requests {
		c.Drain()
	}
	switch {
	case s.fault == http2.NoFault:
		c.cfg.Handler.Handle(&s.req, s)
	case c.cfg.Refuse != nil:
		c.cfg.Refuse(&s.req, s, s.fault)
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
	s.OnGone(nil, nil)
	if s.err == nil && !s.localDone {
		if s.headSent || s.answerError() != nil {
			s.Abort(http2.ErrAborted)
		}
	}
	if s.err != nil && !s.localDone {
		s.str.CancelWrite(codeRequestCancelled)
	}
	switch {
	case s.err == nil && s.fault == http2.NoFault:
		c.answered()
	case s.err == nil:
		c.glitch(offence)
	case errors.Is(s.err, http2.ErrReset):
		c.givenUp(time.Since(s.opened))
	}
	if s.reading || !s.in.ended() && s.bodyErr == nil {
		s.str.CancelRead(codeNo) // the rest is not wanted
	}
	s.str.ReleaseStreamCredit()
	if c.leave() {
		c.rest()
	}
}

// answerError answers for a Handler that did not.
func (s *stream) answerError() error {
	r := message.Response{Status: 500}
	if err := s.WriteHead(&r); err != nil {
		return err
	}
	return s.Finish(nil)
}

// OnGone has f called when nobody waits for the answer any more.
func (s *stream) OnGone(f func(any), arg any) {
	if s.unwatch != nil {
		s.unwatch()
		s.unwatch = nil
	}
	s.gone, s.goneArg = f, arg
	if f == nil {
		return
	}
	if s.err != nil {
		s.gone, s.goneArg = nil, nil
		s.c.l.Go(f, arg)
		return
	}
	s.unwatch = context.AfterFunc(s.str.Context(), func() { s.c.l.Post(s.givenUp) })
}

// givenUp tells the Handler that the client has given the request up, or is gone.
func (s *stream) givenUp() {
	f, arg := s.gone, s.goneArg
	if f == nil || s.localDone {
		return
	}
	s.gone, s.goneArg = nil, nil
	s.note(http2.ErrReset)
	f(arg)
}

// note keeps why the request is over before its time.
func (s *stream) note(err error) error {
	if s.err == nil {
		s.err = err
	}
	return s.err
}

// failed finds out what an error of the stream means, and answers what the Handler is
// to see. A client that broke the protocol is told.
func (s *stream) failed(err error) error {
	var c *connError
	var st *streamError
	var reset *quic.StreamError
	switch {
	case err == io.EOF:
		return err
	case errors.As(err, &c):
		s.c.fail(c.code, c.text)
		return s.note(err)
	case errors.As(err, &st):
		s.cancel(st.code)
		s.c.glitch(offence)
		return s.note(err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return loop.ErrTimeout
	case errors.As(err, &reset):
		return http2.ErrReset
	}
	return http2.ErrClosed
}
