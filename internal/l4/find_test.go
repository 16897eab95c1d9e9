package l4

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/wire/proxyproto"
)

// finding returns options whose endpoints are those.
func finding(addrs ...netip.AddrPort) Options {
	return Options{Find: func(*loop.Loop) []netip.AddrPort { return addrs }}
}

func TestFindInTurn(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		o := finding(named(t, "one"), named(t, "two"), named(t, "three"))
		apply(t, b, Desired{Key: "p", Listen: loopback, Options: o})
		got := map[string]int{}
		for range 6 {
			got[line(t, dial(t, b, "p"))]++
		}
		if got["one"] != 2 || got["two"] != 2 || got["three"] != 2 {
			t.Errorf("connections went to %v", got)
		}
	})
}

// An endpoint that refuses costs a try, not the connection, as often as that is allowed.
func TestFindTries(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		good := named(t, "x")
		o := finding(gone(t), gone(t), good)
		apply(t, b, Desired{Key: "p", Listen: loopback, Options: o})
		for range 3 {
			if s := line(t, dial(t, b, "p")); s != "x" {
				t.Errorf("%q", s)
			}
		}
		o.Tries = 1
		apply(t, b, Desired{Key: "p", Listen: loopback, Options: o})
		for range 3 {
			if c, err := net.Dial("tcp", where(t, b, "p").String()); err == nil { // two of them are reset, maybe at once
				c.SetDeadline(time.Now().Add(10 * time.Second))
				c.Read(make([]byte, 8))
				c.Close()
			}
		}
		ended(t, b, "p", Connect, 2)
		apply(t, b, Desired{Key: "p", Listen: loopback, Options: finding()})
		turnedAway(t, b, "p")
		ended(t, b, "p", NoTarget, 1)
	})
}

// header reads a line and nothing behind it.
func header(c net.Conn) string {
	var text []byte
	for b := make([]byte, 1); ; {
		if _, err := c.Read(b); err != nil || b[0] == '\n' {
			return string(text)
		}
		text = append(text, b[0])
	}
}

// The endpoint learns by PROXY who the client is, as the client's own header told it
// where that may be believed.
func TestProxyThrough(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		heads := make(chan string, 1)
		target := server(t, func(c net.Conn) {
			heads <- header(c)
			io.Copy(c, c)
		})
		o := finding(target)
		o.ProxyIn, o.ProxyV1, o.Trusted = true, true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		sessions := make(chan *Session, 1)
		o.Ended = func(s *Session) { sessions <- s }
		apply(t, b, Desired{Key: "p", Listen: loopback, Options: o})
		client, via := netip.MustParseAddrPort("192.0.2.7:4711"), netip.MustParseAddrPort("198.51.100.1:9000")
		for _, head := range [][]byte{proxyproto.AppendV1(nil, client, via), proxyproto.AppendV2(nil, client, via)} {
			c := dial(t, b, "p")
			for _, part := range []string{string(head[:5]), string(head[5:]) + "hello\n"} { // in pieces, and more behind it
				io.WriteString(c, part)
			}
			if h := <-heads; !strings.HasPrefix(h, "PROXY TCP4 192.0.2.7 ") || !strings.Contains(h, " 4711 ") {
				t.Errorf("the endpoint got %q", h)
			}
			if s := line(t, c); s != "hello" {
				t.Errorf("%q", s)
			}
			c.Close()
			if s := <-sessions; s.Client != client || s.Told != client || s.Endpoint != target || s.Out != 6 {
				t.Errorf("session %+v", s)
			}
		}
		o.Trusted = nil
		apply(t, b, Desired{Key: "p", Listen: loopback, Options: o})
		c := dial(t, b, "p")
		c.Write(proxyproto.AppendV1(nil, client, via))
		if h := <-heads; !strings.HasPrefix(h, "PROXY TCP4 127.0.0.1 ") {
			t.Errorf("somebody who is not trusted is believed: %q", h)
		}
		c.Close()
		<-sessions
		c = dial(t, b, "p")
		io.WriteString(c, "GET / HTTP/1.1\r\n")
		refused(t, c)
		if s := <-sessions; s.Reason != Header || s.Endpoint.IsValid() {
			t.Errorf("session %+v", s)
		}
	})
}

