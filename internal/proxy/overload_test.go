package proxy_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/overload"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
)

// TestStagesOfMemory: the less memory is left the more is turned away, and all of it is
// counted; what is in hand is finished, and afterwards everything is as before.
func TestStagesOfMemory(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{app(t, echo)})
		use := func(share int64) { s.Load.Observe(overload.Memory{Used: share, Limit: 100}) }
		get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h.test\r\n\r\n" }
		c := dial(t, s.Addr("http"))
		c.send("%s", get("/"))
		if resp := c.want("GET", 200, "*"); resp.Close {
			t.Error("in calm: the connection is not kept")
		}

		use(92) // connections are not kept
		c.send("%s", get("/"))
		if resp := c.want("GET", 200, "*"); !resp.Close {
			t.Error("at 92 %: the connection is kept")
		}
		c.closed()

		use(85)
		c, idle := dial(t, s.Addr("http")), dial(t, s.Addr("http"))
		for _, c := range []*client{c, idle} {
			c.send("%s", get("/"))
			c.want("GET", 200, "*")
		}
		use(96) // requests are refused
		c.send("%s", get("/"))
		if resp := c.want("GET", 503, "*"); resp.Header.Get("Retry-After") != "5" || !resp.Close {
			t.Errorf("at 96 %%: %v, closed: %v", resp.Header, resp.Close)
		}
		for _, h2 := range []bool{false, true} {
			b := browser(t, s.Addr("https"), h2)
			if resp, err := b.Get("https://h.test/"); err != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "5" {
				t.Errorf("at 96 %%, h2: %v: %v, %v", h2, resp, err)
			} else {
				resp.Body.Close()
			}
		}
		health := dial(t, s.Addr("http"))
		health.send("GET /healthz HTTP/1.1\r\nHost: other.test\r\n\r\n")
		health.want("GET", 200, "*")

		use(99) // connections are refused
		dial(t, s.Addr("http")).closed()
		dial(t, s.Addr("https")).closed()
		idle.send("%s", get("/"))
		idle.want("GET", 503, "*")

		use(10)
		c = dial(t, s.Addr("http"))
		for range 2 {
			c.send("%s", get("/"))
			if resp := c.want("GET", 200, "*"); resp.Close {
				t.Error("in calm again: the connection is not kept")
			}
		}
		if n := s.Listeners.Counts().Refused; n["memory"] != 2 || n["limit"]+n["client"] != 0 {
			t.Errorf("refused connections: %v, want 2 for want of memory", n)
		}
		refused := func() uint64 { return s.Proxy("default").Metrics().Errors[exchange.Overloaded.String()] }
		await(t, func() bool { return refused() >= 4 }) // they are counted after they were answered
		if n := refused(); n != 4 {
			t.Errorf("%d requests are counted as refused, want 4", n)
		}
	})
}

// TestConnectionLimit: a controller has no more connections than its workers may have,
// over all its listeners, and one that goes makes room.
func TestConnectionLimit(t *testing.T) {
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	set := &cfg.Controllers[0].Settings
	set.WorkerConnections, set.Workers = 2, 2
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		app, asked, goOn := slowApp(t)
		defer close(goOn)
		s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", app)}, kind)
		var open []*client
		for range 4 {
			c := dial(t, s.Addr("http"))
			c.send("GET /slow HTTP/1.1\r\nHost: h.test\r\n\r\n")
			<-asked
			open = append(open, c)
		}
		dial(t, s.Addr("http")).closed()
		dial(t, s.Addr("https")).closed()
		if n := s.Listeners.Counts(); n.Refused["limit"] != 2 || n.Active != 4 || n.Accepted != 4 || n.MadeRoom != 0 {
			t.Errorf("%+v, want 2 refused by the limit", n)
		}
		open[0].Close()
		awaitActive(t, s, 3)
		c := dial(t, s.Addr("http"))
		c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
		c.want("GET", 200, "*")
	})
}

// slowApp is an endpoint that tells when it is asked for /slow, and answers that when it
// may go on.
func slowApp(t *testing.T) (at string, asked <-chan struct{}, goOn chan<- struct{}) {
	told, may := make(chan struct{}, 100), make(chan struct{})
	return app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			told <- struct{}{}
			<-may
		}
	}), told, may
}

