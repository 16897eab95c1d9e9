package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
)

// policies are what annotations of an Ingress come to.
func policies(t *testing.T, annotations ...string) []model.Policy {
	t.Helper()
	all := map[string]string{}
	for _, a := range annotations {
		name, value, _ := strings.Cut(a, ": ")
		all[policy.DefaultPrefix+"/"+name] = value
	}
	r := policy.Route(policy.Input{Namespace: "ns", Annotations: all, Secret: func(string, string) (map[string][]byte, error) {
		return map[string][]byte{"auth": []byte("someuser:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=")}, nil
	}})
	if len(r.Problems) > 0 {
		t.Fatal(r.Problems)
	}
	return r.Policies
}

const password = "Authorization: Basic c29tZXVzZXI6c2VjcmV0\r\n"

// wiretap is an endpoint that keeps the bytes of every connection.
type wiretap struct {
	addr  string
	mu    sync.Mutex
	got   []*bytes.Buffer
	whole []string // paths of the requests that came whole
}

// tap starts a wiretap, which answers each request with what respond makes of its
// target. An empty answer closes the connection.
func tap(t *testing.T, respond func(r *http.Request) string) *wiretap {
	w := &wiretap{}
	w.addr = rawApp(t, func(c net.Conn, r *bufio.Reader) {
		b := &bytes.Buffer{}
		w.mu.Lock()
		w.got = append(w.got, b)
		w.mu.Unlock()
		r = bufio.NewReader(io.TeeReader(r, &locked{&w.mu, b}))
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			w.mu.Lock()
			w.whole = append(w.whole, req.URL.Path)
			w.mu.Unlock()
			a := respond(req)
			if a == "" {
				return
			}
			io.WriteString(c, strings.ReplaceAll(a, "\n", "\r\n"))
		}
	})
	return w
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// all returns everything that came.
func (w *wiretap) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, g := range w.got {
		b.Write(g.Bytes())
	}
	return b.String()
}

const fine = "HTTP/1.1 200 OK\nContent-Length: 4\n\nfine"

func always(*http.Request) string { return fine }

// Connection cannot name away what we tell the endpoint, and what it names of the
// client's own does not pass.
func TestHopByHopFields(t *testing.T) {
	w := tap(t, always)
	cfg := proxytest.Config(proxytest.Host("h.test", "app", policies(t)...))
	s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", w.addr)}, loop.DefaultKind())
	c := dial(t, s.Addr("http"))
	c.send("GET / HTTP/1.1\r\nHost: h.test\r\nConnection: X-Real-IP, x-forwarded-for,X-Forwarded-Proto, Host, Content-Length, X-Secret, X-Request-ID\r\n" +
		"X-Secret: 1\r\nX-Real-IP: 10.0.0.1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nProxy: http://evil\r\n\r\n")
	c.want("GET", 200, "fine")
	got := w.all()
	for _, want := range []string{"\r\nHost: h.test\r\n", "X-Real-IP: 127.0.0.1\r\n", "X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n", "X-Request-ID: "} {
		if strings.Count(got, want) != 1 {
			t.Errorf("the endpoint is not told %q once:\n%s", want, got)
		}
	}
	for _, never := range []string{"Connection", "X-Secret", "Keep-Alive", "Proxy", "10.0.0.1", "Content-Length"} {
		if strings.Contains(got, never) {
			t.Errorf("%s passes:\n%s", never, got)
		}
	}
}

// targets are ways to write a path below /admin, or to look like one.
func targets() []string {
	list := []string{
		"/admin", "/admin/", "//admin", "/./admin", "/x/../admin", "/%61dmin", "/admin%2f", "/admin%2Fx", "/x/%2e%2e/admin",
		"/%2e/admin", "/admin/.", "/admin/..;/", "/admin;x", "/admin?x", "/x/..%2fadmin", "/x%2f..%2fadmin", "/x/..//admin",
		"/%2e%2e/admin", "/..%2fadmin", "/x/.%2e/admin", "http://h.test/admin", "http://h.test//admin", "HTTP://H.TEST/x/../admin",
		"/admin%00", "/%00/../admin", "/admin%0d%0aX:y", "/admin%", "/admin%zz", "/ad%6din/%2e%2e/admin/x", "/\xff/../admin", "/admin\xff",
		"/x/%252e%252e/admin", "/ADMIN", "/administrator", "/x/..;/admin", "/\\admin", "/x\\..\\admin", "http://h.test", "http://h.test?/admin",
	}
	rng := rand.New(rand.NewPCG(1, 2))
	parts := []string{"/", "/", "admin", "x", ".", "..", "%2e", "%2E", "%2f", "%2F", "%61dmin", "%5c", ";", "?", "a", "%25"}
	for range 3000 {
		s := "/"
		for range 1 + rng.IntN(9) {
			s += parts[rng.IntN(len(parts))]
		}
		list = append(list, s)
	}
	return list
}

