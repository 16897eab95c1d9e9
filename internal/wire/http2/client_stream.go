package http2

import (
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// ResetError is a stream that the server gave up.
type ResetError struct{ Code ErrCode }

// Error names the code.
func (e *ResetError) Error() string { return "http2: stream reset by the server: " + e.Code.String() }

// ClientStream is one request with its answer. It has the methods of
// http1.ClientConn, and is the loop.Stream on which the answer arrives: its deadlines
// and Close concern this request alone. One coroutine may write the request while
// another reads the answer.
type ClientStream struct {
	flow
	c *ClientConn

	// The answer.
	head, trailer message.Header
	status        int
	length        int64
	size          int
	fresh         bool            // a head is there that was not read
	began         bool            // something came
	bodyless      bool            // the answer has no body: HEAD, 204, 304
	asksHead      bool            // the method is HEAD
	toTrailer     *message.Header // where the reader of the body looks for trailers
	readBy        time.Time
	onReady       func(any)
	readyArg      any

	// The request.
	opened   bool
	writeFor time.Duration
}

var clientStreamPool = sync.Pool{New: func() any { return new(ClientStream) }}

// NewStream makes a place for one request; the caller looked at Free before. Free of
// the stream gives it back.
func (c *ClientConn) NewStream() *ClientStream {
	s := clientStreamPool.Get().(*ClientStream)
	s.c, s.own, s.conn = c, s, &c.conn
	return s
}

// Free ends what is left of the request and gives the stream back. Nobody may use it
// afterwards.
func (s *ClientStream) Free() {
	s.Close()
	if s.readWait.task != nil || s.writeWait.task != nil || s.head.Len() > keepFields || s.trailer.Len() > keepFields {
		return
	}
	s.head.Reset()
	s.trailer.Reset()
	old := *s
	*s = ClientStream{head: old.head, trailer: old.trailer}
	if cap(old.body) <= keepBody {
		s.body = old.body[:0]
	}
	clientStreamPool.Put(s)
}

// Close gives the request up, if it is not complete.
func (s *ClientStream) Close() error {
	s.cancel(CodeCancel, loop.ErrClosed)
	s.c.remove(&s.flow)
	return nil
}

// cancel resets a stream that is open.
func (s *ClientStream) cancel(code ErrCode, err error) {
	if s.opened && !s.complete() {
		s.c.reset(&s.flow, code, err)
	}
	s.fail(err)
}

func (s *ClientStream) complete() bool { return s.localDone && s.remoteDone }

// failed tells who waits. What came of the answer can still be read.
func (s *ClientStream) failed() {
	s.wake(nil)
	s.ready()
}

// ready tells who waits by OnReadable.
func (s *ClientStream) ready() {
	if f := s.onReady; f != nil {
		arg := s.readyArg
		s.onReady, s.readyArg = nil, nil
		s.c.l.Go(f, arg)
	}
}

// arrived wakes the reader.
func (s *ClientStream) arrived() {
	s.readWait.wake(nil)
	s.ready()
}

// take takes a head or the trailers.
func (s *ClientStream) take(h *clientHead, interim, end bool) error {
	s.began = true
	if h.trailer {
		return s.c.remoteEnd(&s.flow)
	}
	s.fresh, s.status, s.length, s.size = true, h.status, h.length, h.size
	if interim {
		s.arrived()
		return s.c.glitch(1)
	}
	s.headCame = true
	s.bodyless = s.asksHead || h.status == 204 || h.status == 304
	if s.toCome = h.length; s.bodyless {
		s.toCome = 0
	}
	if end {
		return s.c.remoteEnd(&s.flow)
	}
	s.arrived()
	return nil
}

// push takes bytes of the body.
func (s *ClientStream) push(p []byte) {
	s.add(p)
	s.arrived()
}

// patience is how long the server may take nothing.
func (s *ClientStream) patience() time.Duration { return s.writeFor }

// Ready reports whether something of the answer can be read, an end or an error
// included.
func (s *ClientStream) Ready() bool {
	return s.fresh || s.off < len(s.body) || s.remoteDone || s.err != nil
}

// WaitRead waits until Ready.
func (s *ClientStream) WaitRead() error {
	for !s.Ready() {
		if !s.readBy.IsZero() && !s.readBy.After(s.c.l.Now()) {
			s.c.probe()
			return loop.ErrTimeout
		}
		w := &s.readWait
		w.begin(s.c.l)
		s.c.arm(s.readBy)
		if err := w.end(s.c.l.Park()); err != nil {
			return err
		}
	}
	if s.err != nil && !s.fresh && s.off == len(s.body) && !s.remoteDone {
		return s.err
	}
	return nil
}

// ring ends a wait for the answer that took too long.
func (s *ClientStream) ring(now time.Time, next *time.Time) {
	if (s.readWait.task != nil || s.onReady != nil) && expired(s.readBy, now, next) {
		s.arrived() // the reader looks at its deadline
	}
}

// ReadHead reads the next head of the answer into r, as http1.ClientConn does.
func (s *ClientStream) ReadHead(r *message.Response, _ string, maxHead int) error {
	if !s.fresh {
		if err := s.WaitRead(); err != nil {
			return err
		}
		if !s.fresh {
			return ErrSequence
		}
	}
	s.fresh = false
	r.Reset()
	if maxHead > 0 && s.size > maxHead {
		s.cancel(CodeCancel, ErrInvalid)
		return ErrHeadTooLarge
	}
	r.Status, r.Length = s.status, s.length
	r.Header.CopyFrom(&s.head)
	if !s.headCame {
		return nil
	}
	s.toTrailer = &r.Trailer
	if !s.bodyless && (!s.remoteDone || s.Buffered() > 0 || s.trailer.Len() > 0) {
		r.Body = s
	}
	return nil
}

// Read reads of the body of the answer.
func (s *ClientStream) Read(p []byte) (int, error) {
	for s.off == len(s.body) {
		if s.remoteDone {
			return 0, s.end()
		}
		if err := s.WaitRead(); err != nil {
			return 0, err
		}
		if s.fresh {
			return 0, ErrSequence
		}
	}
	n := s.takeBody(p)
	if s.off == len(s.body) && s.remoteDone {
		return n, s.end()
	}
	s.grant(n)
	return n, nil
}

// end hands the trailers over.
func (s *ClientStream) end() error {
	if s.toTrailer != nil {
		s.toTrailer.CopyFrom(&s.trailer)
		s.toTrailer = nil
	}
	return io.EOF
}

// Reusable reports whether request and answer are complete.
func (s *ClientStream) Reusable() bool { return s.complete() }

// Buffered returns how many bytes of the body wait.
func (s *ClientStream) Buffered() int { return len(s.body) - s.off }

// Quiet reports whether nothing waits to be read.
func (s *ClientStream) Quiet() bool { return !s.Ready() }

// OnReadable has f called in a new coroutine when the stream is Ready or its read
// deadline has passed; nil takes the wish back.
func (s *ClientStream) OnReadable(f func(any), arg any) {
	s.onReady, s.readyArg = f, arg
	switch {
	case f == nil:
	case s.Ready():
		s.ready()
	default:
		s.c.arm(s.readBy)
	}
}

// SetReadDeadline bounds the waits for the answer.
func (s *ClientStream) SetReadDeadline(t time.Time) {
	s.readBy = t
	if s.readWait.task != nil || s.onReady != nil {
		s.c.arm(t)
	}
}

// SetWriteTimeout bounds each wait for the server to take more of the request.
func (s *ClientStream) SetWriteTimeout(d time.Duration) { s.writeFor = d }

// SetWriteDeadline bounds nothing: SetWriteTimeout does.
func (s *ClientStream) SetWriteDeadline(time.Time) {}

// CloseWrite ends the request.
func (s *ClientStream) CloseWrite() error { return s.Finish(nil) }

// WriteTwo is Write for two pieces.
func (s *ClientStream) WriteTwo(a, b []byte) error {
	if _, err := s.Write(a); err != nil {
		return err
	}
	_, err := s.Write(b)
	return err
}

// LocalAddr returns the connection's address on this side.
func (s *ClientStream) LocalAddr() netip.AddrPort { return s.c.s.LocalAddr() }

// RemoteAddr returns the server's address.
func (s *ClientStream) RemoteAddr() netip.AddrPort { return s.c.s.RemoteAddr() }

// Loop returns the loop of the connection.
func (s *ClientStream) Loop() *loop.Loop { return s.c.l }

// Stream returns the stream itself, whose deadlines are those of the request.
func (s *ClientStream) Stream() loop.Stream { return s }

// Release does nothing: Free gives everything back.
func (s *ClientStream) Release() {}

// Raw returns 0: no bytes of the body can be taken off the connection as they are.
func (s *ClientStream) Raw() int64 { return 0 }

// TookRaw is never called.
func (s *ClientStream) TookRaw(int64) {}

// Tunnel answers that HTTP/2 has no such thing.
func (s *ClientStream) Tunnel() (loop.Stream, error) { return nil, ErrSequence }
