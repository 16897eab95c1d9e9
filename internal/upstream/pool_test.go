package upstream

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// addrs returns n addresses, from first on.
func addrs(first, n int) []netip.AddrPort {
	var as []netip.AddrPort
	for i := range n {
		as = append(as, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(first + i)}), 80))
	}
	return as
}

// poolOf returns a pool without loops.
func poolOf(t testing.TB, sticky *model.Sticky, as []netip.AddrPort) (*Set, *Pool) {
	s := NewSet(nil)
	t.Cleanup(s.Close)
	s.Apply([]model.Upstream{{Name: "app", Sticky: sticky}}, DefaultKeepAlive)
	give(s, as)
	return s, s.Pool("app")
}

func give(s *Set, as []netip.AddrPort) {
	s.SetEndpoints([]model.EndpointSet{{Upstream: "app", Endpoints: as}})
}

func TestRoundRobinIsEven(t *testing.T) {
	for n := 1; n <= 7; n++ {
		_, p := poolOf(t, nil, addrs(1, n))
		count := map[netip.AddrPort]int{}
		for i := range 10 * n {
			count[p.Pick(&exchange.Exchange{}).Addr()]++
			if i%n == n-1 { // after each round
				for a, c := range count {
					if c != i/n+1 {
						t.Fatalf("%d endpoints: %s was picked %d times in %d rounds", n, a, c, i/n+1)
					}
				}
			}
		}
		if len(count) != n {
			t.Errorf("%d endpoints: %d were picked", n, len(count))
		}
	}
}

func TestRoundRobinStartsAnywhere(t *testing.T) {
	first := map[netip.AddrPort]bool{}
	for range 200 {
		_, p := poolOf(t, nil, addrs(1, 3))
		first[p.Pick(&exchange.Exchange{}).Addr()] = true
	}
	if len(first) != 3 {
		t.Errorf("of 200 pools with 3 endpoints all began with one of %v", first)
	}
}

func TestPickAvoidsTried(t *testing.T) {
	for _, sticky := range []*model.Sticky{nil, {Mode: "balanced"}, {Mode: "persistent"}} {
		_, p := poolOf(t, sticky, addrs(1, 3))
		for range 100 {
			x := &exchange.Exchange{}
			seen := map[netip.AddrPort]bool{}
			for range 3 {
				e := p.Pick(x)
				if seen[e.Addr()] {
					t.Fatalf("sticky %+v: %s was picked again although others are left", sticky, e.Addr())
				}
				seen[e.Addr()] = true
				x.Upstream.Tries = append(x.Upstream.Tries, exchange.Try{Addr: e.Addr()})
			}
			if p.Pick(x) == nil {
				t.Fatal("no endpoint when all were tried, want one of them again")
			}
		}
	}
}

func TestEmptyPool(t *testing.T) {
	s, p := poolOf(t, nil, nil)
	if !p.Empty() || p.Pick(&exchange.Exchange{}) != nil {
		t.Error("a pool without endpoints is not empty")
	}
	give(s, addrs(1, 1))
	if p.Empty() || p.Pick(&exchange.Exchange{}) == nil {
		t.Error("a pool with an endpoint is empty")
	}
}

