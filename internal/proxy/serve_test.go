package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
	"github.com/pierhead/pierhead/internal/routing"
)

func TestKeepalive(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{app(t, echo)})
		c := dial(t, s.Addr("http"))
		for i := range 3 {
			c.send("GET /a/%d?q=1 HTTP/1.1\r\nHost: h.test\r\n\r\n", i)
			resp := c.want("GET", 200, fmt.Sprintf("GET h.test /a/%d?q=1 ", i))
			if resp.Header.Get("Date") == "" || resp.Header.Get("Server") != "" || resp.Close {
				t.Errorf("head is %v", resp.Header)
			}
		}
		c.send("GET / HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n")
		c.want("GET", 200, "GET h.test / ")
		c.closed()
	})
}

func TestPipelining(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{app(t, echo)})
		c := dial(t, s.Addr("http"))
		var all strings.Builder
		for i := range 20 {
			fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: h.test\r\nContent-Length: 2\r\n\r\n%02d", i, i)
		}
		c.send("%s", all.String())
		for i := range 20 {
			c.want("POST", 200, fmt.Sprintf("POST h.test /%d %02d", i, i))
		}
	})
}

func TestBodiless(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{app(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/204":
				w.WriteHeader(204)
			case "/304":
				w.Header().Set("ETag", `"x"`)
				w.WriteHeader(304)
			default:
				w.Header().Set("Content-Length", "5")
				io.WriteString(w, "hello")
			}
		})})
		c := dial(t, s.Addr("http"))
		c.send("HEAD / HTTP/1.1\r\nHost: h.test\r\n\r\n")
		if resp := c.want("HEAD", 200, ""); resp.ContentLength != 5 {
			t.Errorf("HEAD has Content-Length %d", resp.ContentLength)
		}
		c.send("GET /204 HTTP/1.1\r\nHost: h.test\r\n\r\n")
		c.want("GET", 204, "")
		c.send("GET /304 HTTP/1.1\r\nHost: h.test\r\n\r\n")
		if resp := c.want("GET", 304, ""); resp.Header.Get("ETag") != `"x"` {
			t.Errorf("304 lacks its ETag: %v", resp.Header)
		}
		c.send("HEAD / HTTP/1.1\r\nHost: other.test\r\n\r\n")
		if resp := c.want("HEAD", 404, ""); resp.ContentLength <= 0 {
			t.Errorf("HEAD of an error page has Content-Length %d", resp.ContentLength)
		}
		c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
		c.want("GET", 200, "hello")
	})
}

func TestChunkedAndTrailers(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		got := make(chan http.Header, 1)
		s := site(t, kind, []string{app(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- r.Trailer
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "one ")
			w.(http.Flusher).Flush()
			w.Write(body)
			w.Header().Set("X-Sum", "42")
		})}, forward(func(f *exchange.Forward) { f.BufferRequest = false }))
		c := dial(t, s.Addr("http"))
		c.send("POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-In\r\n\r\n3\r\ntwo\r\n0\r\nX-In: yes\r\n\r\n")
		resp := c.want("POST", 200, "one two")
		if resp.Trailer.Get("X-Sum") != "42" {
			t.Errorf("trailer is %v", resp.Trailer)
		}
		if h := <-got; h.Get("X-In") != "" {
			t.Errorf("the client's trailer passes: %v", h)
		}
	})
}

func TestContinue(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{app(t, echo)})
		c := dial(t, s.Addr("http"))
		c.send("PUT /x HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
		if line, _ := c.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("answer to Expect is %q", line)
		}
		c.r.ReadString('\n')
		c.send("body")
		c.want("PUT", 200, "PUT h.test /x body")
	})
}

func TestOwnReplies(t *testing.T) {
	cfg := proxytest.Config(proxytest.Host("empty.test", "none"), proxytest.Host("panic.test", "none"), proxytest.Host("reply.test", "none"))
	steps := func(r *routing.Route) {
		switch r.Host {
		case "panic.test":
			r.Chain.Request = []exchange.Step{request(func(*exchange.Exchange) *exchange.Reply { panic("oh") })}
		case "reply.test":
			r.Chain.Request = []exchange.Step{request(func(*exchange.Exchange) *exchange.Reply {
				return &exchange.Reply{Status: 418, Body: []byte("short"), Type: "text/plain", Fields: []exchange.ReplyField{{Name: "X-A", Value: "b"}}}
			})}
			r.Chain.Append(response(func(x *exchange.Exchange) { x.Resp.Header.Add("X-Seen", fmt.Sprint(x.Resp.Status)) }))
		}
	}
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := proxytest.Start(t, cfg, nil, kind, steps)
		for _, tt := range []struct {
			name, request string
			status        int
			body          string
		}{
			{"no host of that name", "GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n", 404, "<center><h1>404 Not Found</h1></center>"},
			{"no endpoint", "GET / HTTP/1.1\r\nHost: empty.test\r\n\r\n", 503, "503 Service Temporarily Unavailable"},
			{"path above the root", "GET /../x HTTP/1.1\r\nHost: empty.test\r\n\r\n", 400, "400 Bad Request"},
			{"trace", "TRACE / HTTP/1.1\r\nHost: empty.test\r\n\r\n", 405, "405 Not Allowed"},
			{"panic", "GET / HTTP/1.1\r\nHost: panic.test\r\n\r\n", 500, "500 Internal Server Error"},
			{"no host at all", "GET / HTTP/1.1\r\n\r\n", 400, "400 Bad Request"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				c := dial(t, s.Addr("http"))
				c.send("%s", tt.request)
				resp, body := c.answer("GET")
				if resp.StatusCode != tt.status || !strings.Contains(body, tt.body) || resp.Header.Get("Content-Type") != "text/html" || resp.Header.Get("Date") == "" {
					t.Errorf("answer is %d %v %q, want %d with %q", resp.StatusCode, resp.Header, body, tt.status, tt.body)
				}
			})
		}
		c := dial(t, s.Addr("http"))
		c.send("GET / HTTP/1.1\r\nHost: REPLY.test:80\r\n\r\n")
		if resp := c.want("GET", 418, "short"); resp.Header.Get("X-A") != "b" || resp.Header.Get("X-Seen") != "418" {
			t.Errorf("head is %v", resp.Header)
		}
	})
}

