package l4

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/wire/proxyproto"
)

func TestBytesGoBothWays(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{named(t, "one")}})
		c := dial(t, b, "p")
		r := bufio.NewReader(c)
		if s, err := r.ReadString('\n'); s != "one\n" {
			t.Fatalf("%q %v", s, err)
		}
		big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB: more than any buffer on the way
		go io.WriteString(c, big)
		got := make([]byte, len(big))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != big {
			t.Fatalf("echo differs or is cut: %v", err)
		}
		c.CloseWrite()
		if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 {
			t.Errorf("after the end: %q %v", rest, err)
		}
		ended(t, b, "p", Done, 1)
		p := b.Stats().Ports[0]
		if p.Accepted != 1 || p.Open != 0 || p.In != 1<<20 || p.Out != 1<<20+4 || b.Stats().Open != 0 {
			t.Errorf("numbers %+v", p)
		}
	})
}

// A client that has sent all still gets the answer, and a server that has answered
// still gets the rest of the request.
func TestHalfClose(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		got := make(chan string, 1)
		late := server(t, func(c net.Conn) {
			all, _ := io.ReadAll(c)
			io.WriteString(c, "got "+string(all))
		})
		early := server(t, func(c net.Conn) {
			io.WriteString(c, "hello")
			c.(*net.TCPConn).CloseWrite()
			all, _ := io.ReadAll(c)
			got <- string(all)
		})
		apply(t, b, Desired{Key: "late", Listen: loopback, Targets: []netip.AddrPort{late}}, Desired{Key: "early", Listen: loopback, Targets: []netip.AddrPort{early}})
		c := dial(t, b, "late")
		io.WriteString(c, "request")
		c.CloseWrite()
		if all, err := io.ReadAll(c); string(all) != "got request" {
			t.Errorf("late: %q %v", all, err)
		}
		c = dial(t, b, "early")
		if all, err := io.ReadAll(c); string(all) != "hello" {
			t.Errorf("early: %q %v", all, err)
		}
		io.WriteString(c, "afterwards")
		c.Close()
		if s := <-got; s != "afterwards" {
			t.Errorf("early got %q", s)
		}
		ended(t, b, "late", Done, 1)
		ended(t, b, "early", Done, 1)
	})
}

func TestRoundRobin(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{named(t, "1"), named(t, "2"), named(t, "3")}})
		counts := map[string]int{}
		for range 9 {
			counts[line(t, dial(t, b, "p"))]++
		}
		if counts["1"] != 3 || counts["2"] != 3 || counts["3"] != 3 {
			t.Errorf("connections %v", counts)
		}
	})
}

func TestProxyHeader(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		heads := make(chan string, 1)
		target := server(t, func(c net.Conn) {
			all, _ := io.ReadAll(c)
			heads <- string(all)
		})
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{target}, Options: Options{ProxyV1: true}})
		c := dial(t, b, "p")
		io.WriteString(c, "bytes")
		c.CloseWrite()
		from, to := c.LocalAddr().(*net.TCPAddr), c.RemoteAddr().(*net.TCPAddr)
		want := string(proxyproto.AppendV1(nil, from.AddrPort(), to.AddrPort())) + "bytes"
		if got := <-heads; got != want || !strings.HasPrefix(got, "PROXY TCP4 127.0.0.1 127.0.0.1 ") {
			t.Errorf("target got %q, want %q", got, want)
		}
	})
}

func TestSourceRanges(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		touched := make(chan struct{}, 10)
		target := server(t, func(c net.Conn) { touched <- struct{}{}; io.WriteString(c, "in\n") })
		d := Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{target}}
		d.Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("::/0")}
		apply(t, b, d)
		turnedAway(t, b, "p")
		ended(t, b, "p", Source, 1)
		select {
		case <-touched:
			t.Error("the target was dialled for a client that is not let in")
		default:
		}
		d.Sources = append(d.Sources, netip.MustParsePrefix("127.0.0.0/8"))
		apply(t, b, d)
		if s := line(t, dial(t, b, "p")); s != "in" {
			t.Errorf("%q", s)
		}
	})
}

func TestNoTarget(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		apply(t, b, Desired{Key: "none", Listen: loopback}, Desired{Key: "gone", Listen: loopback, Targets: []netip.AddrPort{gone(t)}})
		turnedAway(t, b, "none")
		ended(t, b, "none", NoTarget, 1)
		turnedAway(t, b, "gone")
		ended(t, b, "gone", Connect, 1)
	})
}

