package upstream

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

// trial is a pool without loops whose tries are told at times of the test.
type trial struct {
	*Pool
	t       *testing.T
	run     *clockwork
	reports []HealthChange
}

func newTrial(t *testing.T, u model.Upstream, n int) *trial {
	s := NewSet(nil)
	t.Cleanup(s.Close)
	tr := &trial{t: t, run: &clockwork{at: time.Now()}}
	s.Report = func(c HealthChange) { tr.reports = append(tr.reports, c) }
	u.Name = "app"
	s.Apply([]model.Upstream{u}, DefaultKeepAlive)
	give(s, addrs(1, n))
	tr.Pool = s.Pool("app")
	return tr
}

// at returns the i-th endpoint.
func (tr *trial) at(i int) *Endpoint { return tr.view.Load().endpoints[i] }

// fails tells of n failed tries at the i-th endpoint.
func (tr *trial) fails(i, n int) {
	for range n {
		tr.Tell(tr.at(i), tr.run.at, 0, true)
	}
}

func (tr *trial) works(i int) { tr.Tell(tr.at(i), tr.run.at, 0, false) }

func (tr *trial) pass(d time.Duration) { tr.run.at = tr.run.at.Add(d) }

// picked counts who gets requests.
func (tr *trial) picked(n int) map[netip.AddrPort]int {
	count := map[netip.AddrPort]int{}
	for range n {
		x := asks("/")
		x.Run = tr.run
		count[tr.Pick(x).Addr()]++
	}
	return count
}

func (tr *trial) gets(i int) int { return tr.picked(1000)[addrs(i+1, 1)[0]] }

var ejecting = model.Upstream{Balancing: model.Balancing{EjectAfter: 3, EjectFor: 10 * time.Second}}

func TestEjection(t *testing.T) {
	for _, balance := range []string{"round_robin", "ewma", "least_requests", "hash"} {
		u := ejecting
		u.Balance, u.HashBy = balance, "$request_uri"
		tr := newTrial(t, u, 4)
		tr.fails(0, 2)
		tr.works(0)
		tr.fails(0, 2)
		if len(tr.reports) != 0 {
			t.Fatalf("%s: ejected although one try between 4 failures worked", balance)
		}
		tr.fails(0, 1)
		if len(tr.reports) != 1 || tr.reports[0] != (HealthChange{Upstream: "app", Addr: addrs(1, 1)[0], Why: "failures in a row", For: 10 * time.Second, Left: 3}) {
			t.Fatalf("%s: after 3 failures in a row the reports are %+v", balance, tr.reports)
		}
		if n := tr.gets(0); n != 0 {
			t.Errorf("%s: the ejected endpoint got %d of 1000", balance, n)
		}
		tr.pass(10 * time.Second)
		if e := tr.at(0); !e.health.fit(clock(tr.run.at)) {
			t.Errorf("%s: the endpoint is not back after 10 s", balance)
		}
	}
}

// What fails again soon is out for twice as long, up to a bound; what was well for a while
// begins anew.
func TestEjectionGrows(t *testing.T) {
	tr := newTrial(t, ejecting, 4)
	for i, want := range []time.Duration{10, 20, 40, 80, 160, 160} {
		tr.fails(0, 3)
		if got := tr.reports[len(tr.reports)-1].For; len(tr.reports) != i+1 || got != want*time.Second {
			t.Fatalf("ejection %d is for %s, want %d s", i+1, got, want)
		}
		tr.fails(0, 5) // of requests that were on their way
		tr.pass(want*time.Second + time.Second)
	}
	tr.pass(160 * time.Second)
	tr.fails(0, 3)
	if got := tr.reports[len(tr.reports)-1].For; got != 10*time.Second {
		t.Errorf("after a good while the ejection is for %s, want 10 s", got)
	}
}

// Half of the endpoints may be out, and no more; one alone never is.
func TestEjectionLeavesHalf(t *testing.T) {
	for n, most := range map[int]int{1: 0, 2: 1, 3: 1, 4: 2, 5: 2} {
		tr := newTrial(t, ejecting, n)
		for i := range n {
			tr.fails(i, 6)
		}
		if len(tr.reports) != most {
			t.Errorf("of %d endpoints %d were ejected, want %d", n, len(tr.reports), most)
		}
		if h := tr.set.Health(); h[0].Ejections != uint64(most) || h[0].AllAreUsed {
			t.Errorf("of %d endpoints: %+v", n, h)
		}
	}
}

// Without eject-after nothing is counted, which is ingress-nginx's way.
func TestNoEjectionByDefault(t *testing.T) {
	tr := newTrial(t, model.Upstream{}, 2)
	tr.fails(0, 1000)
	if n := tr.gets(0); n != 500 || len(tr.reports) != 0 || len(tr.set.Health()) != 0 {
		t.Errorf("an endpoint that fails got %d of 1000; reports %v", n, tr.reports)
	}
}

// The share of an endpoint that is out goes to all others alike.
func TestEjectedShare(t *testing.T) {
	tr := newTrial(t, ejecting, 4)
	tr.fails(1, 3)
	for a, n := range tr.picked(3000) {
		if n < 990 || n > 1010 {
			t.Errorf("%s got %d of 3000, want a third", a, n)
		}
	}
}

