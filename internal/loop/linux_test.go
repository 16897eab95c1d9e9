//go:build linux

package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// full returns the address of a listening socket that answers no SYN.
func full(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := newSocket(local.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err = unix.Bind(fd, sockaddr(local)); err == nil {
		err = unix.Listen(fd, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	sa, _ := unix.Getsockname(fd)
	addr := addrPort(sa)
	c, err := net.Dial("tcp", addr.String()) // fills the queue
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return addr
}

func TestDialErrors(t *testing.T) {
	addr := full(t)
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		ln := listen(t, e, echo)
		gone := ln.Addr()
		ln.Close()
		l := e.Next()
		on(l, func() {
			if _, err := l.Dial(gone, time.Second); !errors.Is(err, syscall.ECONNREFUSED) || !strings.HasPrefix(err.Error(), "dial "+gone.String()+": ") {
				t.Error(err)
			}
			start := time.Now()
			if _, err := l.Dial(addr, 30*time.Millisecond); !errors.Is(err, ErrTimeout) {
				t.Error(err)
			}
			if d := time.Since(start); d < 30*time.Millisecond || d > 2*time.Second {
				t.Error("timeout after", d)
			}
			if _, err := l.DialFrom(netip.MustParseAddr("192.0.2.1"), addr, time.Second); !errors.Is(err, syscall.EADDRNOTAVAIL) {
				t.Error(err)
			}
			if _, err := l.Dial(netip.AddrPort{}, time.Second); err == nil {
				t.Error("no address")
			}
		})
		l.Post(func() {
			if _, err := l.Dial(addr, time.Hour); !errors.Is(err, ErrStopped) {
				t.Error("when the engine ends:", err)
			}
		})
		on(l, func() {})
	})
}

// An event that was meant for a descriptor's former owner does not reach the
// connection that has the number now.
func TestDescriptorUsedAgain(t *testing.T) {
	e, err := New(Loops, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	l := e.Loops()[0]
	p := l.driver.(*epoll)
	ln := listen(t, e, echo)
	on(l, func() {
		old, err := l.Dial(ln.Addr(), time.Second)
		if err != nil {
			t.Error(err)
			return
		}
		fd, age := (*socket)(old.link.(*wire)).fd, (*socket)(old.link.(*wire)).age
		old.Close()
		c, err := l.Dial(ln.Addr(), time.Second)
		if err != nil {
			t.Error(err)
			return
		}
		s := (*socket)(c.link.(*wire))
		if s.fd != fd {
			t.Errorf("descriptor %d, not %d: the test shows nothing", s.fd, fd)
		}
		p.event(&unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLHUP | unix.EPOLLRDHUP, Fd: fd, Pad: age})
		if c.Ready() || c.ended || !c.Quiet() {
			t.Error("the event reached the new connection")
		}
		p.event(&unix.EpollEvent{Events: unix.EPOLLIN, Fd: fd, Pad: s.age})
		if !c.Ready() {
			t.Error("its own event did not")
		}
		if !c.Quiet() {
			t.Error("quiet does not look again")
		}
	})
}

func TestSocketOptions(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		_, wait := pair(t, e, func(c *Conn) {
			w, ok := c.link.(*wire)
			if !ok {
				return // package net sets it
			}
			if on, err := unix.GetsockoptInt(int(w.fd), unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
				t.Error("TCP_NODELAY:", on, err)
			}
		})
		wait()
		c, wait := pair(t, e, func(c *Conn) {
			c.Read(make([]byte, 1))
			if err := c.SetLinger(0); err != nil {
				t.Error(err)
			}
		})
		c.Write([]byte("x"))
		wait()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Error("no reset:", err)
		}
	})
}

