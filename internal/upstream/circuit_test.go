package upstream

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

// However endpoints are chosen, each gets as many requests as it may have, then none is
// picked, and one that ends makes room for one.
func TestMaxConnections(t *testing.T) {
	for _, u := range []model.Upstream{
		{}, {Balancing: model.Balancing{Balance: "ewma"}}, {Balancing: model.Balancing{Balance: "least_requests"}}, {Balancing: byURI},
		{Balancing: model.Balancing{Balance: "hash", HashBy: "$request_uri", Subset: 2}},
		{Sticky: &model.Sticky{Mode: "balanced"}}, {Sticky: &model.Sticky{Mode: "persistent"}},
	} {
		for n := 1; n <= 3; n++ {
			u.MaxConnections = 2
			tr := newTrial(t, u, n)
			count := map[netip.AddrPort]int{}
			var last *Endpoint
			for range 2 * n {
				x := asks("/")
				if last = tr.Pick(x); last == nil || !x.Upstream.Holds {
					t.Fatalf("%+v, %d endpoints: no room after %v", u, n, count)
				}
				count[last.Addr()]++
			}
			for a, k := range count {
				if k != 2 {
					t.Errorf("%+v, %d endpoints: %s has %d requests", u, n, a, k)
				}
			}
			x := asks("/")
			if e := tr.Pick(x); e != nil || x.Upstream.Holds || tr.Empty() {
				t.Errorf("%+v, %d endpoints: %v is picked although all are full", u, n, e)
			}
			if e := tr.Wait(nil, x, time.Minute, nil); e != nil {
				t.Errorf("%+v, %d endpoints: a request waits for %v although none may", u, n, e)
			}
			if h := tr.set.Health(); h[0].Full != 1 || !h[0].Limited || h[0].Guarded {
				t.Errorf("%+v: told %+v", u, h)
			}
			tr.Release(last)
			if e := tr.Pick(asks("/")); e != last {
				t.Errorf("%+v, %d endpoints: the one with room is not picked", u, n)
			}
		}
	}
}

// Many at a time: never are there more than allowed, and all are counted back.
func TestMaxConnectionsAtOnce(t *testing.T) {
	tr := newTrial(t, model.Upstream{Balancing: model.Balancing{MaxConnections: 3}}, 2)
	var have [2]atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				x := asks("/")
				e := tr.Pick(x)
				if e == nil {
					continue
				}
				i := 0
				if e == tr.at(1) {
					i = 1
				}
				if have[i].Add(1) > 3 {
					t.Error("an endpoint has more than 3 requests")
				}
				have[i].Add(-1)
				tr.Release(e)
			}
		})
	}
	all.Wait()
	for i := range 2 {
		if n := tr.at(i).held.Load(); n != 0 {
			t.Errorf("endpoint %d is taken for having %d requests in the end", i, n)
		}
	}
}

// A session goes elsewhere while its endpoint is full.
func TestFullEndpointMovesSessions(t *testing.T) {
	for _, mode := range []string{"balanced", "persistent"} {
		tr := newTrial(t, model.Upstream{Sticky: &model.Sticky{Mode: mode}, Balancing: model.Balancing{MaxConnections: 1}}, 3)
		x := asks("/")
		e := tr.Pick(x)
		x.Affinity.Key = x.Affinity.Picked
		if other := tr.Pick(x); other == nil || other == e || !x.Affinity.Fresh {
			t.Errorf("%s: the second request of a session goes to %v", mode, other)
		}
	}
}

func TestRetryBudget(t *testing.T) {
	_, p := balanced(t, model.Balancing{RetryBudget: 20}, addrs(1, 2))
	e := p.view.Load().endpoints[0]
	e.slots = make([]atomic.Pointer[slot], 1)
	e.slots[0].Store(&slot{})
	for requests, want := range map[int64]int{0: 3, 10: 3, 20: 4, 100: 20} {
		e.slots[0].Load().inFlight.Store(requests)
		spared := p.circuit.spared.Load()
		n := 0
		for ; n < 1000; n++ {
			if allowed, counted := p.Again(); !allowed || !counted {
				break
			}
		}
		if n != want || p.circuit.spared.Load() != spared+1 {
			t.Errorf("beside %d requests %d further tries are allowed, want %d", requests, n, want)
		}
		for range n {
			p.Over()
		}
	}
	if n := p.circuit.again.Load(); n != 0 {
		t.Errorf("%d further tries are left", n)
	}
	_, free := balanced(t, model.Balancing{}, addrs(1, 2))
	if allowed, counted := free.Again(); !allowed || counted {
		t.Error("without a budget tries are counted")
	}
}

func TestBoundedPickAllocations(t *testing.T) {
	tr := newTrial(t, model.Upstream{Balancing: model.Balancing{MaxConnections: 1, RetryBudget: 10}}, 3)
	x := &exchange.Exchange{}
	if n := testing.AllocsPerRun(100, func() {
		x.Reset()
		tr.Release(tr.Pick(x))
		if _, counted := tr.Again(); counted {
			tr.Over()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
