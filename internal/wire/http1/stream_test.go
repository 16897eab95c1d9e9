package http1

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memStream is a stream whose other side has said everything beforehand. Each Read
// gives at most one piece. After the last piece it is at its end (eof), or its read
// deadline passes when it is waited for.
type memStream struct {
	l      *loop.Loop
	in     [][]byte
	eof    bool
	out    []byte
	writes int
	reads  int

	deadline            time.Time
	closed, closedWrite bool
	idle                func(any)
	idleArg             any
}

func (s *memStream) Read(p []byte) (int, error) {
	s.reads++
	switch {
	case s.closed:
		return 0, loop.ErrClosed
	case len(p) == 0:
		return 0, nil
	case len(s.in) > 0:
		n := copy(p, s.in[0])
		if s.in[0] = s.in[0][n:]; len(s.in[0]) == 0 {
			s.in = s.in[1:]
		}
		return n, nil
	case s.eof:
		return 0, io.EOF
	}
	return 0, loop.ErrTimeout
}

func (s *memStream) Write(p []byte) (int, error) {
	if s.closed || s.closedWrite {
		return 0, loop.ErrClosed
	}
	s.writes++
	s.out = append(s.out, p...)
	return len(p), nil
}

func (s *memStream) WriteTwo(a, b []byte) error {
	if s.closed || s.closedWrite {
		return loop.ErrClosed
	}
	s.writes++
	s.out = append(append(s.out, a...), b...)
	return nil
}

func (s *memStream) Ready() bool { return len(s.in) > 0 || s.eof }
func (s *memStream) WaitRead() error {
	if s.Ready() {
		return nil
	}
	return loop.ErrTimeout
}
func (s *memStream) Quiet() bool                     { return !s.Ready() && !s.closed }
func (s *memStream) OnReadable(f func(any), arg any) { s.idle, s.idleArg = f, arg }
func (s *memStream) SetReadDeadline(t time.Time)     { s.deadline = t }
func (s *memStream) SetWriteDeadline(time.Time)      {}
func (s *memStream) SetWriteTimeout(time.Duration)   {}
func (s *memStream) CloseWrite() error               { s.closedWrite = true; return nil }
func (s *memStream) Close() error                    { s.closed = true; return nil }
func (s *memStream) LocalAddr() (a netip.AddrPort)   { return a }
func (s *memStream) RemoteAddr() (a netip.AddrPort)  { return a }
func (s *memStream) Loop() *loop.Loop                { return s.l }

// wake does what a loop does when something arrives on a parked connection.
func (s *memStream) wake() {
	f := s.idle
	s.idle = nil
	f(s.idleArg)
}

// engine starts an engine that ends with the test.
func engine(t testing.TB, kind loop.Kind) *loop.Engine {
	t.Helper()
	e, err := loop.New(kind, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// onLoop runs f in a coroutine of a loop and waits for it.
func onLoop(t testing.TB, l *loop.Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	l.Post(func() {
		defer close(done)
		f()
	})
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the coroutine did not end")
	}
}

// eachKind runs a test on both kinds of loop.
func eachKind(t *testing.T, f func(t *testing.T, kind loop.Kind)) {
	kinds := []loop.Kind{loop.Goroutines}
	if loop.DefaultKind() == loop.Loops {
		kinds = append(kinds, loop.Loops)
	}
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) { f(t, k) })
	}
}

// pieces cuts b into pieces of n bytes; 0 leaves it whole.
func pieces(b string, n int) (ps [][]byte) {
	if n == 0 {
		n = max(len(b), 1)
	}
	for len(b) > n {
		ps, b = append(ps, []byte(b[:n])), b[n:]
	}
	if b != "" {
		ps = append(ps, []byte(b))
	}
	return ps
}
