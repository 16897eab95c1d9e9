package loop

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// The Goroutines engine runs under synctest, over net.Pipe, with the fake clock.
func TestPipeUnderSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := New(Goroutines, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		near, far := net.Pipe()
		start := time.Now()
		var idle time.Duration
		e.Next().Adopt(far, func(c *Conn) {
			b := make([]byte, 100)
			n, err := c.Read(b)
			if err != nil || string(b[:n]) != "hello" {
				t.Errorf("%q %v", b[:n], err)
			}
			if err := c.WriteTwo([]byte("good"), []byte("bye")); err != nil {
				t.Error(err)
			}
			if c.CloseWrite() == nil {
				t.Error("a pipe has no half close")
			}
			c.Loop().Sleep(time.Hour)
			c.SetReadDeadline(c.Loop().Now().Add(time.Minute))
			c.OnReadable(func(any) {
				idle = time.Since(start)
				if _, err := c.Read(b); err != ErrTimeout {
					t.Error(err)
				}
				c.SetWriteDeadline(c.Loop().Now().Add(time.Minute))
				if _, err := c.Write(b); err != ErrTimeout { // nobody reads
					t.Error(err)
				}
				c.Close()
			}, nil)
		})
		near.Write([]byte("hello"))
		b := make([]byte, 7)
		if _, err := io.ReadFull(near, b); err != nil || string(b) != "goodbye" {
			t.Errorf("%q %v", b, err)
		}
		time.Sleep(2 * time.Hour) // of the fake clock
		synctest.Wait()
		if idle != time.Hour+time.Minute {
			t.Errorf("idle timeout after %v", idle)
		}
		if n, err := near.Read(b); err != io.EOF {
			t.Error(n, err)
		}
	})
}

// Adopt after the engine's end closes the connection.
func TestAdoptTooLate(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		e.Close()
		near, far := net.Pipe()
		e.Next().Adopt(far, func(*Conn) { t.Error("ran") })
		if _, err := near.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
	})
}

// A Conn over any net.Conn works on the epoll engine as well.
func TestAdoptOnBoth(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		near, far := net.Pipe()
		e.Next().Adopt(far, echo)
		for range 3 {
			near.Write([]byte("x"))
			if _, err := io.ReadFull(near, make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
		near.Close()
	})
}