// guarded reports whether a target means something below /admin, by the rules of
// packages url and path.
func guarded(target string) bool {
	target, _, _ = strings.Cut(target, "?")
	if i := strings.Index(target, "://"); i >= 0 {
		_, rest, _ := strings.Cut(target[i+3:], "/")
		target = "/" + rest
	}
	p, err := url.PathUnescape(target)
	if err != nil {
		return false
	}
	p = path.Clean(p)
	return p == "/admin" || strings.HasPrefix(p, "/admin/")
}

// A guarded path is guarded however it is written, and no other one is.
func TestNoWayAroundAGuard(t *testing.T) {
	w := tap(t, always)
	admin := proxytest.Route("h.test", "/admin", "app", policies(t, "auth-type: basic", "auth-secret: users")...)
	cfg := proxytest.Config(model.Host{Name: "h.test", Routes: []model.Route{admin, proxytest.Route("h.test", "/", "app")}})
	cfg.Controllers[0].Settings.KeepAliveRequests = 0
	s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", w.addr)}, loop.DefaultKind())
	c := dial(t, s.Addr("http"))
	met := map[int]int{}
	for _, target := range targets() {
		c.send("GET %s HTTP/1.1\r\nHost: h.test\r\n\r\n", target)
		resp := c.want("GET", c.status("GET"), "*")
		met[resp.StatusCode]++
		switch guard := guarded(target); {
		case guard && resp.StatusCode == 200:
			t.Errorf("%q passes the guard", target)
		case !guard && resp.StatusCode == 401:
			t.Errorf("%q is asked for a password", target)
		}
		if resp.Close {
			c = dial(t, s.Addr("http"))
		}
	}
	if met[200] < 100 || met[401] < 100 || met[400] < 100 || len(met) != 3 {
		t.Errorf("answers by status: %v", met)
	}
}

// status looks at the status of the next answer.
func (c *client) status(method string) int {
	c.t.Helper()
	line, err := c.r.Peek(len("HTTP/1.1 200"))
	if err != nil {
		c.t.Fatal(err)
	}
	var n int
	fmt.Sscanf(string(line[9:]), "%d", &n)
	return n
}

// poison is what an endpoint adds to an answer to have it taken for the next one.
const poison = "HTTP/1.1 200 OK\nContent-Length: 6\n\npoison"

// answers are what hostile or broken endpoints say. The client sees a status, and
// nothing of what follows an answer becomes the answer to another request.
var answers = []struct {
	name, method, say string
	status            int
}{
	{"more than announced", "GET", fine + poison, 200},
	{"an answer unasked", "GET", "HTTP/1.1 200 OK\nContent-Length: 0\n\n" + poison, 200},
	{"a body for HEAD", "HEAD", fine + poison, 200},
	{"chunks for HEAD", "HEAD", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n4\nfine\n0\n\n" + poison, 200},
	{"a body for 204", "GET", "HTTP/1.1 204 No Content\nContent-Length: 4\n\nfine" + poison, 204},
	{"chunks for 204", "GET", "HTTP/1.1 204 No Content\nTransfer-Encoding: chunked\n\n" + poison, 204},
	{"a body for 304", "GET", "HTTP/1.1 304 Not Modified\nContent-Length: 4\n\nfine" + poison, 304},
	{"interim answers", "GET", "HTTP/1.1 102 Processing\n\nHTTP/1.1 100 Continue\n\n" + fine + poison, 200},
	{"an interim answer with a body", "GET", "HTTP/1.1 102 Processing\nContent-Length: 4\n\n" + fine + poison, 200},
	{"interim answers without end", "GET", strings.Repeat("HTTP/1.1 100 Continue\n\n", 200) + poison, 502},
	{"switching unasked", "GET", "HTTP/1.1 101 Switching Protocols\nUpgrade: x\nConnection: upgrade\n\n" + poison, 502},
	{"two lengths", "GET", "HTTP/1.1 200 OK\nContent-Length: 4\nContent-Length: 5\n\nfine" + poison, 502},
	{"length and coding", "GET", "HTTP/1.1 200 OK\nContent-Length: 4\nTransfer-Encoding: chunked\n\n0\n\n" + poison, 502},
	{"another coding", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n0\n\n" + poison, 502},
	{"coding in HTTP/1.0", "GET", "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n0\n\n" + poison, 502},
	{"a folded field", "GET", "HTTP/1.1 200 OK\nX: a\n b\nContent-Length: 4\n\nfine" + poison, 502},
	{"a bare CR", "GET", "HTTP/1.1 200 OK\nX: a\rSet-Cookie: b\nContent-Length: 4\n\nfine" + poison, 502},
	{"a NUL", "GET", "HTTP/1.1 200 OK\nX: a\x00\nContent-Length: 4\n\nfine" + poison, 502},
	{"a space before the colon", "GET", "HTTP/1.1 200 OK\nContent-Length : 4\n\nfine" + poison, 502},
	{"no status", "GET", "HTTP/1.1 OK\n\n" + poison, 502},
	{"status 99", "GET", "HTTP/1.1 099 OK\n\n" + poison, 502},
	{"HTTP/0.9", "GET", "fine" + poison, 502},
	{"HTTP/2", "GET", "HTTP/2.0 200 OK\n\n" + poison, 502},
	{"nothing", "GET", "", 502},
	{"closing", "GET", "HTTP/1.1 200 OK\nConnection: close\nContent-Length: 4\n\nfine" + poison, 200},
	{"fields that Connection names", "GET", "HTTP/1.1 200 OK\nConnection: X-Hop, Content-Length\nX-Hop: a\nContent-Length: 4\n\nfine" + poison, 200},
	{"a large head", "GET", "HTTP/1.1 200 OK\nX: " + strings.Repeat("x", 10000) + "\nContent-Length: 4\n\nfine" + poison, 502},
}

func TestHostileAnswers(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		w := tap(t, func(r *http.Request) string {
			for i := range answers {
				if r.URL.Path == fmt.Sprintf("/%d", i) {
					return answers[i].say
				}
			}
			return fine
		})
		s := site(t, kind, []string{w.addr}, forward(func(f *exchange.Forward) { f.Tries = 1 }))
		c := dial(t, s.Addr("http"))
		for i, a := range answers {
			t.Run(a.name, func(t *testing.T) {
				c.t = t
				c.send("%s /%d HTTP/1.1\r\nHost: h.test\r\n\r\n", a.method, i)
				for c.status(a.method) < 200 {
					if n := c.status(a.method); n != 102 {
						t.Fatalf("interim answer %d", n)
					}
					c.r.ReadString('\n')
					c.r.ReadString('\n')
				}
				resp := c.want(a.method, a.status, "*")
				if resp.Header.Get("X-Hop") != "" || resp.Header.Get("Set-Cookie") != "" {
					t.Errorf("head is %v", resp.Header)
				}
				for range 2 {
					c.send("GET /next HTTP/1.1\r\nHost: h.test\r\n\r\n")
					c.want("GET", 200, "fine")
				}
			})
		}
	})
}

