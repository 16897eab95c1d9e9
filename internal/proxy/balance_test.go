package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
)

// balancedSite is site with another upstream.
func balancedSite(t *testing.T, kind loop.Kind, b model.Balancing, endpoints ...string) *proxytest.Server {
	t.Helper()
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	cfg.Upstreams[0].Balancing = b
	return proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", endpoints...)}, kind)
}

// named starts an upstream that answers with its name.
func named(t *testing.T, name string) string {
	return app(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) })
}

// fetch asks for a path and returns the body of the answer, which must be 200.
func (c *client) fetch(path string) string {
	c.t.Helper()
	c.send("GET %s HTTP/1.1\r\nHost: h.test\r\n\r\n", path)
	resp, body := c.answer("GET")
	if resp.StatusCode != 200 {
		c.t.Fatalf("%s: status %d", path, resp.StatusCode)
	}
	return body
}

// The same text goes to the same endpoint, from any connection; texts of one that refuses
// go to the next one.
func TestHashedRequests(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := balancedSite(t, kind, model.Balancing{Balance: "hash", HashBy: "$arg_user"}, named(t, "a"), named(t, "b"), refusing(t))
		where := map[string]string{}
		for range 3 {
			c := dial(t, s.Addr("http"))
			for i := range 40 {
				user := fmt.Sprint(i)
				at := c.fetch("/?user=" + user)
				if was := where[user]; was != "" && was != at {
					t.Fatalf("user %s was at %s and is at %s", user, was, at)
				}
				where[user] = at
			}
		}
		count := map[string]int{}
		for _, at := range where {
			count[at]++
		}
		if count["a"] == 0 || count["b"] == 0 {
			t.Errorf("40 texts went to %v", count)
		}
	})
}

// The scores of ewma come from the requests, and a refusal counts for a second.
func TestScoredRequests(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := balancedSite(t, kind, model.Balancing{Balance: "ewma"}, named(t, "a"), refusing(t))
		c := dial(t, s.Addr("http"))
		for range 64 {
			c.fetch("/")
		}
		quick, slow := 0, 0
		for _, e := range s.Upstreams.Pool("app").Snapshot().Endpoints {
			switch {
			case e.Requests > 0 && e.Score > 0:
				quick++
			case e.Failures > 0 && e.Score > 0.1:
				slow++
			}
		}
		if quick != 1 || slow != 1 {
			t.Errorf("the endpoints are %+v, want one that answers and one that has failed", s.Upstreams.Pool("app").Snapshot().Endpoints)
		}
	})
}

// What counts is the time to the end of the answer: a head alone is soon sent.
func TestScoreOfBody(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		goOn := make(chan bool)
		s := balancedSite(t, kind, model.Balancing{Balance: "ewma"}, app(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "a")
			http.NewResponseController(w).Flush()
			<-goOn
			io.WriteString(w, "b")
		}))
		c := dial(t, s.Addr("http"))
		c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
		begin := time.Now()
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		head := time.Since(begin)
		<-time.After(2*head + 200*time.Millisecond) // the body takes its time
		goOn <- true
		if body, err := io.ReadAll(resp.Body); string(body) != "ab" {
			t.Fatalf("body %q, %v", body, err)
		}
		s.Log.Wait(t, "GET / ")
		e := s.Upstreams.Pool("app").Snapshot().Endpoints[0]
		if e.Score <= head.Seconds()+0.1 {
			t.Errorf("the score is %v s after a head in %v and a body that took 0.2 s more", e.Score, head)
		}
	})
}

// An endpoint whose tries fail in a row is ejected: then no request is tried there.
func TestEjectedByRequests(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		eject := model.Balancing{EjectAfter: 3, EjectFor: time.Hour}
		var bad atomic.Int64
		broken := app(t, func(w http.ResponseWriter, _ *http.Request) {
			bad.Add(1)
			w.WriteHeader(503)
		})
		cfg := proxytest.Config(proxytest.Host("h.test", "app"))
		cfg.Upstreams[0].Balancing = eject
		s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", broken, named(t, "a"))}, kind,
			forward(func(f *exchange.Forward) { f.RetryOn |= exchange.Retry503 }))
		c := dial(t, s.Addr("http"))
		for range 40 {
			c.fetch("/")
		}
		if h := s.Upstreams.Health(); bad.Load() != 3 || h[0].Ejections != 1 {
			t.Errorf("the endpoint was asked %d times, want 3; %+v", bad.Load(), h)
		}
	})
}

// What clients break off, and statuses that proxy-next-upstream does not name, eject nobody.
func TestNotEjected(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		asked := make(chan struct{}, 10)
		answer := func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hangs" {
				asked <- struct{}{}
				<-r.Context().Done()
				return
			}
			w.WriteHeader(500)
		}
		s := balancedSite(t, kind, model.Balancing{EjectAfter: 1, EjectFor: time.Hour}, app(t, answer), app(t, answer))
		c := dial(t, s.Addr("http"))
		c.send("GET /hangs HTTP/1.1\r\nHost: h.test\r\n\r\n")
		<-asked
		c.Close()
		s.Log.Wait(t, "GET /hangs ")
		c = dial(t, s.Addr("http"))
		for range 8 {
			c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
			c.want("GET", 500, "*")
		}
		if h := s.Upstreams.Health(); h[0].Ejections != 0 {
			t.Errorf("ejected: %+v", h)
		}
	})
}
