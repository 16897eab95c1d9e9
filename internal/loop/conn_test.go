package loop

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

// pair returns a Conn that f gets in a coroutine, connected to a client. Wait
// returns when f has.
func pair(t *testing.T, e *Engine, f func(*Conn)) (c *net.TCPConn, wait func()) {
	t.Helper()
	done := make(chan struct{})
	ln := listen(t, e, func(c *Conn) {
		defer close(done)
		defer c.Close()
		f(c)
	})
	c = client(t, ln)
	return c, func() {
		t.Helper()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("the coroutine does not end")
		}
	}
}

func TestManyConnections(t *testing.T) {
	onBoth(t, 2, func(t *testing.T, e *Engine) {
		ln := listen(t, e, echo)
		var wg sync.WaitGroup
		for range 200 {
			c := client(t, ln)
			wg.Go(func() {
				msg := make([]byte, 3000)
				for i := range 5 {
					for k := range msg {
						msg[k] = byte(i + k)
					}
					c.Write(msg)
					got := make([]byte, len(msg))
					if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, msg) {
						t.Error(i, err)
						return
					}
				}
			})
		}
		wg.Wait()
		s := e.Stats()
		if s.Accepted != 200 || s.Connections != 200 || s.Coroutines < 200 {
			t.Errorf("%+v", s)
		}
		for _, l := range e.Loops() {
			if n := l.conns.Load(); n < 80 {
				t.Errorf("loop %d has %d of 200 connections: they are not spread", l.Index(), n)
			}
		}
	})
}

func TestUnread(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		c, wait := pair(t, e, func(c *Conn) {
			b := make([]byte, 8)
			if _, err := io.ReadFull(c, b); err != nil || string(b) != "headbody" {
				t.Errorf("%q %v", b, err)
			}
			c.Unread(b[6:])
			c.Unread(b[4:6])
			clear(b) // it was copied
			if !c.Ready() || c.Quiet() || c.BytesRead() != 4 {
				t.Error("ready", c.Ready(), "quiet", c.Quiet(), c.BytesRead())
			}
			fired := false
			me := c.Loop().Task()
			c.OnReadable(func(any) { fired = true; me.Wake() }, nil)
			c.Loop().Park()
			got, err := io.ReadAll(struct{ io.Reader }{c})
			if !fired || string(got) != "body and more" || err != nil || c.BytesRead() != 17 {
				t.Errorf("%q %v %d", got, err, c.BytesRead())
			}
		})
		c.Write([]byte("headbody"))
		c.Write([]byte(" and more"))
		c.CloseWrite()
		wait()
	})
}

func TestHalfClose(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		c, wait := pair(t, e, func(c *Conn) {
			got, err := io.ReadAll(c)
			if err != nil || string(got) != "question" {
				t.Errorf("%q %v", got, err)
			}
			c.Write([]byte("answer"))
			if err := c.CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		c.Write([]byte("question"))
		c.CloseWrite()
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "answer" {
			t.Errorf("%q %v", got, err)
		}
		wait()
	})
}

func TestReadDeadline(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		c, wait := pair(t, e, func(c *Conn) {
			start := time.Now()
			b := make([]byte, 10)
			c.SetReadDeadline(start.Add(30 * time.Millisecond))
			_, err := c.Read(b)
			var ne net.Error
			if !errors.Is(err, ErrTimeout) || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
				t.Errorf("read: %v", err)
			}
			if d := time.Since(start); d < 30*time.Millisecond {
				t.Errorf("after %v already", d)
			}
			if err := c.WaitRead(); err != ErrTimeout {
				t.Errorf("wait: %v", err)
			}
			c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			c.SetReadDeadline(time.Time{}) // lifted: the timer must not end the wait
			c.Write([]byte("go"))
			if n, err := c.Read(b); err != nil || string(b[:n]) != "data" {
				t.Errorf("%q %v", b[:n], err)
			}
		})
		b := make([]byte, 2)
		io.ReadFull(c, b)
		c.Write([]byte("data"))
		wait()
	})
}

// A deadline that another coroutine brings forward ends a wait that has begun.
func TestDeadlineMovesWhileReading(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		_, wait := pair(t, e, func(c *Conn) {
			c.SetReadDeadline(time.Now().Add(time.Hour))
			c.Loop().Go(func(any) {
				c.Loop().Sleep(5 * time.Millisecond)
				c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			}, nil)
			if _, err := c.Read(make([]byte, 1)); err != ErrTimeout {
				t.Error(err)
			}
		})
		wait()
	})
}

