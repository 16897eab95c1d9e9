package upstream

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
)

// often is a check that waits for little.
var often = model.Check{Path: "/healthz?full", Host: "check.example", Interval: 5 * time.Millisecond, Timeout: 5 * time.Second, Healthy: 2, Unhealthy: 3, Low: 200, High: 299}

// checked returns a pool whose endpoints are asked, and what is told of them.
func checked(t *testing.T, e *loop.Engine, c model.Check, servers ...*server) (*Set, *Pool, chan HealthChange) {
	t.Helper()
	return checkedBy(t, e, "", c, servers...)
}

// checkedBy is checked for endpoints that speak something else.
func checkedBy(t *testing.T, e *loop.Engine, protocol string, c model.Check, servers ...*server) (*Set, *Pool, chan HealthChange) {
	t.Helper()
	s := NewSet(e.Loops())
	t.Cleanup(s.Close)
	told := make(chan HealthChange, 1000)
	s.Report = func(c HealthChange) { told <- c }
	s.Apply([]model.Upstream{{Name: "app", Protocol: protocol, Balancing: model.Balancing{Check: c}}}, DefaultKeepAlive)
	var set model.EndpointSet
	set.Upstream = "app"
	for _, srv := range servers {
		set.Endpoints = append(set.Endpoints, srv.addr)
	}
	s.SetEndpoints([]model.EndpointSet{set})
	return s, s.Pool("app"), told
}

// next waits for the next change.
func next(t *testing.T, told chan HealthChange) HealthChange {
	t.Helper()
	select {
	case c := <-told:
		return c
	case <-time.After(20 * time.Second):
		t.Fatal("no change of health is told")
		return HealthChange{}
	}
}

// asked returns a server that answers questions with the status at hand, and gives one
// token for each.
func asked(t *testing.T, status *atomic.Int64) (*server, chan string) {
	seen := make(chan string, 10_000)
	return newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(int(status.Load()))
		select {
		case seen <- fmt.Sprintf("%s %s %s %s", r.Method, r.Host, r.URL, r.UserAgent()):
		default:
		}
	}), seen
}

func TestChecks(t *testing.T) {
	onEngines(t, 2, func(t *testing.T, e *loop.Engine) {
		var good, changing atomic.Int64
		good.Store(204)
		changing.Store(500)
		a, _ := asked(t, &good)
		b, seen := asked(t, &changing)
		_, p, told := checked(t, e, often, a, b)
		if c := next(t, told); c != (HealthChange{Upstream: "app", Addr: b.addr, Why: "status 500", Left: 1}) {
			t.Fatalf("told %+v", c)
		}
		if q := <-seen; q != "GET check.example /healthz?full pierhead-health-check" {
			t.Errorf("the question is %q", q)
		}
		for range 20 {
			if at := p.Pick(&exchange.Exchange{}); at.Addr() != a.addr {
				t.Fatal("an unhealthy endpoint gets requests")
			}
		}
		good.Store(503)
		if c := next(t, told); c.Addr != a.addr || c.Fit || c.Left != 0 {
			t.Fatalf("told %+v", c)
		}
		if seen := map[string]bool{}; true {
			for range 20 {
				seen[p.Pick(&exchange.Exchange{}).Addr().String()] = true
			}
			if len(seen) != 2 {
				t.Errorf("with no healthy endpoint %v are used, want both", seen)
			}
		}
		changing.Store(200)
		if c := next(t, told); c != (HealthChange{Upstream: "app", Addr: b.addr, Fit: true, Left: 1}) {
			t.Fatalf("told %+v", c)
		}
		for range 20 {
			if at := p.Pick(&exchange.Exchange{}); at.Addr() != b.addr {
				t.Fatal("the endpoint that is well again does not get the requests")
			}
		}
		if st := p.set.Health()[0]; st.Passed < 2 || st.Failed < 6 || !st.Checked || counts(p) != [4]int64{} {
			t.Errorf("counted %+v and %v requests", st, counts(p))
		}
	})
}

// What does not answer in time, or not at all, is unhealthy.
func TestCheckFailures(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		silent := newServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		gone := newServer(t, hello)
		gone.Server.Close()
		quick := often
		quick.Timeout = 20 * time.Millisecond
		_, _, told := checked(t, e, quick, silent, gone)
		why := map[string]string{}
		for range 2 {
			c := next(t, told)
			why[c.Addr.String()] = c.Why
		}
		if !strings.Contains(why[silent.addr.String()], "time") || !strings.Contains(why[gone.addr.String()], "refused") {
			t.Errorf("told %v", why)
		}
	})
}

// Questions end with the pool and with the rule.
func TestChecksEnd(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		for name, ups := range map[string][]model.Upstream{"pool": nil, "rule": {{Name: "app"}}} {
			var status atomic.Int64
			status.Store(200)
			srv, seen := asked(t, &status)
			s, p, told := checked(t, e, often, srv)
			<-seen
			c := p.checks
			s.Apply(ups, DefaultKeepAlive)
			select {
			case <-c.done:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: questions go on after its end", name)
			}
			c.judge(c.pool.view.Load().endpoints[0], &probe{failed: 1000}, time.Now(), errStale) // was on its way
			if len(told) != 0 {
				t.Errorf("%s: what comes of a question counts after its end", name)
			}
		}
	})
}

// An endpoint that goes is not asked any more; one that comes is.
func TestChecksFollowEndpoints(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		var status atomic.Int64
		status.Store(200)
		a, ofA := asked(t, &status)
		b, ofB := asked(t, &status)
		s, _, _ := checked(t, e, often, a)
		<-ofA
		s.SetEndpoints([]model.EndpointSet{{Upstream: "app", Endpoints: []netip.AddrPort{b.addr}}})
		<-ofB // the change was seen; one question to a may be on its way
		before := a.opened.Load()
		for range 20 {
			<-ofB
		}
		if n := a.opened.Load() - before; n > 1 {
			t.Errorf("%d questions to an endpoint that is gone", n)
		}
	})
}

// A rule that is set later, and another path, count at once and for the same pool.
func TestChecksChange(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		srv := newServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/bad" {
				w.WriteHeader(500)
			}
		})
		s, p, told := checked(t, e, model.Check{}, srv)
		if p.checks != nil {
			t.Fatal("without a path endpoints are asked")
		}
		bad := often
		bad.Path = "/bad"
		s.Apply([]model.Upstream{{Name: "app", Balancing: model.Balancing{Check: bad}}}, DefaultKeepAlive)
		if c := next(t, told); c.Fit {
			t.Fatalf("told %+v", c)
		}
		s.Apply([]model.Upstream{{Name: "app", Balancing: model.Balancing{Check: often}}}, DefaultKeepAlive)
		if s.Pool("app") != p || p.set.Health()[0].Endpoints[0].Out != "" {
			t.Error("what the old check found still counts")
		}
	})
}
