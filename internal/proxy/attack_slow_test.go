package proxy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
)

// drip sends text byte by byte until the other side ends the connection, and returns
// what it said. A byte every two milliseconds is what a deadline that each byte moved
// would wait for.
func (c *client) drip(text string) string {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i = (i + 1) % len(text) {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if _, err := c.Write([]byte(text[i : i+1])); err != nil {
				return
			}
		}
	}()
	said, _ := io.ReadAll(c.r)
	close(stop)
	<-done
	return string(said)
}

// Who is slow with a head, a handshake or a PROXY header is cut off in time, however
// steadily bytes come, and holds nothing afterwards.
func TestSlowClients(t *testing.T) {
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	ctl := &cfg.Controllers[0]
	ctl.Settings.HeaderTimeout = 120 * time.Millisecond
	ctl.Settings.BodyTimeout = 120 * time.Millisecond
	ctl.Settings.KeepAlive = 120 * time.Millisecond
	ctl.Listeners = append(ctl.Listeners, model.Listener{Name: "proxy", Port: 80, ProxyProtocol: true})
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", app(t, echo))}, kind)
		hello := "\x16\x03\x01\x40\x00" + strings.Repeat("\x01", 1000)
		t.Run("all", func(t *testing.T) {
			for _, tt := range []struct{ name, listener, first, drip, want string }{
				{"says nothing", "http", "", "", ""},
				{"head", "http", "GET / HTTP/1.1\r\nHost: h.test\r\nX: ", "y", "HTTP/1.1 408 "},
				{"request line", "http", "GET /", "y", "HTTP/1.1 408 "},
				{"half an empty line", "http", "\r", "", "HTTP/1.1 408 "},
				{"empty line", "http", "\r\n", "", ""},
				{"preface of HTTP/2", "http", "PRI * HTTP/2.0\r\n", "", "HTTP/1.1 408 "},
				{"silence after an answer", "http", "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n", "", "HTTP/1.1 200 "},
				{"second head", "http", "GET / HTTP/1.1\r\nHost: h.test\r\n\r\nGET", "", "HTTP/1.1 408 "},
				{"body that stops", "http", "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 9\r\n\r\nx", "", "HTTP/1.1 408 "},
				{"handshake", "https", hello[:5], hello[5:], ""},
				{"silent handshake", "https", "", "", ""},
				{"PROXY header", "proxy", "PROXY ", "", ""},
				{"long PROXY header", "proxy", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x3f\x00", "\x00", ""},
			} {
				t.Run(tt.name, func(t *testing.T) {
					t.Parallel()
					c := dial(t, s.Addr(tt.listener))
					c.send("%s", tt.first)
					var said string
					if tt.drip == "" {
						b, err := io.ReadAll(c.r)
						if said = string(b); err != nil && !strings.Contains(err.Error(), "reset") {
							t.Fatalf("%v after %q", err, said)
						}
					} else {
						said = c.drip(tt.drip)
					}
					if !strings.Contains(said, tt.want) || tt.want == "" && strings.Contains(said, "HTTP") {
						t.Errorf("was told %q, want %q", said, tt.want)
					}
				})
			}
		})
		idle(t, s)
	})
}

// idle waits until no client connection is open.
func idle(t *testing.T, s *proxytest.Server) {
	t.Helper()
	deadline := time.After(patience)
	for s.Listeners.Counts().Active > 0 {
		select {
		case <-deadline:
			t.Fatalf("%+v", s.Listeners.Counts())
		case <-time.After(time.Millisecond):
		}
	}
}

// However an exchange ends, its slot is free again, its connection to the endpoint is
// let go and its client connection is closed.
func TestNothingIsHeld(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		entered := make(chan struct{}, 10)
		at := rawApp(t, func(c net.Conn, r *bufio.Reader) {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			entered <- struct{}{}
			switch req.URL.Path {
			case "/hang":
				io.Copy(io.Discard, r)
			case "/stream":
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nfirst")
				io.Copy(io.Discard, r)
			case "/flood":
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				for b := make([]byte, 64<<10); ; {
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			case "/upgrade":
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
				io.Copy(io.Discard, r)
			}
		})
		cfg := proxytest.Config(proxytest.Host("h.test", "app", policies(t, "limit-connections: 1", "proxy-request-buffering: off", "proxy-next-upstream: off")...))
		s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", at)}, kind)
		for i, tt := range []struct{ listener, request, until string }{
			{"http", "GET /hang HTTP/1.1\r\n", ""},
			{"http", "POST /hang HTTP/1.1\r\nContent-Length: 10\r\n", ""},
			{"http", "GET /stream HTTP/1.1\r\n", "first"},
			{"http", "GET /flood HTTP/1.1\r\n", "200"},
			{"http", "GET /upgrade HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n", "101"},
			{"http", "GET /close HTTP/1.1\r\n", "502"},
			{"https", "GET /hang HTTP/1.1\r\n", ""},
			{"https", "GET /flood HTTP/1.1\r\n", "200"},
			{"https", "GET /upgrade HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n", "101"},
		} {
			c := dial(t, s.Addr(tt.listener))
			if tt.listener == "https" {
				c = rawClient(t, tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}))
			}
			mark := fmt.Sprintf("mark-%d-", i)
			c.send("%sHost: h.test\r\nUser-Agent: %s\r\n\r\n", tt.request, mark)
			<-entered
			for said := ""; !strings.Contains(said, tt.until); {
				b := make([]byte, 100)
				n, err := c.r.Read(b)
				if said += string(b[:n]); err != nil {
					t.Fatalf("%s: %v after %q", tt.request, err, said)
				}
			}
			c.Close()
			s.Log.Wait(t, mark) // and only one at a time is allowed
		}
		idle(t, s)
		if p := s.Upstreams.Pool("app").Snapshot(); p.Endpoints[0].InFlight+p.Endpoints[0].Idle != 0 {
			t.Errorf("connections: %+v", p.Endpoints[0])
		}
		if n := strings.Count(s.Log.String(), `" 503 `); n > 0 {
			t.Errorf("%d requests found no slot:\n%s", n, s.Log.String())
		}
		if s.Reports()[0].Kind != exchange.ClientGone {
			t.Errorf("%v", s.Reports())
		}
	})
}
