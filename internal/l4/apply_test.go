package l4

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/wire/proxyproto"
)

func TestApplyChangesTargetsUnderConnections(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		one, two := named(t, "one"), named(t, "two")
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{one}})
		at := where(t, b, "p")
		c := dial(t, b, "p")
		if s := line(t, c); s != "one" {
			t.Fatal(s)
		}
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{two}})
		if where(t, b, "p") != at {
			t.Error("the port was opened anew")
		}
		if s := line(t, dial(t, b, "p")); s != "two" {
			t.Errorf("new connection goes to %q", s)
		}
		io.WriteString(c, "still\n")
		if s := line(t, c); s != "still" {
			t.Errorf("old connection: %q", s)
		}
		apply(t, b)
		io.WriteString(c, "there\n")
		if s := line(t, c); s != "there" {
			t.Errorf("old connection after its port went: %q", s)
		}
		if _, err := net.Dial("tcp", at.String()); err == nil {
			t.Error("a port that went still accepts")
		}
	})
}

func TestApplyATakenPortIsAnErrorOfThatPortOnly(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		taken := l.Addr().(*net.TCPAddr).AddrPort()
		target := named(t, "x")
		desired := []Desired{
			{Key: "a", Listen: loopback, Targets: []netip.AddrPort{target}},
			{Key: "b", Listen: taken, Targets: []netip.AddrPort{target}},
			{Key: "c", Listen: taken, Targets: []netip.AddrPort{target}},
		}
		errs := b.Apply(desired)
		if len(errs) != 2 || errs[0].Key != "c" || !strings.Contains(errs[0].Error(), "that of b already") ||
			errs[1].Key != "b" || !strings.Contains(errs[1].Error(), taken.String()) {
			t.Errorf("errors %v", errs)
		}
		if s := line(t, dial(t, b, "a")); s != "x" {
			t.Errorf("%q", s)
		}
		l.Close()
		apply(t, b, desired[:2]...)
		if s := line(t, dial(t, b, "b")); s != "x" {
			t.Errorf("after the port was free: %q", s)
		}
	})
}

// An address that goes from one Service to another is listened on all the time.
func TestApplyHandsAnAddressOver(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		at := gone(t)
		apply(t, b, Desired{Key: "a", Listen: at, Targets: []netip.AddrPort{named(t, "a")}})
		ln := b.ports[place{listen: at}].listener
		apply(t, b, Desired{Key: "b", Listen: at, Targets: []netip.AddrPort{named(t, "b")}})
		if b.ports[place{listen: at}].listener != ln {
			t.Error("the address was closed and opened again")
		}
		if s := line(t, dial(t, b, "b")); s != "b" {
			t.Errorf("%q", s)
		}
	})
}

// Connections are made all the time while targets come and go; one of them is always
// good. None may fail.
func TestApplyWhileConnectionsAreMade(t *testing.T) {
	onBoth(t, Config{Interval: -1, Down: time.Millisecond}, func(t *testing.T, b *Balancer) {
		good := []netip.AddrPort{named(t, "x"), named(t, "x"), named(t, "x")}
		bad := gone(t)
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: good})
		at := where(t, b, "p").String()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					c, err := net.Dial("tcp", at)
					if err != nil {
						t.Error(err)
						return
					}
					c.SetDeadline(time.Now().Add(10 * time.Second))
					buf := make([]byte, 2)
					if _, err := io.ReadFull(c, buf); err != nil {
						t.Error(err)
					}
					c.Close()
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		for {
			select {
			case <-done:
				return
			default:
				apply(t, b, Desired{Key: "p", Listen: loopback, Targets: append([]netip.AddrPort{bad}, good[rand.IntN(3):]...)})
			}
		}
	})
}

func TestCloseWaitsForConnections(t *testing.T) {
	onBoth(t, quiet, func(t *testing.T, b *Balancer) {
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{named(t, "x")}})
		at := where(t, b, "p").String()
		c := dial(t, b, "p")
		line(t, c)
		closed := make(chan error)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		go func() { closed <- b.Close(ctx) }()
		for {
			if other, err := net.Dial("tcp", at); err != nil {
				break
			} else {
				other.Close()
			}
		}
		io.WriteString(c, "go on\n")
		if s := line(t, c); s != "go on" {
			t.Errorf("%q", s)
		}
		select {
		case err := <-closed:
			t.Errorf("Close did not wait for the connection: %v", err)
		default:
		}
		c.Close()
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		if errs := b.Apply(nil); len(errs) != 1 {
			t.Error("a closed Balancer takes ports")
		}
	})
}

func TestCloseEndsWhatIsLeft(t *testing.T) {
	cfg := quiet
	cfg.Lull = time.Millisecond
	onBoth(t, cfg, func(t *testing.T, b *Balancer) {
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{named(t, "x")}})
		var cs []net.Conn
		for range 10 {
			c := dial(t, b, "p")
			line(t, c)
			cs = append(cs, c)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := b.Close(ctx); err != context.Canceled {
			t.Errorf("Close: %v", err)
		}
		for _, c := range cs {
			refused(t, c)
		}
	})
}