func TestStickyKeysStay(t *testing.T) {
	for _, mode := range []string{"balanced", "persistent"} {
		s, p := poolOf(t, &model.Sticky{Mode: mode}, addrs(1, 4))
		_, twin := poolOf(t, &model.Sticky{Mode: mode}, addrs(1, 4)) // another replica
		keys := map[string]netip.AddrPort{}
		count := map[netip.AddrPort]int{}
		for range 400 {
			x := &exchange.Exchange{}
			e := p.Pick(x)
			if !x.Affinity.Fresh || x.Affinity.Picked == "" {
				t.Fatalf("%s: a client without a key got %+v, want a fresh key", mode, x.Affinity)
			}
			keys[x.Affinity.Picked] = e.Addr()
			count[e.Addr()]++
		}
		for a, n := range count {
			if n < 40 {
				t.Errorf("%s: %s got %d of 400 new sessions at 4 endpoints", mode, a, n)
			}
		}
		ask := func(p *Pool, key string) (netip.AddrPort, exchange.Affinity) {
			x := &exchange.Exchange{Affinity: exchange.Affinity{Key: key}}
			return p.Pick(x).Addr(), x.Affinity
		}
		for key, want := range keys {
			for _, p := range []*Pool{p, twin} {
				if got, a := ask(p, key); got != want || a.Fresh || a.Picked != key {
					t.Fatalf("%s: key %q leads to %s (%+v), want %s", mode, key, got, a, want)
				}
			}
		}
		gone := addrs(4, 1)[0]
		give(s, addrs(1, 3))
		for key, was := range keys {
			got, a := ask(p, key)
			switch {
			case was != gone && (got != was || a.Fresh):
				t.Fatalf("%s: key %q moved from %s to %s though that one stayed", mode, key, was, got)
			case was == gone && mode == "persistent" && (!a.Fresh || a.Picked == key):
				t.Fatalf("%s: key %q of an endpoint that went is answered with %+v, want a fresh one", mode, key, a)
			}
		}
	}
}

func TestStickyUnknownKey(t *testing.T) {
	_, p := poolOf(t, &model.Sticky{Mode: "persistent"}, addrs(1, 2))
	x := &exchange.Exchange{Affinity: exchange.Affinity{Key: "made up"}}
	if e := p.Pick(x); !x.Affinity.Fresh || x.Affinity.Picked != digest("app", e.Addr()) {
		t.Errorf("unknown key: %+v, want the key of %s", x.Affinity, e.Addr())
	}
}

func TestSetKeepsWhatStays(t *testing.T) {
	s, p := poolOf(t, nil, addrs(1, 2))
	find := func(a netip.AddrPort) *Endpoint {
		for _, e := range p.view.Load().endpoints {
			if e.Addr() == a {
				return e
			}
		}
		return nil
	}
	a1, a2 := find(addrs(1, 1)[0]), find(addrs(2, 1)[0])
	give(s, addrs(2, 2))
	if find(a1.Addr()) != nil || !a1.gone.Load() {
		t.Error("an endpoint that went is still there")
	}
	if find(a2.Addr()) != a2 || a2.gone.Load() {
		t.Error("an endpoint that stayed was replaced")
	}
	sticky := &model.Sticky{Mode: "persistent"}
	s.Apply([]model.Upstream{{Name: "app", Sticky: sticky}, {Name: "other"}}, DefaultKeepAlive)
	if s.Pool("app") != p || find(a2.Addr()) != a2 {
		t.Error("another session affinity replaced the pool or its endpoints")
	}
	if x := new(exchange.Exchange); p.Pick(x) == nil || x.Affinity.Picked == "" {
		t.Error("the new session affinity does not count")
	}
	s.Apply([]model.Upstream{{Name: "app", Protocol: "HTTPS"}}, DefaultKeepAlive)
	q := s.Pool("app")
	if q == p || q.Empty() || !a2.gone.Load() {
		t.Error("another protocol needs a new pool with the same endpoints, and the end of the old one")
	}
	if p.Pick(&exchange.Exchange{}) == nil {
		t.Error("a retired pool must serve the requests that still have it")
	}
	if s.Pool("other") != nil {
		t.Error("a pool that is not in the configuration is still found")
	}
}

func TestEndpointsBeforeApply(t *testing.T) {
	s := NewSet(nil)
	give(s, addrs(1, 2))
	s.Apply([]model.Upstream{{Name: "app"}}, DefaultKeepAlive)
	var got []netip.AddrPort
	for _, e := range s.Pool("app").Snapshot().Endpoints {
		got = append(got, e.Addr)
	}
	if !slices.Equal(got, addrs(1, 2)) {
		t.Errorf("endpoints %v, want those given before Apply", got)
	}
	s.Apply(nil, DefaultKeepAlive)
	s.Apply([]model.Upstream{{Name: "app"}}, DefaultKeepAlive)
	if !s.Pool("app").Empty() {
		t.Error("endpoints of an upstream that was removed come back with its name")
	}
}

