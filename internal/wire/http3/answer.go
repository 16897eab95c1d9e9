package http3

import (
	"errors"
	"os"
	"time"

	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/quic-go/quicvarint"
)

// WriteHead sends a head. A final one may stay here until the first Write, Flush or
// Finish.
func (s *stream) WriteHead(r *message.Response) error {
	switch {
	case s.err != nil:
		return s.err
	case s.headSent || r.Status < 100 || r.Status > 999 || r.Status == 101:
		return http2.ErrSequence
	}
	s.bodyless = s.req.Method == "HEAD" || r.Status == 204 || r.Status == 304
	out, err := appendHead(s.out, r, s.bodyless)
	if err != nil {
		s.bodyless = false
		return err
	}
	s.out = out
	if r.Status < 200 {
		s.bodyless = false
		return s.Flush()
	}
	s.headSent, s.promised = true, r.Length
	return nil
}

// goOn tells the client to send the body (RFC 9110, section 10.1.1). Where there is no
// room for it at once, the client need not be told.
func (s *stream) goOn() {
	s.expect = false
	if out, err := appendHead(nil, &message.Response{Status: 100, Length: message.Unknown}, false); err == nil && len(s.out) == 0 {
		if s.str.TryWriteAll(out) == nil {
			s.sent += int64(len(out))
		}
	}
}

// Write sends bytes of the body. It waits for the client when much is queued already.
func (s *stream) Write(p []byte) (int, error) {
	switch {
	case s.err != nil:
		return 0, s.err
	case !s.headSent:
		return 0, http2.ErrSequence
	case s.bodyless:
		return len(p), nil
	case s.localDone || s.promised >= 0 && int64(len(p)) > s.promised:
		return 0, http2.ErrSequence
	case len(p) == 0:
		return 0, nil
	}
	if s.promised >= 0 {
		s.promised -= int64(len(p))
	}
	s.out = quicvarint.Append(s.out, frameData)
	s.out = quicvarint.Append(s.out, uint64(len(p)))
	if err := s.send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush sends what is held back.
func (s *stream) Flush() error {
	if s.err != nil {
		return s.err
	}
	return s.send(nil)
}

// Finish ends the body; trailer may be nil.
func (s *stream) Finish(trailer *message.Header) error {
	switch {
	case s.err != nil:
		return s.err
	case !s.headSent || s.localDone:
		return http2.ErrSequence
	case s.promised > 0 && !s.bodyless:
		s.Abort(http2.ErrSequence)
		return http2.ErrSequence
	}
	if trailer != nil && trailer.Len() > 0 && !s.bodyless {
		out, err := appendTrailers(s.out, trailer)
		if err != nil {
			return err
		}
		s.out = out
	}
	if err := s.send(nil); err != nil {
		return err
	}
	s.localDone = true
	s.str.Close()
	return nil
}

// WriteLast is Write and then Finish.
func (s *stream) WriteLast(p []byte, trailer *message.Header) error {
	if len(p) > 0 {
		if _, err := s.Write(p); err != nil {
			return err
		}
	}
	return s.Finish(trailer)
}

// Abort gives up the answer: the client sees the stream reset.
func (s *stream) Abort(err error) {
	if s.localDone {
		return
	}
	if err == nil {
		err = http2.ErrAborted
	}
	s.OnGone(nil, nil)
	s.note(err)
	s.out = nil
	s.localDone = true
	s.cancel(codeInternal)
}

// Sent returns how many bytes of this answer went out, head included.
func (s *stream) Sent() int64 { return s.sent }

const (
	gather   = 16 << 10 // what is copied together, so that it leaves together
	maxQueue = 64 << 10 // what QUIC may hold of an answer that the client has not read
)

// send hands frames to QUIC: what is held back, and p. Little is queued without waiting,
// as long as the client's window has room for it and not much is queued already. All
// else waits until it has left.
func (s *stream) send(p []byte) error {
	out := s.out
	if len(p) <= gather {
		out, p = append(out, p...), nil
	}
	s.out = nil
	if len(out)+len(p) == 0 {
		return nil
	}
	if len(p) == 0 && s.queued+len(out) <= maxQueue && s.str.TryWriteAll(out) == nil {
		s.queued += len(out)
		s.sent += int64(len(out))
		s.out = out[:0]
		return nil
	}
	n, err := 0, error(nil)
	stopped := s.c.l.Await(func() {
		if n, err = s.push(out); err == nil {
			var k int
			k, err = s.push(p)
			n += k
		}
	})
	s.sent += int64(n)
	if stopped != nil {
		return s.note(http2.ErrClosed)
	}
	if err != nil {
		return s.note(s.failed(err))
	}
	s.queued = 0
	s.out = out[:0]
	return nil
}

// push writes p, on a goroutine. The client must take something of it in each time-out.
func (s *stream) push(p []byte) (n int, err error) {
	timeout := s.c.cfg.limits().SendTimeout
	for n < len(p) {
		var until time.Time
		if timeout > 0 {
			until = time.Now().Add(timeout)
		}
		s.str.SetWriteDeadline(until)
		k, err := s.str.Write(p[n:])
		n += k
		if err != nil && (k == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return n, err
		}
	}
	return n, nil
}