func TestEngineCloseEndsConnections(t *testing.T) {
	onBoth(t, Config{Interval: time.Millisecond, Lull: time.Millisecond}, func(t *testing.T, b *Balancer) {
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{named(t, "x")}, Options: Options{Idle: time.Hour}})
		c := dial(t, b, "p")
		line(t, c)
		b.engine.Close()
		refused(t, c)
		if n := b.Stats().Open; n != 0 {
			t.Errorf("%d connections are counted as open", n)
		}
	})
}

func TestChecksTakeTargetsOutAndBringThemBack(t *testing.T) {
	cfg := Config{Interval: 2 * time.Millisecond, Timeout: time.Second, Down: time.Nanosecond, Healthy: 2, Unhealthy: 3}
	onBoth(t, cfg, func(t *testing.T, b *Balancer) {
		at := gone(t)
		apply(t, b, Desired{Key: "p", Listen: loopback, Targets: []netip.AddrPort{at}})
		until := func(up bool) {
			t.Helper()
			deadline := time.Now().Add(10 * time.Second)
			for b.Stats().Targets[0].Up != up {
				if time.Now().After(deadline) {
					t.Fatalf("target is not up=%v", up)
				}
				onLoops(b)
			}
		}
		until(false)
		l, err := net.Listen("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		until(true)
		l.Close()
		until(false)
	})
}

func TestThresholds(t *testing.T) {
	tg := newTarget(netip.MustParseAddrPort("127.0.0.1:80"))
	now := time.Now()
	for i, step := range []struct{ ok, up bool }{
		{false, true}, {false, true}, {true, true}, {false, true}, {false, true}, {false, false},
		{true, false}, {false, false}, {true, false}, {true, true},
	} {
		tg.checked(step.ok, 2, 3)
		if tg.up(now) != step.up {
			t.Errorf("check %d: up %v, want %v", i, tg.up(now), step.up)
		}
	}
	tg.lost(now, time.Minute)
	if tg.up(now.Add(59*time.Second)) || !tg.up(now.Add(time.Minute)) {
		t.Error("a failed connection does not count for a minute")
	}
}

// routeTo returns a route with n targets.
func routeTo(n int, affinity bool) *route {
	r := &route{Options: Options{Affinity: affinity}}
	for i := range n {
		r.targets = append(r.targets, newTarget(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}), 80)))
	}
	return r
}

func TestAffinity(t *testing.T) {
	now := time.Now()
	r := routeTo(5, true)
	counts := make([]int, 5)
	before := map[netip.Addr]int{}
	for i := range 5000 {
		client := netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/250, i%250))
		got := r.pick(&attempts{}, client, uint32(i), now)
		if again := r.pick(&attempts{}, client, rand.Uint32(), now); again != got {
			t.Fatalf("%s goes to %d and to %d", client, got, again)
		}
		counts[got]++
		before[client] = got
	}
	for i, n := range counts {
		if n < 800 || n > 1200 {
			t.Errorf("target %d has %d of 5000 clients", i, n)
		}
	}
	// When a target goes, only its clients move, and not all to the same one.
	r.targets[2].lost(now, time.Minute)
	moved := map[int]int{}
	for client, was := range before {
		got := r.pick(&attempts{}, client, 0, now)
		if was != 2 && got != was {
			t.Errorf("%s moved from %d to %d although its target is up", client, was, got)
		}
		if was == 2 {
			moved[got]++
		}
	}
	if moved[2] != 0 || len(moved) != 4 {
		t.Errorf("clients of the lost target went to %v", moved)
	}
}

func TestPickTriesEachTargetOnce(t *testing.T) {
	for _, affinity := range []bool{false, true} {
		r := routeTo(7, affinity)
		now := time.Now()
		r.targets[1].lost(now, time.Minute)
		r.targets[4].unhealthy.Store(true)
		var tried attempts
		var order []int
		for i := r.pick(&tried, netip.MustParseAddr("10.0.0.1"), 3, now); i >= 0; i = r.pick(&tried, netip.MustParseAddr("10.0.0.1"), 3, now) {
			tried.add(i)
			order = append(order, i)
		}
		if len(order) != 7 {
			t.Fatalf("affinity %v: order %v", affinity, order)
		}
		for _, i := range order[:5] {
			if i == 1 || i == 4 {
				t.Errorf("affinity %v: target %d is down but not among the last: %v", affinity, i, order)
			}
		}
		if !affinity && fmt.Sprint(order[:5]) != "[3 5 6 0 2]" {
			t.Errorf("round robin order %v", order)
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	r := routeTo(20, true)
	now := time.Now()
	client := netip.MustParseAddr("10.0.0.1")
	r.Sources = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	var tried attempts
	head := make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() {
		if r.admits(client) {
			r.pick(&tried, client, 7, now)
		}
		head = proxyproto.AppendV1(head[:0], netip.AddrPortFrom(client, 1), netip.AddrPortFrom(client, 2))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
