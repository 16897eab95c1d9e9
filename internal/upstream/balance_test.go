package upstream

import (
	"fmt"
	"math"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
)

// balanced returns a pool without loops.
func balanced(t testing.TB, b model.Balancing, as []netip.AddrPort) (*Set, *Pool) {
	s := NewSet(nil)
	t.Cleanup(s.Close)
	s.Apply([]model.Upstream{{Name: "app", Balancing: b}}, DefaultKeepAlive)
	give(s, as)
	return s, s.Pool("app")
}

// clockwork is a Runtime with a clock that stands where it was put.
type clockwork struct {
	exchange.Runtime
	at time.Time
}

func (c *clockwork) Now() time.Time { return c.at }

func asks(target string) *exchange.Exchange {
	return &exchange.Exchange{In: &message.Request{Target: target}}
}

var byURI = model.Balancing{Balance: "hash", HashBy: "$request_uri"}

// Each way gives each of 10 endpoints about a tenth of 100,000 requests.
func TestSpread(t *testing.T) {
	const picks, n = 100_000, 10
	for _, c := range []struct {
		balancing model.Balancing
		bound     float64 // by which a share may differ from the mean
	}{
		{model.Balancing{Balance: "round_robin"}, 0},
		{model.Balancing{Balance: "ewma"}, 0.05},
		{model.Balancing{Balance: "least_requests"}, 0.05},
		{byURI, 0.30}, // of 160 points each
		{model.Balancing{Balance: "hash", HashBy: "$request_uri", Subset: 3}, 1.5},
	} {
		_, p := balanced(t, c.balancing, addrs(1, n))
		count := map[netip.AddrPort]int{}
		for i := range picks {
			count[p.Pick(asks(fmt.Sprintf("/%d", i))).Addr()]++
		}
		if len(count) != n {
			t.Errorf("%+v: %d of %d endpoints were picked", c.balancing, len(count), n)
		}
		for a, k := range count {
			if off := math.Abs(float64(k)*n/picks - 1); off > c.bound {
				t.Errorf("%+v: %s got %d of %d", c.balancing, a, k, picks)
			}
		}
	}
}

// When one of ten endpoints goes, only its own texts move, and they come back with it.
func TestHashMovesLittle(t *testing.T) {
	all := addrs(1, 10)
	s, p := balanced(t, byURI, all)
	const texts = 10_000
	where := func() (at [texts]netip.AddrPort) {
		for i := range at {
			at[i] = p.Pick(asks(fmt.Sprintf("/%d", i))).Addr()
		}
		return at
	}
	before := where()
	give(s, all[1:])
	moved := 0
	for i, a := range where() {
		if a != before[i] {
			moved++
			if before[i] != all[0] {
				t.Fatalf("text %d moved from %s, which is there, to %s", i, before[i], a)
			}
		}
	}
	if moved < texts/15 || moved > texts/6 {
		t.Errorf("%d of %d texts moved when one of 10 endpoints went", moved, texts)
	}
	give(s, all)
	if where() != before {
		t.Error("texts are elsewhere after the endpoint came back")
	}
}

// A text has one order of all endpoints: a further try goes to the next one.
func TestHashTriesTheNext(t *testing.T) {
	_, p := balanced(t, byURI, addrs(1, 5))
	order := func() (as []netip.AddrPort) {
		x := asks("/some")
		for range 5 {
			e := p.Pick(x)
			as = append(as, e.Addr())
			x.Upstream.Tries = append(x.Upstream.Tries, exchange.Try{Addr: e.Addr()})
		}
		return as
	}
	first, seen := order(), map[netip.AddrPort]bool{}
	for _, a := range first {
		seen[a] = true
	}
	if again := order(); len(seen) != 5 || fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("5 tries went to %v, and then to %v", first, again)
	}
}