func TestPickAllocations(t *testing.T) {
	for _, c := range []struct {
		sticky *model.Sticky
		key    string
	}{{nil, ""}, {&model.Sticky{Mode: "balanced"}, ""}, {&model.Sticky{Mode: "balanced"}, "a key"}, {&model.Sticky{Mode: "persistent"}, ""}} {
		_, p := poolOf(t, c.sticky, addrs(1, 5))
		x := &exchange.Exchange{}
		if n := testing.AllocsPerRun(100, func() {
			x.Reset()
			x.Affinity.Key = c.key
			p.Pick(x)
		}); n != 0 {
			t.Errorf("Pick, sticky %+v, key %q: %v allocations", c.sticky, c.key, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, mode := range []string{"", "balanced", "persistent"} {
		b.Run(fmt.Sprintf("sticky=%s", mode), func(b *testing.B) {
			var s *model.Sticky
			if mode != "" {
				s = &model.Sticky{Mode: mode}
			}
			_, p := poolOf(b, s, addrs(1, 50))
			x := &exchange.Exchange{}
			b.ReportAllocs()
			for b.Loop() {
				x.Affinity.Key = "0123456789abcdef"
				p.Pick(x)
			}
		})
	}
}

// An endpoint that drains keeps the sessions that are bound to it until it does not
// answer any more, and gets no new ones; without sessions it is gone at once.
func TestDrainingEndpoints(t *testing.T) {
	all := addrs(1, 3)
	leaving := all[2]
	drain := func(s *Set) {
		s.SetEndpoints([]model.EndpointSet{{Upstream: "app", Endpoints: all[:2], Draining: all[2:]}})
	}
	for _, mode := range []string{"balanced", "persistent"} {
		s, p := poolOf(t, &model.Sticky{Mode: mode}, all)
		keys := map[string]netip.AddrPort{}
		for range 200 {
			x := &exchange.Exchange{}
			addr := p.Pick(x).Addr()
			keys[x.Affinity.Picked] = addr
		}
		drain(s)
		for key, was := range keys {
			x := &exchange.Exchange{Affinity: exchange.Affinity{Key: key}}
			if got := p.Pick(x).Addr(); got != was || x.Affinity.Fresh {
				t.Fatalf("%s: the session at %s moved to %s", mode, was, got)
			}
			if was != leaving {
				continue
			}
			x.Upstream.Tries = append(x.Upstream.Tries, exchange.Try{Addr: leaving})
			if got := p.Pick(x).Addr(); got == leaving || !x.Affinity.Fresh || x.Affinity.Picked == key {
				t.Fatalf("%s: after a failure there the session at the draining endpoint goes to %s, %+v", mode, got, x.Affinity)
			}
		}
		for range 200 {
			if got := p.Pick(&exchange.Exchange{}).Addr(); got == leaving {
				t.Fatalf("%s: a new session goes to the draining endpoint", mode)
			}
		}
		e := p.view.Load().draining[0]
		if give(s, all[:2]); !e.Gone() || e.Addr() != leaving {
			t.Errorf("%s: the endpoint that drained is kept when it is gone", mode)
		}
	}
	s, p := poolOf(t, nil, all)
	e := p.view.Load().endpoints[2]
	if drain(s); !e.Gone() || len(p.view.Load().draining) != 0 {
		t.Error("without sessions a draining endpoint is kept")
	}
	if drain(s); p.Snapshot().Endpoints[0].Addr != all[0] || len(p.Snapshot().Endpoints) != 2 {
		t.Errorf("endpoints are %v", p.Snapshot().Endpoints)
	}
}