// A half-closed connection goes on in the other direction.
func TestFindHalfClose(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		target := server(t, func(c net.Conn) {
			all, _ := io.ReadAll(c)
			fmt.Fprintf(c, "%d bytes\n", len(all))
		})
		apply(t, b, Desired{Key: "p", Listen: loopback, Options: finding(target)})
		c := dial(t, b, "p")
		io.WriteString(c, strings.Repeat("x", 1<<20))
		c.CloseWrite()
		if s := line(t, c); s != fmt.Sprintf("%d bytes", 1<<20) {
			t.Errorf("%q", s)
		}
		ended(t, b, "p", Done, 1)
	})
}

// Connections stand and are made while endpoints and options change all the time.
func TestFindWhileAllChanges(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		var now atomic.Pointer[[]netip.AddrPort]
		good := []netip.AddrPort{named(t, "x"), named(t, "x")}
		now.Store(&good)
		o := Options{Find: func(*loop.Loop) []netip.AddrPort { return *now.Load() }, Idle: time.Hour, Tries: 3}
		apply(t, b, Desired{Key: "p", Listen: loopback, Options: o})
		at := where(t, b, "p").String()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				long, err := net.Dial("tcp", at)
				if err != nil {
					t.Error(err)
					return
				}
				defer long.Close()
				long.SetDeadline(time.Now().Add(20 * time.Second))
				line(t, long)
				for range 50 {
					io.WriteString(long, "y\n")
					if s := line(t, long); s != "y" {
						t.Errorf("%q", s)
					}
					c, err := net.Dial("tcp", at)
					if err != nil {
						t.Error(err)
						return
					}
					c.SetDeadline(time.Now().Add(20 * time.Second))
					if s := line(t, c); s != "x" {
						t.Errorf("%q", s)
					}
					c.Close()
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		bad := gone(t)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				list := []netip.AddrPort{good[i%2], bad}
				now.Store(&list)
				apply(t, b, Desired{Key: "p", Listen: loopback, Options: o})
			}
		}
	})
}

// A connection that somebody else has accepted is handed on with what was read of it.
func TestPassage(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		target := server(t, func(c net.Conn) { io.Copy(c, c) })
		sessions := make(chan *Session, 1)
		p := b.Passage("tls", Options{Idle: time.Hour, Ended: func(s *Session) { sessions <- s }})
		from := netip.MustParseAddrPort("192.0.2.7:4711")
		ln, err := b.engine.Listen(loopback, func(c *loop.Conn) {
			buf := make([]byte, 16)
			n, err := c.Read(buf)
			if err != nil {
				c.Close()
				return
			}
			c.Unread(buf[:n])
			p.Hand(c, from, func(*loop.Loop) []netip.AddrPort { return []netip.AddrPort{target} })
		})
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, "all of it\n")
		if s := line(t, c); s != "all of it" {
			t.Errorf("%q", s)
		}
		if s := b.Stats().Passages; len(s) != 1 || s[0].Key != "tls" || s[0].Open != 1 || s[0].Accepted != 1 {
			t.Errorf("stats %+v", s)
		}
		b.Forget(func(string) bool { return false })
		io.WriteString(c, "still there\n")
		if s := line(t, c); s != "still there" {
			t.Errorf("%q", s)
		}
		c.Close()
		if s := <-sessions; s.Client != from || s.Reason != Done || s.In != 22 {
			t.Errorf("session %+v", s)
		}
		if len(b.Stats().Passages) != 0 {
			t.Error("a passage that was forgotten is told")
		}
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