// Like any other text an empty one belongs to one endpoint.
func TestHashOfNothing(t *testing.T) {
	_, p := balanced(t, model.Balancing{Balance: "hash", HashBy: "$http_x_user"}, addrs(1, 9))
	first := p.Pick(asks("/"))
	for range 50 {
		if e := p.Pick(asks("/")); e != first {
			t.Fatalf("without the field %s and %s are picked", first.Addr(), e.Addr())
		}
	}
}

// A text leads to one subset, in which chance decides; the last subset is filled up.
func TestHashSubsets(t *testing.T) {
	for _, n := range []int{2, 3, 7} {
		_, p := balanced(t, model.Balancing{Balance: "hash", HashBy: "$request_uri", Subset: 3}, addrs(1, n))
		for text := range 20 {
			seen := map[netip.AddrPort]bool{}
			for range 300 {
				seen[p.Pick(asks(fmt.Sprintf("/%d", text))).Addr()] = true
			}
			if len(seen) != min(3, n) {
				t.Errorf("%d endpoints: text %d went to %d of them, want %d", n, text, len(seen), min(3, n))
			}
		}
		x := asks("/0")
		seen := map[netip.AddrPort]bool{}
		for range n {
			e := p.Pick(x)
			seen[e.Addr()] = true
			x.Upstream.Tries = append(x.Upstream.Tries, exchange.Try{Addr: e.Addr()})
		}
		if len(seen) != n {
			t.Errorf("%d endpoints: as many tries went to %d of them", n, len(seen))
		}
	}
}

// The one that answers quickly gets most, and the slow one is asked now and then, so that
// it is noticed when it is quick again.
func TestEwma(t *testing.T) {
	_, p := balanced(t, model.Balancing{Balance: "ewma"}, addrs(1, 2))
	slow := addrs(1, 1)[0]
	run := &clockwork{at: time.Now()}
	x := &exchange.Exchange{Run: run}
	phase := func(slowness time.Duration) (toSlow int) {
		for range 60_000 { // a minute
			run.at = run.at.Add(time.Millisecond)
			e := p.Pick(x)
			took := 5 * time.Millisecond
			if e.Addr() == slow {
				took = slowness
				toSlow++
			}
			p.Tell(e, run.at, took, false)
		}
		return toSlow
	}
	if n := phase(100 * time.Millisecond); n < 1 || n > 20_000 {
		t.Errorf("of 60,000 requests in a minute %d went to an endpoint 20 times as slow", n)
	}
	for range 3 { // both forget that they differed
		phase(5 * time.Millisecond)
	}
	if n := phase(5 * time.Millisecond); n < 15_000 || n > 45_000 {
		t.Errorf("of 60,000 requests in a minute %d went to the endpoint that was slow before", n)
	}
}

// Of two endpoints the one that refuses at once is not the quick one.
func TestEwmaFailures(t *testing.T) {
	_, p := balanced(t, model.Balancing{Balance: "ewma"}, addrs(1, 2))
	broken := addrs(1, 1)[0]
	run := &clockwork{at: time.Now()}
	x, toBroken := &exchange.Exchange{Run: run}, 0
	for range 60_000 {
		run.at = run.at.Add(time.Millisecond)
		e := p.Pick(x)
		if e.Addr() == broken {
			toBroken++
			p.Tell(e, run.at, 0, true)
		} else {
			p.Tell(e, run.at, 20*time.Millisecond, false)
		}
	}
	if toBroken > 20_000 {
		t.Errorf("%d of 60,000 requests went to an endpoint that refuses", toBroken)
	}
}

// A new endpoint is taken for as quick as the others are.
func TestEwmaOfNewcomer(t *testing.T) {
	s, p := balanced(t, model.Balancing{Balance: "ewma"}, addrs(1, 2))
	at := time.Now()
	for i, e := range p.view.Load().endpoints {
		e.score.packed.Store(pack(float64(i+1), clock(at))) // 1 s and 2 s
	}
	give(s, addrs(1, 3))
	for _, st := range p.Snapshot().Endpoints {
		if st.Addr == addrs(3, 1)[0] && (st.Score < 1 || st.Score > 1.5) {
			t.Errorf("the new endpoint begins with %v s, want the mean of 1 s and 2 s", st.Score)
		}
	}
}

