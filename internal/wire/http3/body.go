package http3

import (
	"io"
	"time"

	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
)

// requestBody is the body of a stream's request.
type requestBody stream

// Read takes what the client has sent, and waits when there is nothing.
func (b *requestBody) Read(p []byte) (int, error) {
	s := (*stream)(b)
	switch {
	case s.bodyErr != nil:
		return 0, s.bodyErr
	case s.err != nil:
		return 0, s.err
	case len(p) == 0:
		return 0, nil
	}
	if s.expect && !s.headSent {
		s.goOn()
	}
	n, err := s.waitBody(p)
	if err != nil {
		s.bodyErr = s.failed(err)
		err = s.bodyErr
		if n > 0 {
			err = nil // the next call tells
		}
	}
	return n, err
}

// waitBody reads what is there already, or lets the coroutine wait.
func (s *stream) waitBody(p []byte) (n int, err error) {
	if s.left > 0 && len(s.in.left()) > 0 {
		return s.data(p)
	}
	s.reading = true
	stopped := s.c.l.Await(func() {
		var until time.Time
		if d := s.c.cfg.limits().BodyTimeout; d > 0 {
			until = time.Now().Add(d)
		}
		s.str.SetReadDeadline(until)
		n, err = s.readBody(p)
	})
	s.reading = false
	if stopped != nil {
		return 0, http2.ErrClosed
	}
	return n, err
}

// data reads bytes of the DATA frame at hand.
func (s *stream) data(p []byte) (int, error) {
	n, err := s.in.Read(p[:min(uint64(len(p)), s.left)])
	s.left -= uint64(n)
	if err == io.EOF {
		err = &connError{codeFrame, "a DATA frame is cut off"}
	}
	return n, err
}

// readBody reads the next bytes, through as many frames as it takes.
func (s *stream) readBody(p []byte) (int, error) {
	for {
		if s.left > 0 {
			if n, err := s.data(p); n > 0 || err != nil {
				return n, err
			}
			continue
		}
		kind, length, err := s.in.header()
		switch {
		case err == io.EOF && s.toCome > 0:
			return 0, &streamError{codeMessage, "the body is shorter than Content-Length"}
		case err == io.ErrUnexpectedEOF:
			return 0, &connError{codeFrame, "a frame is cut off"}
		case err != nil:
			return 0, err
		case kind == frameData && !s.trailed:
			err = s.beginData(length)
		case kind == frameHeaders && !s.trailed:
			err = s.trailers(length)
		case known(kind):
			err = &connError{codeFrameUnexpected, "a frame stands in the wrong place of a request"}
		default:
			err = s.ignore(length)
		}
		if err != nil {
			return 0, err
		}
	}
}

// beginData takes the header of a DATA frame.
func (s *stream) beginData(length uint64) error {
	s.left = length
	if length == 0 && !s.c.glitch(1) {
		return http2.ErrClosed
	}
	if s.toCome == message.Unknown {
		return nil
	}
	if length > uint64(s.toCome) {
		return &streamError{codeMessage, "the body is longer than Content-Length"}
	}
	s.toCome -= int64(length)
	return nil
}