// awaitActive waits until so many client connections are open.
func awaitActive(t *testing.T, s *proxytest.Server, n int64) {
	t.Helper()
	await(t, func() bool { return s.Listeners.Counts().Active == n })
}

// await waits until something is so.
func await(t *testing.T, so func() bool) {
	t.Helper()
	for deadline := time.After(time.Minute); !so(); {
		select {
		case <-deadline:
			t.Fatal("it is not so in time")
		case <-time.After(time.Millisecond):
		}
	}
}

// TestConnectionsPerClient: nobody has more connections than a client may have, whoever
// the PROXY header says he is, and the 64 bits of an IPv6 network are one client.
func TestConnectionsPerClient(t *testing.T) {
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	ctl := &cfg.Controllers[0]
	ctl.Settings.ClientConnections = 2
	ctl.Listeners = append(ctl.Listeners, model.Listener{Name: "proxy", Port: 80, ProxyProtocol: true})
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", app(t, echo))}, kind)
		come := func(family, from string) *client {
			c := dial(t, s.Addr("proxy"))
			to := map[string]string{"TCP4": "10.0.0.1", "TCP6": "2001:db8::1"}[family]
			c.send("PROXY %s %s %s 4000 80\r\nGET / HTTP/1.1\r\nHost: h.test\r\n\r\n", family, from, to)
			return c
		}
		served := func(family, from string) *client {
			c := come(family, from)
			c.want("GET", 200, "*")
			return c
		}
		first := served("TCP4", "192.0.2.1")
		served("TCP4", "192.0.2.1")
		come("TCP4", "192.0.2.1").closed()
		served("TCP4", "192.0.2.2")
		served("TCP6", "2001:db8:1:1::1")
		served("TCP6", "2001:db8:1:1::2")
		come("TCP6", "2001:db8:1:1:ffff::3").closed()
		served("TCP6", "2001:db8:1:2::1")
		for range 2 { // 127.0.0.1
			c := dial(t, s.Addr("http"))
			c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
			c.want("GET", 200, "*")
		}
		dial(t, s.Addr("https")).closed()
		if n := s.Listeners.Counts().Refused["client"]; n != 3 {
			t.Errorf("%d connections were refused by the client's limit, want 3", n)
		}
		awaitActive(t, s, 8)
		first.Close()
		awaitActive(t, s, 7)
		served("TCP4", "192.0.2.1")
	})
}

// drop is a body that comes in pieces, one each two milliseconds.
type drop struct{ piece, left int }

func (d *drop) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(2 * time.Millisecond)
	n := min(d.piece, d.left, len(p))
	d.left -= n
	return n, nil
}

// TestSlowBody: a body that comes too slowly on average is not waited for, however
// steadily it comes, and one that comes fast enough is. That time is counted to the moment
// is held under a clock of its own, in package http1.
func TestSlowBody(t *testing.T) {
	for _, tt := range []struct {
		name        string
		timeout     time.Duration
		piece, size int
		status      int
		cut         int // requests that end so, of two
	}{
		{"slow", time.Second, 1, 100_000, 408, 2}, // would take 200 s
		{"honest", time.Minute, 5000, 100_000, 200, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := proxytest.Config(proxytest.Host("h.test", "app"))
			set := &cfg.Controllers[0].Settings
			set.BodyTimeout, set.BodyRate = tt.timeout, 10_000
			onBoth(t, func(t *testing.T, kind loop.Kind) {
				s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", app(t, echo))}, kind)
				for _, h2 := range []bool{false, true} {
					b := browser(t, s.Addr("https"), h2)
					b.Timeout = time.Minute
					req, err := http.NewRequest("POST", "https://h.test/", &drop{tt.piece, tt.size})
					if err != nil {
						t.Fatal(err)
					}
					req.ContentLength = int64(tt.size)
					resp, err := b.Do(req)
					if err == nil {
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					if err == nil && resp.StatusCode != tt.status || err != nil && tt.status == 200 {
						t.Errorf("h2 %v: the answer is %v, %v; want %d", h2, resp, err, tt.status)
					}
				}
				cut := func() (n int) {
					for _, r := range s.Reports() {
						if r.Kind == exchange.ClientTimeout {
							n++
						}
					}
					return n
				}
				await(t, func() bool { return cut() >= tt.cut })
				if n := cut(); n != tt.cut {
					t.Errorf("%d bodies were cut off, want %d: %v", n, tt.cut, s.Reports())
				}
			})
		})
	}
}
