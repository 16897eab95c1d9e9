package http2

import (
	"github.com/pierhead/pierhead/internal/message"
)

// WriteHead sends a head. It leaves at the end of the turn.
func (s *stream) WriteHead(r *message.Response) error {
	switch {
	case s.err != nil:
		return s.err
	case s.headSent || r.Status < 100 || r.Status > 999 || r.Status == 101:
		return ErrSequence
	}
	if r.Status < 200 {
		_, err := s.head(r, 0)
		return err
	}
	s.bodyless = s.req.Method == "HEAD" || r.Status == 204 || r.Status == 304
	flags := uint8(0)
	if s.bodyless {
		flags = flagEndStream
	}
	at, err := s.head(r, flags)
	if err != nil {
		return err
	}
	s.headSent = true
	if s.bodyless {
		s.localEnd()
		return nil
	}
	s.gen, s.at = s.c.gen, at
	s.left = r.Length
	return nil
}

// goOn tells the client to send the body (RFC 9110, section 10.1.1).
func (s *stream) goOn() {
	s.expect = false
	r := message.Response{Status: 100, Length: message.Unknown}
	s.head(&r, 0)
}

// Write sends bytes of the body. It waits for the client's windows, and when much
// is queued already.
func (s *stream) Write(p []byte) (int, error) {
	switch {
	case s.err != nil:
		return 0, s.err
	case !s.headSent:
		return 0, ErrSequence
	case s.bodyless:
		return len(p), nil
	case s.localDone || s.left >= 0 && int64(len(p)) > s.left:
		return 0, ErrSequence
	}
	return s.write(p)
}

// Flush does nothing: what was written leaves at the end of the turn anyway.
func (s *stream) Flush() error { return s.err }

// Finish ends the body; trailer may be nil.
func (s *stream) Finish(trailer *message.Header) error {
	switch {
	case s.err != nil:
		return s.err
	case !s.headSent:
		return ErrSequence
	case s.bodyless:
		return nil
	case s.localDone:
		return ErrSequence
	case s.left > 0:
		s.Abort(ErrSequence)
		return ErrSequence
	}
	if trailer != nil && trailer.Len() > 0 {
		if err := s.trailers(trailer); err != nil {
			return err
		}
	} else {
		s.endStream()
	}
	s.localEnd()
	return nil
}

// WriteLast is Write and then Finish.
func (s *stream) WriteLast(p []byte, trailer *message.Header) error {
	return writeLast(s, p, trailer)
}

// Abort gives up the answer: the client sees RST_STREAM.
func (s *stream) Abort(err error) {
	if s.localDone {
		return
	}
	if err == nil {
		err = ErrAborted
	}
	s.gone, s.goneArg = nil, nil
	s.c.reset(&s.flow, CodeInternal, err)
}

// Sent returns how many bytes of this answer went out, head included.
func (s *stream) Sent() int64 { return s.sent }