// Without descriptors the loop rests from accepting, instead of spinning, and goes
// on afterwards.
func TestAcceptWithoutDescriptors(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		ln := listen(t, e, echo)
		c := client(t, ln)
		c.Write([]byte("x"))
		io.ReadFull(c, make([]byte, 1))

		fd, err := newSocket(local.Addr()) // made before there are none
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		var old unix.Rlimit
		unix.Getrlimit(unix.RLIMIT_NOFILE, &old)
		unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(fd + 4), Max: old.Max})
		defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
		var holes []*os.File // every free number below is taken
		for {
			f, err := os.Open("/dev/null")
			if err != nil {
				break
			}
			holes = append(holes, f)
		}
		if err := unix.Connect(fd, sockaddr(ln.Addr())); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
		deadline := time.Now().Add(5 * time.Second)
		for e.Stats().Pauses == 0 && time.Now().Before(deadline) {
			c.Write([]byte("x"))
			io.ReadFull(c, make([]byte, 1))
		}
		if n := e.Stats().Pauses; n == 0 || n > 3 {
			t.Errorf("%d pauses", n)
		}
		for _, f := range holes {
			f.Close()
		}
		unix.SetNonblock(fd, false)
		unix.Write(fd, []byte("y"))
		b := make([]byte, 1)
		if n, err := unix.Read(fd, b); n != 1 || b[0] != 'y' {
			t.Error(n, err)
		}
	})
}

// An echo round trip allocates nothing on the epoll engine.
func TestEchoAllocatesNothing(t *testing.T) {
	e, err := New(Loops, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ln := listen(t, e, echo)
	idle := listen(t, e, func(c *Conn) { c.OnReadable(echoOnce, c) })
	l := e.Loops()[0]
	for _, at := range []*Listener{ln, idle} {
		on(l, func() {
			c, err := l.Dial(at.Addr(), time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			msg, got := make([]byte, 100), make([]byte, 200)
			trip := func() {
				c.SetReadDeadline(l.Now().Add(time.Second))
				c.WriteTwo(msg[:50], msg[50:])
				for n := 0; n < len(msg); {
					k, err := c.Read(got)
					if err != nil {
						t.Error(err)
						return
					}
					n += k
				}
			}
			for range 100 {
				trip()
			}
			if n := testing.AllocsPerRun(200, trip); n != 0 {
				t.Errorf("%v allocations per round trip", n)
			}
		})
	}
}

// echoOnce serves a connection that holds no coroutine while it waits.
func echoOnce(a any) {
	c := a.(*Conn)
	l := c.Loop()
	buf := l.Small()
	defer l.PutSmall(buf)
	n, err := c.Read(buf)
	if err != nil {
		c.Close()
		return
	}
	c.SetReadDeadline(l.Now().Add(time.Minute))
	c.Write(buf[:n])
	c.OnReadable(echoOnce, c)
}

// What an idle connection costs.
func TestIdleMemory(t *testing.T) {
	if n := sizeOf[socket](); n > 272 {
		t.Errorf("a connection takes %d bytes", n)
	}
}

// unsent tells of bytes that the peer's system has no room for, on both kinds of link,
// and that it has taken them since.
func TestUnsent(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, e *Engine) {
		const size = 16 << 20 // more than two systems hold
		full, done := make(chan int), make(chan struct{})
		c, wait := pair(t, e, func(c *Conn) {
			l := c.Loop()
			l.Go(func(any) { // beside the Write, which waits
				for before := -1; c.link.unsent() != before; l.Sleep(20 * time.Millisecond) {
					before = c.link.unsent()
				}
				full <- c.link.unsent()
			}, nil)
			if _, err := c.Write(make([]byte, size)); err != nil {
				t.Error(err)
			}
			for c.link.unsent() > 0 && c.Loop().Sleep(time.Millisecond) == nil {
			}
			close(done)
		})
		if n := <-full; n < 64<<10 || n > size {
			t.Errorf("%d bytes are unsent", n)
		}
		if _, err := io.CopyN(io.Discard, c, size); err != nil {
			t.Error(err)
		}
		<-done
		wait()
	})
}