// An answer that ends with the connection ends so for the client, and one that breaks
// off is not taken for whole.
func TestBrokenOffAnswers(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		at := rawApp(t, func(c net.Conn, r *bufio.Reader) {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			switch req.URL.Path {
			case "/length":
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			case "/chunks":
				io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
			case "/size":
				io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0x")
			case "/close":
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nwhole")
			}
		})
		s := site(t, kind, []string{at})
		for _, target := range []string{"/length", "/chunks", "/size"} {
			for _, version := range []string{"1.0", "1.1"} {
				c := dial(t, s.Addr("http"))
				c.send("GET %s HTTP/%s\r\nHost: h.test\r\nConnection: keep-alive\r\n\r\n", target, version)
				resp, err := http.ReadResponse(c.r, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if version == "1.1" && err == nil || !strings.HasPrefix("half", string(body)) {
					t.Errorf("%s HTTP/%s: %q is taken for whole", target, version, body)
				}
				c.closed()
			}
		}
		c := dial(t, s.Addr("http"))
		c.send("GET /close HTTP/1.1\r\nHost: h.test\r\n\r\n")
		if resp := c.want("GET", 200, "whole"); len(resp.TransferEncoding) != 1 {
			t.Error("the body is not framed")
		}
	})
}

// What a client leaves unfinished never reaches an endpoint as a whole request, nor as
// the beginning of another client's.
func TestUnfinishedRequests(t *testing.T) {
	for _, buffered := range []bool{true, false} {
		t.Run(fmt.Sprintf("buffered %v", buffered), func(t *testing.T) {
			onBoth(t, func(t *testing.T, kind loop.Kind) {
				w := tap(t, always)
				s := site(t, kind, []string{w.addr}, forward(func(f *exchange.Forward) { f.BufferRequest = buffered }))
				for i, in := range []string{
					"POST /%d HTTP/1.1\r\nHost: h.test\r\nContent-Length: 100\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h.test\r\n\r\n",
					"POST /%d HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
					"POST /%d HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",
					"POST /%d HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX y\r\n\r\n",
					"POST /%d HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n0\n\r\nGET /smuggled HTTP/1.1\r\nHost: h.test\r\n\r\n",
				} {
					c := dial(t, s.Addr("http"))
					c.send(in, i)
					c.Conn.(*net.TCPConn).CloseWrite()
					io.Copy(io.Discard, c.r)
					c.Close()
					c = dial(t, s.Addr("http"))
					c.send("GET /next HTTP/1.1\r\nHost: h.test\r\n\r\n")
					c.want("GET", 200, "fine")
				}
				s.Log.Wait(t, "POST /4 ")
				w.mu.Lock()
				for _, path := range w.whole {
					if path != "/next" {
						t.Errorf("the endpoint takes %s for whole", path)
					}
				}
				w.mu.Unlock()
				for _, line := range strings.Split(s.Log.String(), "\n") {
					if strings.Contains(line, "/smuggled") {
						t.Errorf("logged: %s", line)
					}
				}
			})
		})
	}
}
