package loop

import (
	"bytes"
	"crypto/sha256"
	"io"
	"testing"
	"time"
)

// mover serves one connection: it dials to, and moves n bytes from there to the client.
func mover(to *Listener, n int64, result chan<- error) func(*Conn) {
	return func(c *Conn) {
		defer c.Close()
		c.SetWriteTimeout(10 * time.Second)
		from, err := c.Loop().Dial(to.Addr(), time.Second)
		if err != nil {
			result <- err
			return
		}
		defer from.Close()
		for n > 0 {
			if err := from.WaitRead(); err != nil {
				result <- err
				return
			}
			k, ok, rerr, werr := from.Move(c, n)
			if !ok || rerr != nil || werr != nil {
				result <- &moveError{ok, rerr, werr}
				return
			}
			n -= k
		}
		result <- nil
	}
}

type moveError struct {
	ok         bool
	rerr, werr error
}

func (e *moveError) Error() string { return "move failed" }

// sender answers every connection with size bytes and ends it.
func sender(t *testing.T, e *Engine, size int) (*Listener, [32]byte) {
	all := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
	return listen(t, e, func(c *Conn) {
		c.Write(all)
		c.Close()
	}), sha256.Sum256(all)
}

// TestMove holds that what is moved arrives whole, however slowly it is read, and that
// no pipe is left behind.
func TestMove(t *testing.T) {
	e, err := New(Loops, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, size := range []int{1, 5000, moveSize, 3<<20 + 7} {
		from, sum := sender(t, e, size)
		result := make(chan error, 1)
		c := client(t, listen(t, e, mover(from, int64(size), result)))
		c.SetReadBuffer(128 << 10)
		h := sha256.New()
		if n, err := io.CopyBuffer(h, struct{ io.Reader }{c}, make([]byte, 1000)); err != nil || n != int64(size) || !bytes.Equal(h.Sum(nil), sum[:]) {
			t.Errorf("%d bytes of %d arrived, %v, the same: %v", n, size, err, bytes.Equal(h.Sum(nil), sum[:]))
		}
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	ps := pipesOf(e)
	if ps.open != len(ps.free) || ps.open == 0 || ps.open > keepPipes {
		t.Errorf("%d pipes are open, %d of them free", ps.open, len(ps.free))
	}
}

func pipesOf(e *Engine) (ps pipes) {
	l := e.Next()
	on(l, func() { ps = l.driver.(*epoll).pipes })
	return ps
}

// TestMoveEnds holds what is told when one of the sides ends too early.
func TestMoveEnds(t *testing.T) {
	e, err := New(Loops, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	from, _ := sender(t, e, 5000)
	result := make(chan error, 1)
	c := client(t, listen(t, e, mover(from, 6000, result)))
	if n, err := io.Copy(io.Discard, c); n != 5000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if m, ok := (<-result).(*moveError); !ok || m.rerr != io.EOF || m.werr != nil {
		t.Errorf("a source that ends: %+v", m)
	}
	endless := listen(t, e, func(c *Conn) {
		for piece := make([]byte, 64<<10); ; {
			if _, err := c.Write(piece); err != nil {
				c.Close()
				return
			}
		}
	})
	c = client(t, listen(t, e, mover(endless, 1<<40, result)))
	io.ReadFull(c, make([]byte, 100<<10))
	c.SetLinger(0)
	c.Close()
	if m, ok := (<-result).(*moveError); !ok || m.werr == nil || m.rerr != nil {
		t.Errorf("a client that goes: %+v", m)
	}
	if ps := pipesOf(e); ps.open != len(ps.free) {
		t.Errorf("%d pipes are open, %d of them free", ps.open, len(ps.free))
	}
}

// TestMoveNot holds that what cannot be moved is left to be copied.
func TestMoveNot(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		from, _ := sender(t, e, 5000)
		l := e.Next()
		on(l, func() {
			c, err := l.Dial(from.Addr(), time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			want := 5000
			if e.Kind() == Loops { // what was given back stands in this program's memory
				c.Unread([]byte("x"))
				want++
			}
			if n, ok, _, _ := c.Move(c, 10); n != 0 || ok {
				t.Errorf("moved %d, %v", n, ok)
			}
			if n, err := io.ReadFull(c, make([]byte, want)); err != nil {
				t.Errorf("%d bytes are left, %v", n, err)
			}
		})
	})
}