func TestWriteDeadlineAndLargeWrites(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		big := make([]byte, 16<<20)
		_, wait := pair(t, e, func(c *Conn) {
			c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			n, err := c.Write(big)
			if err != ErrTimeout || n >= len(big) {
				t.Error(n, err)
			}
		})
		wait()
	})
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		const pieces = 40
		want := sha256.New()
		c, wait := pair(t, e, func(c *Conn) {
			head, body := make([]byte, 1000), make([]byte, 200<<10)
			for i := range pieces {
				for k := range head {
					head[k] = byte(i)
				}
				for k := range body {
					body[k] = byte(i + k)
				}
				want.Write(head)
				want.Write(body)
				if err := c.WriteTwo(head, body); err != nil {
					t.Error(err)
				}
				clear(head) // the memory is the caller's again
				clear(body)
			}
			if n := c.BytesWritten(); n != pieces*(1000+200<<10) {
				t.Error(n)
			}
		})
		got := sha256.New()
		slow := make([]byte, 1000)
		for range 300 { // a slow reader: 1000 bytes at a time for a while
			n, err := c.Read(slow)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(slow[:n])
		}
		if _, err := io.Copy(got, c); err != nil {
			t.Error(err)
		}
		wait()
		if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
			t.Error("the bytes differ")
		}
	})
}

func TestWriteTwoWithNothing(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		c, wait := pair(t, e, func(c *Conn) {
			c.WriteTwo([]byte("a"), nil)
			c.WriteTwo(nil, []byte("b"))
			c.WriteTwo(nil, nil)
			c.WriteTwo([]byte("c"), []byte("d"))
		})
		got, err := io.ReadAll(c)
		if string(got) != "abcd" || err != nil {
			t.Errorf("%q %v", got, err)
		}
		wait()
	})
}

// One coroutine reads while another writes: an upgraded connection.
func TestDuplex(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		const size = 8 << 20
		c, wait := pair(t, e, func(c *Conn) {
			l, me := c.Loop(), c.Loop().Task()
			done := false
			l.Go(func(any) {
				c.Write(make([]byte, size))
				c.CloseWrite()
				done = true
				me.Wake()
			}, nil)
			n, err := io.Copy(io.Discard, struct{ io.Reader }{c})
			if n != size || err != nil {
				t.Error(n, err)
			}
			for !done {
				l.Park()
			}
		})
		go func() {
			c.Write(make([]byte, size))
			c.CloseWrite()
		}()
		n, err := io.Copy(io.Discard, c)
		if n != size || err != nil {
			t.Error(n, err)
		}
		wait()
	})
}

func TestAddresses(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
			got := make(chan [2]netip.AddrPort, 1)
			ln, err := e.Listen(netip.MustParseAddrPort(at), func(c *Conn) {
				got <- [2]netip.AddrPort{c.LocalAddr(), c.RemoteAddr()}
				c.Close()
			})
			if err != nil {
				t.Fatal(err)
			}
			l := e.Next()
			from := ln.Addr().Addr()
			if from.Is4() {
				from = netip.MustParseAddr("127.0.0.9")
			}
			on(l, func() {
				c, err := l.DialFrom(from, ln.Addr(), time.Second)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				var other [2]netip.AddrPort
				l.Await(func() { other = <-got })
				if c.LocalAddr() != other[1] || c.RemoteAddr() != other[0] || c.LocalAddr().Addr() != from || ln.Addr() != c.RemoteAddr() {
					t.Error(c.LocalAddr(), c.RemoteAddr(), other)
				}
			})
		}
	})
}

func TestListenErrors(t *testing.T) {
	onBoth(t, 2, func(t *testing.T, e *Engine) {
		ln := listen(t, e, echo)
		if _, err := e.Listen(ln.Addr(), echo); err == nil || err.Error() != "listen "+ln.Addr().String()+": bind: address already in use" && err.Error() != "listen "+ln.Addr().String()+": address already in use" {
			t.Error("taken port:", err)
		}
		if _, err := e.Listen(netip.AddrPort{}, echo); err == nil {
			t.Error("no address")
		}
		c := client(t, ln)
		ln.Close()
		ln.Close()
		again, err := e.Listen(ln.Addr(), echo) // the port is free at once
		if err != nil {
			t.Fatal(err)
		}
		if again.Addr() != ln.Addr() {
			t.Error(again.Addr())
		}
		c.Write([]byte("x")) // the connection goes on
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		c2 := client(t, again)
		c2.Write([]byte("x"))
		if _, err := io.ReadFull(c2, make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}