func TestServerTokens(t *testing.T) {
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	cfg.Controllers[0].Settings.ServerTokens = true
	up := app(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Server", "secret/1") })
	s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", up)}, loop.DefaultKind())
	c := dial(t, s.Addr("http"))
	c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
	if resp := c.want("GET", 200, ""); resp.Header.Get("Server") != "pierhead/test" {
		t.Errorf("Server is %q", resp.Header.Get("Server"))
	}
}

// TestSmuggling sends what two readers could see differently: each is answered 400
// and closed, and nothing of it reaches the upstream.
func TestSmuggling(t *testing.T) {
	reached := make(chan string, 100)
	up := rawApp(t, func(c net.Conn, r *bufio.Reader) {
		line, _ := r.ReadString('\n')
		reached <- line
	})
	const post = "POST / HTTP/1.1\r\nHost: h.test\r\n"
	for name, text := range map[string]string{
		"two lengths":            post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"length list":            post + "Content-Length: 5, 5\r\n\r\nhello",
		"signed length":          post + "Content-Length: +5\r\n\r\nhello",
		"length and coding":      post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"coding in 1.0":          "POST / HTTP/1.0\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"unknown coding":         post + "Transfer-Encoding: gzip\r\n\r\n",
		"chunked twice":          post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
		"chunked not last":       post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"space before colon":     post + "Content-Length : 5\r\n\r\nhello",
		"folded field":           post + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
		"bare LF":                "GET / HTTP/1.1\nHost: h.test\n\n",
		"bare CR":                "GET / HTTP/1.1\r\nHost: h.test\r\nX: a\rb\r\n\r\n",
		"NUL":                    "GET / HTTP/1.1\r\nHost: h.test\r\nX: a\x00b\r\n\r\n",
		"two hosts":              "GET / HTTP/1.1\r\nHost: h.test\r\nHost: x.test\r\n\r\n",
		"chunk size":             post + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
		"chunk end":              post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
		"chunk size bare LF":     post + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
		"space in target":        "GET /a b HTTP/1.1\r\nHost: h.test\r\n\r\n",
		"http2 by upgrade smell": "GET / HTTP/2.0\r\nHost: h.test\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := site(t, loop.DefaultKind(), []string{up})
			c := dial(t, s.Addr("http"))
			c.send("%s", text)
			resp, _ := c.answer("GET")
			if resp.StatusCode != 400 && resp.StatusCode != 505 {
				t.Errorf("answer is %d", resp.StatusCode)
			}
			c.closed()
			select {
			case line := <-reached:
				t.Errorf("upstream was reached by %q", line)
			default:
			}
		})
	}
}

func TestAccessLogAndMetrics(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		up := app(t, echo)
		cfg := proxytest.Config(proxytest.Host("h.test", "app"))
		cfg.Controllers[0].Settings.SkipLogURIs = []string{"/quiet"}
		s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", up)}, kind)
		c := dial(t, s.Addr("http"))
		c.send("GET /quiet HTTP/1.1\r\nHost: h.test\r\n\r\n")
		c.want("GET", 200, "*")
		c.send("GET /a%%20b?x HTTP/1.1\r\nHost: h.test\r\nUser-Agent: me\r\n\r\n")
		c.want("GET", 200, "*")
		c.send("GET / HTTP/1.1\r\nBad Name: x\r\n\r\n")
		c.want("GET", 400, "*")
		log := s.Log.Wait(t, `" 400 `)
		for _, want := range []string{
			`127.0.0.1 - - [`,
			`] "GET /a%20b?x HTTP/1.1" 200 20 "-" "me" 55 0.0`,
			`] ` + strings.TrimPrefix(up, "http://") + ` 20 0.0`,
		} {
			if !strings.Contains(log, want) {
				t.Errorf("log lacks %s\n%s", want, log)
			}
		}
		if strings.Contains(log, "/quiet") {
			t.Errorf("log is\n%s", log)
		}
		m := s.Proxy("default").Metrics()
		if m.Requests != 3 || m.InFlight != 0 || m.Errors["bad-request"] != 1 {
			t.Errorf("metrics are %+v", m)
		}
		for _, r := range m.Routes {
			if r.ID == "default|h.test|Prefix|/" {
				if r.Answers != [6]uint64{2: 2} || len(r.Series) != 1 {
					t.Fatalf("route metrics are %+v", r)
				}
				s := r.Series[0]
				if s.N != 2 || s.Status() != "200" || s.Method() != "GET" || s.Host != "h.test" || s.Duration.Count != 2 || s.Header.Count != 2 || s.Connect.Count != 2 ||
					s.RequestSize.Sum != float64(r.BytesReceived) || s.ResponseSize.Sum != float64(r.BytesSent) || s.BytesSent.Count != 2 {
					t.Errorf("series are %+v", s)
				}
				return
			}
		}
		t.Errorf("route is not counted: %+v", m.Routes)
	})
}