func TestFailedConnectTriesTheNextTarget(t *testing.T) {
	cfg := quiet
	cfg.Down = time.Hour
	onBoth(t, cfg, func(t *testing.T, b *Balancer) {
		dead := gone(t)
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{dead, gone(t), named(t, "alive")}})
		for range 6 {
			if s := line(t, dial(t, b, "p")); s != "alive" {
				t.Errorf("%q", s)
			}
		}
		for _, ts := range b.Stats().Targets {
			if ts.Address == dead && (ts.Up || ts.Failed != 1) {
				t.Errorf("dead target %+v, want it down after one failure and left alone", ts)
			}
		}
		// All are down: the one that answers is still found.
		b.targets[b.Stats().Targets[0].Address].lost(time.Now(), time.Hour)
		for _, tg := range b.targets {
			tg.lost(time.Now(), time.Hour)
		}
		if s := line(t, dial(t, b, "p")); s != "alive" {
			t.Errorf("all down: %q", s)
		}
	})
}

func TestIdleConnectionIsClosed(t *testing.T) {
	cfg := quiet
	cfg.Lull = time.Millisecond // so that silent directions hold no coroutine
	onBoth(t, cfg, func(t *testing.T, b *Balancer) {
		ends := make(chan error, 1)
		target := server(t, func(c net.Conn) {
			buf := make([]byte, 16)
			for {
				if _, err := c.Read(buf); err != nil {
					ends <- err
					return
				}
			}
		})
		const idle = 250 * time.Millisecond
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{target}, Options: Options{Idle: idle}})
		c := dial(t, b, "p")
		// One direction is enough to stay alive.
		tick := time.NewTicker(idle / 10)
		defer tick.Stop()
		begin := time.Now()
		for range 15 {
			<-tick.C
			if _, err := io.WriteString(c, "x"); err != nil {
				t.Fatalf("closed after %v although bytes came: %v", time.Since(begin), err)
			}
		}
		silent := time.Now()
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("read %d, %v; want the end, not a reset", n, err)
		}
		if d := time.Since(silent); d < idle*9/10 || d > 5*time.Second {
			t.Errorf("closed after %v of silence, want %v", d, idle)
		}
		if err := <-ends; err != io.EOF {
			t.Errorf("target: %v", err)
		}
		ended(t, b, "p", Idle, 1)
	})
}

// A connection that was silent for longer than its coroutines stay goes on.
func TestSilentConnectionGoesOn(t *testing.T) {
	cfg := quiet
	cfg.Lull = time.Millisecond
	onBoth(t, cfg, func(t *testing.T, b *Balancer) {
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{named(t, "x")}, Options: Options{Idle: time.Hour}})
		c := dial(t, b, "p")
		line(t, c)
		for range 20 {
			deadline := time.Now().Add(10 * time.Second)
			for b.engine.Stats().Coroutines > 0 {
				if time.Now().After(deadline) {
					t.Fatalf("%d coroutines for a silent connection", b.engine.Stats().Coroutines)
				}
				onLoops(b)
			}
			io.WriteString(c, "y\n")
			if s := line(t, c); s != "y" {
				t.Fatalf("%q", s)
			}
		}
	})
}

func TestResetIsPassedOn(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		ends := make(chan error, 1)
		target := server(t, func(c net.Conn) {
			io.WriteString(c, "hello\n")
			_, err := io.Copy(io.Discard, c)
			ends <- err
		})
		breaks := server(t, func(c net.Conn) {
			c.Read(make([]byte, 1))
			c.(*net.TCPConn).SetLinger(0)
		})
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{target}}, Desired{Key: "breaks", Listen: loopback, Targets: []netip.AddrPort{breaks}})
		c := dial(t, b, "p")
		line(t, c)
		c.SetLinger(0)
		c.Close()
		if err := <-ends; err == nil {
			t.Error("the target reads a clean end although the client broke off")
		}
		ended(t, b, "p", Client, 1)
		c = dial(t, b, "breaks")
		io.WriteString(c, "x")
		if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("the client reads %v although the target broke off", err)
		}
		ended(t, b, "breaks", Server, 1)
	})
}