func TestScoreForgets(t *testing.T) {
	var s score
	for i := range int64(60_000) {
		s.observe(i*int64(time.Millisecond), time.Second)
	}
	end := 60 * time.Second
	for _, c := range []struct {
		after time.Duration
		want  float64
	}{{0, 1}, {decay, 1 / math.E}, {2 * decay, 1 / (math.E * math.E)}} {
		if got := s.at(int64(end + c.after)); math.Abs(got-c.want) > 0.01 {
			t.Errorf("%s after a minute of answers in 1 s the score is %.3f, want %.3f", c.after, got, c.want)
		}
	}
}

// Of two by chance the one with fewer requests is taken: the busiest gets none.
func TestLeastRequests(t *testing.T) {
	_, p := balanced(t, model.Balancing{Balance: "least_requests"}, addrs(1, 4))
	for i, e := range p.view.Load().endpoints { // two loops have it in hand
		e.slots = make([]atomic.Pointer[slot], 2)
		for k := range e.slots {
			e.slots[k].Store(&slot{})
			e.slots[k].Load().inFlight.Store(int64(i * (k + 1)))
		}
	}
	count := map[netip.AddrPort]int{}
	for range 10_000 {
		count[p.Pick(&exchange.Exchange{}).Addr()]++
	}
	all := addrs(1, 4)
	if count[all[3]] != 0 || count[all[0]] < 4_500 || count[all[0]] > 5_500 {
		t.Errorf("picked %v; want half for the idle one and none for the busiest", count)
	}
}

func TestBalancedAvoidsTried(t *testing.T) {
	for _, b := range []model.Balancing{{Balance: "ewma"}, {Balance: "least_requests"}, byURI} {
		_, p := balanced(t, b, addrs(1, 3))
		for range 100 {
			x, seen := asks("/"), map[netip.AddrPort]bool{}
			for range 3 {
				e := p.Pick(x)
				if seen[e.Addr()] {
					t.Fatalf("%+v: %s was picked again although others are left", b, e.Addr())
				}
				seen[e.Addr()] = true
				x.Upstream.Tries = append(x.Upstream.Tries, exchange.Try{Addr: e.Addr()})
			}
			if p.Pick(x) == nil {
				t.Fatalf("%+v: no endpoint when all were tried", b)
			}
		}
	}
}

func TestBalancedPickAllocations(t *testing.T) {
	for _, b := range []model.Balancing{{}, {Balance: "ewma"}, {Balance: "least_requests"}, byURI, {Balance: "hash", HashBy: "$request_uri$http_x", Subset: 2}} {
		_, p := balanced(t, b, addrs(1, 5))
		x := asks("/some/path")
		if n := testing.AllocsPerRun(100, func() {
			x.Reset()
			e := p.Pick(x)
			x.Upstream.Tries = append(x.Upstream.Tries, exchange.Try{Addr: e.Addr()})
			p.Tell(p.Pick(x), time.Now(), time.Second, true)
		}); n != 0 {
			t.Errorf("%+v: %v allocations", b, n)
		}
	}
}

// The way changes without a new pool.
func TestBalancingChanges(t *testing.T) {
	s, p := balanced(t, model.Balancing{Balance: "round_robin"}, addrs(1, 3))
	e := p.view.Load().endpoints[0]
	s.Apply([]model.Upstream{{Name: "app", Balancing: byURI}}, DefaultKeepAlive)
	if s.Pool("app") != p || e.Gone() {
		t.Fatal("another way to balance replaced the pool")
	}
	first := p.Pick(asks("/"))
	for range 10 {
		if p.Pick(asks("/")) != first {
			t.Fatal("the new way does not count")
		}
	}
	if b := p.Snapshot().Balance; b != "hash" {
		t.Errorf("the snapshot tells %q", b)
	}
}
