package loop

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestWaitEither(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		conns := make(chan *Conn, 2)
		ln := listen(t, e, func(c *Conn) { conns <- c })
		c1 := client(t, ln)
		a := <-conns
		c2 := client(t, ln)
		b := <-conns
		l := e.Loops()[0]
		step := make(chan string)
		go func() {
			defer close(step)
			on(l, func() {
				buf := make([]byte, 10)
				for _, c := range []*Conn{a, b, a} {
					l.Await(func() { step <- "next" })
					if err := WaitEither(a, b); err != nil {
						t.Error(err)
					}
					if !c.Ready() || (c == a) == b.Ready() {
						t.Error("ready:", a.Ready(), b.Ready())
					}
					c.Read(buf)
					if !c.Quiet() {
						t.Error("not quiet after the read")
					}
				}
				a.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				if err := WaitEither(a, b); err != ErrTimeout {
					t.Error(err)
				}
				a.SetReadDeadline(time.Time{})
				l.Await(func() { step <- "next" })
				if err := WaitEither(wrapped{a}, wrapped{b}); err != nil || !b.Ready() {
					t.Error(err)
				}
				if _, err := b.Read(buf); err != io.EOF {
					t.Error(err)
				}
			})
		}()
		<-step
		c1.Write([]byte("x"))
		<-step
		c2.Write([]byte("x"))
		<-step
		c1.Write([]byte("x"))
		<-step
		c2.Close()
		<-step
	})
}

// wrapped is a Stream that is neither a Conn nor a Wrapper.
type wrapped struct{ Stream }

func TestOnReadable(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		got := make(chan string, 100)
		var serve func(any)
		serve = func(a any) {
			c := a.(*Conn)
			b := make([]byte, 10)
			n, err := c.Read(b)
			if err != nil {
				c.Close()
				got <- err.Error()
				return
			}
			got <- string(b[:n])
			c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
			if string(b[:n]) != "last" {
				c.SetReadDeadline(time.Now().Add(time.Minute))
			}
			c.OnReadable(serve, c)
		}
		ln := listen(t, e, func(c *Conn) { c.OnReadable(serve, c) })
		for _, last := range []string{"EOF", "timeout"} {
			c := client(t, ln)
			for _, m := range []string{"one", "two", "three"} {
				c.Write([]byte(m))
				if s := <-got; s != m {
					t.Errorf("%q, want %q", s, m)
				}
			}
			if last == "EOF" {
				c.Close()
			} else {
				c.Write([]byte("last"))
				<-got
			}
			if s := <-got; s != last {
				t.Errorf("%q, want %q", s, last)
			}
		}
		// Idle connections hold no coroutine.
		for range 20 {
			client(t, ln)
		}
		on(e.Loops()[0], func() {})
		if n := len(e.Loops()[0].tasks); n > 5 {
			t.Errorf("%d coroutines for idle connections", n)
		}
	})
}

// OnReadable of a connection that is readable already, and the wish taken back.
func TestOnReadableAtOnceAndNever(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		ran := make(chan string, 2)
		c, wait := pair(t, e, func(c *Conn) {
			l, me := c.Loop(), c.Loop().Task()
			c.WaitRead()
			c.OnReadable(func(any) { ran <- "taken back"; me.Wake() }, nil)
			c.OnReadable(nil, nil)
			l.Sleep(5 * time.Millisecond)
			c.OnReadable(func(any) { ran <- "ready"; me.Wake() }, nil)
			l.Park()
		})
		c.Write([]byte("x"))
		wait()
		if s := <-ran; s != "ready" || len(ran) > 0 {
			t.Error(s)
		}
	})
}

func TestCloseWakesWaiters(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		_, wait := pair(t, e, func(c *Conn) {
			l, me := c.Loop(), c.Loop().Task()
			var errs []error
			l.Go(func(any) {
				_, err := c.Read(make([]byte, 1))
				errs = append(errs, err)
				me.Wake()
			}, nil)
			l.Go(func(any) {
				_, err := c.Write(make([]byte, 32<<20))
				errs = append(errs, err)
				me.Wake()
			}, nil)
			c.Close()
			for len(errs) < 2 {
				l.Park()
			}
			for _, err := range errs {
				if err != ErrClosed {
					t.Error(err)
				}
			}
			if _, err := c.Read(make([]byte, 1)); err != ErrClosed {
				t.Error("read after close:", err)
			}
			if _, err := c.Write([]byte("x")); err != ErrClosed {
				t.Error("write after close:", err)
			}
			if c.Quiet() || c.WaitRead() != ErrClosed || c.CloseWrite() != ErrClosed || c.Close() != nil {
				t.Error("after close")
			}
		})
		wait()
	})
}

// A connection that always has data leaves room for others.
func TestFairness(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		var flood atomic.Int64
		stop, flows := make(chan struct{}), make(chan struct{})
		ln := listen(t, e, func(c *Conn) {
			b := make([]byte, 1024)
			for {
				n, err := c.Read(b)
				if err != nil {
					c.Close()
					return
				}
				if flood.Add(int64(n)) == int64(n) {
					close(flows)
				}
				c.readable = true // as if there were no end to it
			}
		})
		quick := listen(t, e, echo)
		c := client(t, ln)
		var wg sync.WaitGroup
		wg.Go(func() {
			b := make([]byte, 64<<10)
			for {
				select {
				case <-stop:
					return
				default:
					c.Write(b)
				}
			}
		})
		<-flows
		q := client(t, quick)
		b := make([]byte, 1)
		for range 50 {
			q.Write(b)
			if _, err := io.ReadFull(q, b); err != nil {
				t.Fatalf("not all were answered beside the flood: %v", err)
			}
		}
		close(stop)
		wg.Wait()
	})
}

// Two coroutines that wake each other for ever do not stop the loop.
func TestWakersDoNotStarve(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		l := e.Loops()[0]
		on(l, func() {
			var a, b *Task
			l.Go(func(any) {
				for a = l.Task(); l.Park() == nil; b.Wake() {
				}
			}, nil)
			l.Go(func(any) {
				for b = l.Task(); l.Park() == nil; a.Wake() {
				}
			}, nil)
			a.Wake()
		})
		c := client(t, listen(t, e, echo))
		c.Write([]byte("x"))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}