// With no endpoint in use all are, each of them once for a request.
func TestAllOutAllUsed(t *testing.T) {
	for _, sticky := range []*model.Sticky{nil, {Mode: "balanced"}, {Mode: "persistent"}} {
		u := ejecting
		u.Sticky = sticky
		tr := newTrial(t, u, 3)
		why := "status 500"
		for i := range 3 {
			tr.at(i).health.sick.Store(&why)
		}
		x := asks("/")
		x.Run = tr.run
		seen := map[netip.AddrPort]bool{}
		for range 3 {
			e := tr.Pick(x)
			seen[e.Addr()] = true
			x.Upstream.Tries = append(x.Upstream.Tries, exchange.Try{Addr: e.Addr()})
		}
		if len(seen) != 3 {
			t.Errorf("sticky %v: 3 tries went to %v", sticky, seen)
		}
		if h := tr.set.Health(); !h[0].AllAreUsed || h[0].Endpoints[0].Out != "unhealthy: status 500" {
			t.Errorf("sticky %v: told %+v", sticky, h)
		}
	}
}

// When all that are in use were tried, one of them is tried again: what is out stays out.
func TestTriesStayInUse(t *testing.T) {
	tr := newTrial(t, ejecting, 3)
	tr.fails(2, 3)
	for range 50 {
		x := asks("/")
		x.Run = tr.run
		for range 4 {
			e := tr.Pick(x)
			if e == tr.at(2) {
				t.Fatal("a further try went to the ejected endpoint")
			}
			x.Upstream.Tries = append(x.Upstream.Tries, exchange.Try{Addr: e.Addr()})
		}
	}
}

// A session whose endpoint is out gets another one, and a new cookie.
func TestEjectionMovesSessions(t *testing.T) {
	for _, mode := range []string{"balanced", "persistent"} {
		u := ejecting
		u.Sticky = &model.Sticky{Mode: mode}
		tr := newTrial(t, u, 4)
		x := asks("/")
		x.Run = tr.run
		e := tr.Pick(x)
		x.Affinity.Key = x.Affinity.Picked
		for range 3 {
			tr.Tell(e, tr.run.at, 0, true)
		}
		if other := tr.Pick(x); other == e || !x.Affinity.Fresh || x.Affinity.Picked == x.Affinity.Key {
			t.Errorf("%s: the session stays at the ejected endpoint: %+v", mode, x.Affinity)
		}
	}
}

// A newcomer gets a tenth of its share first, and all of it in the end; so does one that
// is back. Those that come together are alike.
func TestSlowStart(t *testing.T) {
	for _, balance := range []string{"round_robin", "ewma", "least_requests"} {
		u := ejecting
		u.Balance, u.SlowStart = balance, 100*time.Second
		tr := newTrial(t, u, 4)
		if n := tr.gets(0); n < 150 || n > 350 {
			t.Errorf("%s: the first endpoints are not alike: one of 4 got %d of 1000", balance, n)
		}
		give(tr.set, addrs(1, 5))
		tr.run.at = time.Now()
		joined := tr.gets(4)
		tr.pass(50 * time.Second)
		half := tr.gets(4)
		tr.pass(50 * time.Second)
		full := tr.gets(4)
		if joined > 60 || half < 60 || half > 170 || full < 140 {
			t.Errorf("%s: a newcomer among 5 got %d, %d and %d of 1000", balance, joined, half, full)
		}
		tr.fails(0, 3)
		tr.pass(10 * time.Second)
		if n := tr.gets(0); n > 60 || n == 0 && balance != "ewma" { // which remembers the failures
			t.Errorf("%s: an endpoint that is back got %d of 1000", balance, n)
		}
	}
}

// Other rules begin without what was known by the old ones; the same rules do not.
func TestNewRulesForget(t *testing.T) {
	tr := newTrial(t, ejecting, 4)
	tr.fails(0, 3)
	u := ejecting
	u.Name, u.Balance = "app", "ewma"
	tr.set.Apply([]model.Upstream{u}, DefaultKeepAlive)
	if tr.gets(0) != 0 {
		t.Error("another way to balance forgets who is ejected")
	}
	u.EjectAfter = 5
	tr.set.Apply([]model.Upstream{u}, DefaultKeepAlive)
	if tr.gets(0) == 0 {
		t.Error("an endpoint that was ejected by another rule is still out")
	}
}

func TestGuardedPickAllocations(t *testing.T) {
	for _, balance := range []string{"round_robin", "ewma", "least_requests", "hash"} {
		u := ejecting
		u.Balance, u.HashBy, u.SlowStart = balance, "$request_uri", time.Minute
		tr := newTrial(t, u, 5)
		tr.fails(0, 3)
		x := asks("/")
		if n := testing.AllocsPerRun(100, func() {
			x.Reset()
			x.Run = tr.run
			tr.Tell(tr.Pick(x), tr.run.at, time.Second, false)
		}); n != 0 {
			t.Errorf("%s: %v allocations", balance, n)
		}
	}
}
