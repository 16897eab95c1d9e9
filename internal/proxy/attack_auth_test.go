package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
)

// An authentication service that says anything but yes lets nobody in, and what it says
// to one client is never said to another.
func TestHostileAuthentication(t *testing.T) {
	says := map[string]struct {
		answer string
		status int
	}{
		"yes":          {"HTTP/1.1 200 OK\nX-User: u-%s\nSet-Cookie: s=%s\nContent-Length: 3\n\nyes", 200},
		"no content":   {"HTTP/1.1 204 No Content\nX-User: u-%s\nSet-Cookie: s=%s\n\n", 200},
		"unasked":      {"HTTP/1.1 200 OK\nX-User: u-%s\nSet-Cookie: s=%s\nContent-Length: 0\n\n" + poison, 200},
		"endless":      {"HTTP/1.1 200 OK\nX-User: u-%s\nSet-Cookie: s=%s\n\n" + strings.Repeat("x", 200000), 200},
		"no":           {"HTTP/1.1 401 Unauthorized\nWWW-Authenticate: X\nX-User: u-%s\nSet-Cookie: s=%s\nContent-Length: 0\n\n", 401},
		"forbidden":    {"HTTP/1.1 403 Forbidden\nContent-Length: 0\n\n", 403},
		"redirect":     {"HTTP/1.1 302 Found\nLocation: /\nContent-Length: 0\n\n", 500},
		"not modified": {"HTTP/1.1 304 Not Modified\n\n", 500},
		"not found":    {"HTTP/1.1 404 Not Found\nContent-Length: 0\n\n", 500},
		"error":        {"HTTP/1.1 500 Oh\nContent-Length: 0\n\n", 500},
		"closes":       {"", 500},
		"half":         {"HTTP/1.1 200 O", 500},
		"broken":       {"HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n\nok", 500},
		"interim only": {strings.Repeat("HTTP/1.1 100 Continue\n\n", 300), 500},
		"switches":     {"HTTP/1.1 101 Switching Protocols\nUpgrade: x\nConnection: upgrade\n\n", 500},
		"line end":     {"HTTP/1.1 200 OK\nX-User: a\rb\nContent-Length: 0\n\n", 500},
	}
	auth := rawApp(t, func(c net.Conn, r *bufio.Reader) {
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if req.Header.Get("X-User") != "" && req.Header.Get("X-User") != "mallory" || req.ContentLength != 0 || len(req.TransferEncoding) > 0 {
				c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
				return
			}
			id := req.Header.Get("X-Client")
			a := says[req.Header.Get("X-Say")].answer
			if strings.Contains(a, "%s") {
				a = fmt.Sprintf(a, id, id)
			}
			if a == "" || a == "HTTP/1.1 200 O" {
				io.WriteString(c, a)
				return
			}
			io.WriteString(c, strings.ReplaceAll(a, "\n", "\r\n"))
		}
	})
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		w := tap(t, func(r *http.Request) string {
			user := strings.Join(r.Header["X-User"], ",")
			return fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\n\n%s", len(user), user)
		})
		cfg := proxytest.Config(proxytest.Host("h.test", "app", policies(t, "auth-url: http://"+auth+"/", "auth-response-headers: X-User")...))
		s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", w.addr)}, kind)
		var all sync.WaitGroup
		defer all.Wait()
		for client := range 4 {
			c := dial(t, s.Addr("http"))
			all.Go(func() {
				id := fmt.Sprint(client)
				for range 5 {
					for say, tt := range says {
						fmt.Fprintf(c.Conn, "POST / HTTP/1.1\r\nHost: h.test\r\nX-Say: %s\r\nX-Client: %s\r\nX-User: mallory\r\nContent-Length: 4\r\nConnection: X-User\r\n\r\nbody", say, id)
						resp, err := http.ReadResponse(c.r, nil)
						if err != nil {
							t.Errorf("%s: %v", say, err)
							return
						}
						body, _ := io.ReadAll(resp.Body)
						if resp.StatusCode != tt.status {
							t.Errorf("%s: answer is %d, want %d", say, resp.StatusCode, tt.status)
						}
						if cookie := resp.Header.Get("Set-Cookie"); (cookie != "") != (tt.status == 200) || cookie != "" && cookie != "s="+id {
							t.Errorf("%s: client %s gets cookie %q", say, id, cookie)
						}
						if tt.status == 200 && string(body) != "u-"+id {
							t.Errorf("%s: client %s passes as %q", say, id, body)
						}
					}
				}
			})
		}
	})
}

// What clients write into a request stays a part of one field of the answer.
func TestNoFieldIsInjected(t *testing.T) {
	w := tap(t, func(r *http.Request) string { return fine })
	host := model.Host{Name: "h.test", TLS: true, Routes: []model.Route{
		proxytest.Route("h.test", "/dir/", "app", policies(t, "ssl-redirect: false")...),
		proxytest.Route("h.test", "/tls", "app", policies(t)...),
		proxytest.Route("h.test", "/moved", "app", policies(t, "permanent-redirect: https://other.test$uri?$args")...),
		proxytest.Route("h.test", "/sticky", "app", policies(t, "ssl-redirect: false", "affinity: cookie")...),
	}}
	cfg := proxytest.Config(host)
	s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", w.addr)}, loop.DefaultKind())
	for _, tt := range []struct {
		target string
		status int
		prefix string
	}{
		{"/dir?a=%0d%0aSet-Cookie:%20x", 301, "http://h.test/dir/?a=%0d%0aSet-Cookie:%20x"},
		{"/di%72?%0aX:y", 301, "http://h.test/dir/?%0aX:y"},
		{"/tls%0d%0aX:y", 404, ""},
		{"/tls/%0d%0aX-Evil:%20y", 308, "https://h.test/tls/%0d%0aX-Evil:%20y"},
		{"/moved/%0d%0aX-Evil:%20y?%0d%0aX-Evil:y", 301, "https://other.test/moved/  X-Evil: y?%0d%0aX-Evil:y"},
		{"//evil.test/%2e%2e/tls", 308, "https://h.test//evil.test/"},
		{"/sticky", 200, ""},
	} {
		for _, target := range []string{tt.target, "http://H.test" + tt.target} {
			c := dial(t, s.Addr("http"))
			c.send("GET %s HTTP/1.1\r\nHost: h.test\r\nCookie: INGRESSCOOKIE=a\"b; INGRESSCOOKIE=x|y\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: https\r\n\r\n", target)
			resp := c.want("GET", c.status("GET"), "*")
			at := resp.Header.Get("Location")
			if resp.StatusCode != tt.status || !strings.HasPrefix(strings.Replace(at, "//H.test", "//h.test", 1), tt.prefix) || tt.prefix == "" && at != "" {
				t.Errorf("%s: %d to %q", target, resp.StatusCode, at)
			}
			if resp.Header.Get("X-Evil") != "" || strings.Contains(resp.Header.Get("Set-Cookie"), `"`) {
				t.Errorf("%s: head is %v", target, resp.Header)
			}
		}
	}
}
