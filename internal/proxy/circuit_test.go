package proxy_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
)

// Beyond max-connections a request is answered at once, and there is room again when
// another one ends: by its answer, or by a client that leaves.
func TestFullUpstream(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		asked, goOn, left := make(chan struct{}, 10), make(chan struct{}), make(chan struct{}, 10)
		up := app(t, func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			select {
			case <-goOn:
			case <-r.Context().Done():
				left <- struct{}{}
			}
		})
		s := balancedSite(t, kind, model.Balancing{MaxConnections: 1}, up)
		const get = "GET /%s HTTP/1.1\r\nHost: h.test\r\n\r\n"
		first, second := dial(t, s.Addr("http")), dial(t, s.Addr("http"))
		first.send(get, "a")
		<-asked
		second.send(get, "b")
		second.want("GET", 503, "*")
		goOn <- struct{}{}
		first.want("GET", 200, "")
		s.Log.Wait(t, "GET /a ")
		second.send(get, "c")
		<-asked
		second.Close()
		s.Log.Wait(t, "GET /c ")
		<-left
		first.send(get, "d")
		<-asked
		goOn <- struct{}{}
		first.want("GET", 200, "")
		if r := s.Reports(); len(r) != 2 || r[0].Kind != exchange.UpstreamFull || r[1].Kind != exchange.ClientGone {
			t.Errorf("reports are %v", r)
		}
		if h := s.Upstreams.Health(); h[0].Full != 1 {
			t.Errorf("counted %+v", h)
		}
	})
}

// Beyond max-connections requests wait in order of arrival as max-pending allows, whatever
// they speak; a client that leaves gives its place up, and who waits too long is answered.
func TestPendingRequests(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		asked, goOn := make(chan string, 10), make(chan struct{})
		up := app(t, func(w http.ResponseWriter, r *http.Request) {
			asked <- r.URL.Path
			<-goOn
		})
		defer close(goOn)
		s := balancedSite(t, kind, model.Balancing{MaxConnections: 1, MaxPending: 3}, up)
		pending := func(n int64) {
			t.Helper()
			await(t, func() bool { return s.Upstreams.Health()[0].Pending == n })
		}
		next := func(path string) {
			t.Helper()
			if got := <-asked; got != path {
				t.Errorf("%s comes next, want %s", got, path)
			}
		}
		const get = "GET %s HTTP/1.1\r\nHost: h.test\r\n\r\n"
		var cs []*client
		for i, path := range []string{"/a", "/b", "/c"} {
			c := dial(t, s.Addr("http"))
			if path == "/c" {
				c = overTLS(t, s.Addr("https"))
			}
			c.send(get, path)
			if cs = append(cs, c); path == "/a" {
				next(path)
			}
			pending(int64(i))
		}
		overH2 := dial(t, s.Addr("http"))
		overH2.send("%s", oneGet("/d"))
		pending(3)
		over := dial(t, s.Addr("http"))
		over.send(get, "/e")
		over.want("GET", 503, "*")

		cs[1].Close() // "/b"
		pending(2)
		overH2.Close()
		pending(1)
		goOn <- struct{}{}
		cs[0].want("GET", 200, "")
		next("/c")
		pending(0)
		goOn <- struct{}{}
		cs[2].want("GET", 200, "")
		for _, path := range []string{"/b", "/d"} {
			s.Log.Wait(t, "GET "+path+" ")
		}
		kinds := map[exchange.Kind]int{}
		for _, r := range s.Reports() {
			kinds[r.Kind]++
		}
		if h := s.Upstreams.Health()[0]; h.Full != 1 || h.Late != 0 || len(kinds) != 2 || kinds[exchange.UpstreamFull] != 1 || kinds[exchange.ClientGone] != 2 {
			t.Errorf("told %+v, %v", h, kinds)
		}
	})
}

// A request waits for proxy-connect-timeout at most.
func TestPendingTimeout(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		asked, goOn := make(chan struct{}, 10), make(chan struct{})
		up := app(t, func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-goOn
		})
		cfg := proxytest.Config(proxytest.Host("h.test", "app"))
		cfg.Upstreams[0].Balancing = model.Balancing{MaxConnections: 1, MaxPending: 3}
		s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", up)}, kind, forward(func(f *exchange.Forward) {
			f.ConnectTimeout = time.Second
			f.RetryOn |= exchange.RetryTimeout
		}))
		const get = "GET /%s HTTP/1.1\r\nHost: h.test\r\n\r\n"
		first, second := dial(t, s.Addr("http")), dial(t, s.Addr("http"))
		first.send(get, "a")
		<-asked
		second.send(get, "b")
		second.want("GET", 503, "*")
		close(goOn)
		first.want("GET", 200, "")
		if h := s.Upstreams.Health()[0]; h.Full != 0 || h.Late != 1 || h.Pending != 0 {
			t.Errorf("told %+v", h)
		}
	})
}

// A try that fails gives its room back before the next one, on a fresh connection too.
func TestFullUpstreamTries(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := balancedSite(t, kind, model.Balancing{MaxConnections: 1, RetryBudget: 1}, named(t, "a"), refusing(t))
		c := dial(t, s.Addr("http"))
		for range 20 {
			c.fetch("/")
		}
		if h := s.Upstreams.Health(); h[0].Full != 0 || h[0].Spared != 0 {
			t.Errorf("counted %+v", h)
		}
	})
}

// Beyond the retry budget the failure is the answer.
func TestRetryBudget(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		asked, goOn := make(chan struct{}, 100), make(chan struct{})
		hang := app(t, func(_ http.ResponseWriter, _ *http.Request) {
			asked <- struct{}{}
			<-goOn
		})
		bad := app(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
		cfg := proxytest.Config(proxytest.Host("h.test", "app"))
		cfg.Upstreams[0].Balancing = model.Balancing{RetryBudget: 1}
		s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", bad, hang)}, kind,
			forward(func(f *exchange.Forward) { f.RetryOn |= exchange.Retry503 }))
		type waits struct {
			*client
			answered chan struct{}
		}
		var waiting []waits
		refused := 0
		for refused == 0 { // each second one begins at the bad endpoint, and goes on to the other while it may
			if len(waiting) > 8 {
				t.Fatalf("%d requests wait and none is refused", len(waiting))
			}
			c := dial(t, s.Addr("http"))
			c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				c.r.Peek(1)
			}()
			select {
			case <-asked:
				waiting = append(waiting, waits{c, answered})
			case <-answered:
				c.want("GET", 503, "")
				refused++
			}
		}
		close(goOn)
		for _, c := range waiting {
			<-c.answered
			c.want("GET", 200, "")
		}
		if h := s.Upstreams.Health(); h[0].Spared != 1 {
			t.Errorf("counted %+v", h)
		}
	})
}
