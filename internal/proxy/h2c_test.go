package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
)

// TestH2C has Pierhead speak HTTP/2 without TLS to endpoints that are no servers of gRPC:
// many requests on one connection, bodies as over HTTP/1.1, and WebSockets, which HTTP/2
// does not carry here, by HTTP/1.1.
func TestH2C(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		var conns atomic.Int32
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") == "websocket" && r.ProtoMajor == 1 {
				c, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				io.Copy(c, rw)
				return
			}
			body, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s %s %d %d %v", r.Proto, r.Method, r.Host, r.URL, r.ContentLength, len(body), err)
		}))
		srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				conns.Add(1)
			}
		}
		srv.Config.Protocols = new(http.Protocols)
		srv.Config.Protocols.SetHTTP1(true)
		srv.Config.Protocols.SetUnencryptedHTTP2(true)
		srv.Start()
		t.Cleanup(srv.Close)
		s := site2(t, kind, "H2C", []string{srv.Listener.Addr().String()})
		c := dial(t, s.Addr("http"))
		for range 20 {
			if got := c.fetch("/a?b=c"); got != "HTTP/2.0 GET h.test /a?b=c 0 0 <nil>" {
				t.Fatalf("the endpoint got %q", got)
			}
		}
		c.send("POST /p HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n%s\r\n0\r\n\r\n", strings.Repeat("x", 1000))
		c.want("POST", 200, "HTTP/2.0 POST h.test /p 1000 1000 <nil>") // held back: its length is known
		c.send("GET /u HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
		c.want("GET", 200, "HTTP/2.0 GET h.test /u 0 0 <nil>")
		if n := conns.Load(); n > int32(len(s.Engine.Loops())) {
			t.Errorf("%d connections for requests one after the other", n)
		}
		for range 2 {
			c := dial(t, s.Addr("http"))
			c.send(askUpgrade + "early")
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil || resp.StatusCode != 101 {
				t.Fatalf("answer is %v, %v", resp, err)
			}
			c.expect("early")
		}
	})
}
