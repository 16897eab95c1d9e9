package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var local = netip.MustParseAddrPort("127.0.0.1:0")

// onBoth runs a test on both engines, each with a fresh engine that is closed at
// the end.
func onBoth(t *testing.T, n int, f func(t *testing.T, e *Engine)) {
	for _, kind := range []Kind{Loops, Goroutines} {
		t.Run(string(kind), func(t *testing.T) {
			if kind == Loops && !haveEpoll {
				return
			}
			e, err := New(kind, n)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			f(t, e)
		})
	}
}

// listen opens a listener on loopback.
func listen(t *testing.T, e *Engine, accept func(*Conn)) *Listener {
	t.Helper()
	ln, err := e.Listen(local, accept)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// client connects to ln with package net; a test that hangs fails by deadline.
func client(t *testing.T, ln *Listener) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// echo sends back what arrives, until the end.
func echo(c *Conn) {
	buf := c.Loop().Small()
	defer c.Loop().PutSmall(buf)
	defer c.Close()
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err = c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// on runs f in a coroutine of l and waits for it.
func on(l *Loop, f func()) {
	done := make(chan struct{})
	l.Post(func() {
		defer close(done)
		f()
	})
	<-done
}

func TestEcho(t *testing.T) {
	onBoth(t, 2, func(t *testing.T, e *Engine) {
		ln := listen(t, e, echo)
		c := client(t, ln)
		for range 100 {
			if _, err := c.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			var b [5]byte
			if _, err := io.ReadFull(c, b[:]); err != nil || string(b[:]) != "hello" {
				t.Fatalf("%q %v", b, err)
			}
		}
		c.CloseWrite()
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Fatal(n, err)
		}
	})
}

func TestDial(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		ln := listen(t, e, echo)
		l := e.Next()
		on(l, func() {
			c, err := l.Dial(ln.Addr(), time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, err := c.Write([]byte("ping")); err != nil {
				t.Error(err)
			}
			b := make([]byte, 10)
			n, err := c.Read(b)
			if err != nil || string(b[:n]) != "ping" {
				t.Errorf("%q %v", b[:n], err)
			}
			c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if _, err = c.Read(b); !errors.Is(err, ErrTimeout) {
				t.Error(err)
			}
		})
	})
}
