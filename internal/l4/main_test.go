package l4

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// quiet is a Config without checks.
var quiet = Config{Interval: -1}

// onBoth runs a test on both engines with a fresh Balancer, and at the end lets its
// connections go.
func onBoth(t *testing.T, cfg Config, f func(t *testing.T, b *Balancer)) {
	kinds := []loop.Kind{loop.Goroutines}
	if loop.DefaultKind() == loop.Loops {
		kinds = append(kinds, loop.Loops)
	}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			e, err := loop.New(kind, 2)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			b := New(e, cfg)
			defer func() {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				b.Close(ctx)
				if n := b.open.Load(); n != 0 {
					t.Errorf("%d connections are counted as open after Close", n)
				}
			}()
			f(t, b)
		})
	}
}

// server is a target: a TCP server whose connections a function serves.
func server(t *testing.T, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// named is a target that sends its name and then all that it gets.
func named(t *testing.T, name string) netip.AddrPort {
	return server(t, func(c net.Conn) {
		io.WriteString(c, name+"\n")
		io.Copy(c, c)
	})
}

// gone is an address where nothing listens.
func gone(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// apply applies and fails the test on errors.
func apply(t *testing.T, b *Balancer, desired ...Desired) {
	t.Helper()
	for _, err := range b.Apply(desired) {
		t.Fatal(err)
	}
}

// where returns the address that a port has.
func where(t *testing.T, b *Balancer, key string) netip.AddrPort {
	t.Helper()
	for _, p := range b.Stats().Ports {
		if p.Key == key {
			return p.Listen
		}
	}
	t.Fatalf("port %s is not listened on", key)
	return netip.AddrPort{}
}

// dial connects to a port of a Balancer. A test that hangs fails by deadline.
func dial(t *testing.T, b *Balancer, key string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", where(t, b, key).String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// line reads one line.
func line(t *testing.T, c net.Conn) string {
	t.Helper()
	s, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("read %q: %v", s, err)
	}
	return strings.TrimSpace(s)
}

// ended waits until n connections of a port have ended for a reason.
func ended(t *testing.T, b *Balancer, key string, why Reason, n uint64) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		var p PortStats
		for _, q := range b.Stats().Ports {
			if q.Key == key {
				p = q
			}
		}
		if p.Closed[why.String()] == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("closed %v, want %s: %d", p.Closed, why, n)
		}
		onLoops(b)
	}
}

// onLoops waits for a turn of every loop.
func onLoops(b *Balancer) {
	for _, l := range b.engine.Loops() {
		done := make(chan struct{})
		l.Post(func() { close(done) })
		<-done
	}
}

// refused reads from a connection that must be reset or closed without a byte.
func refused(t *testing.T, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v; want the connection closed", n, err)
	}
}

// turnedAway connects to a port that must not let it in. The reset may come as early
// as while it connects.
func turnedAway(t *testing.T, b *Balancer, key string) {
	t.Helper()
	c, err := net.Dial("tcp", where(t, b, key).String())
	if err != nil {
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	refused(t, c)
}
