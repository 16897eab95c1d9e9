package proxy_test

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/routing"
)

// held is a step that takes something for each exchange and gives it back in its Log.
type held struct{ n atomic.Int64 }

func (h *held) Request(*exchange.Exchange) *exchange.Reply { h.n.Add(1); return nil }
func (h *held) Log(*exchange.Exchange)                     { h.n.Add(-1) }

type logged func(*exchange.Exchange)

func (f logged) Log(x *exchange.Exchange) { f(x) }

// Wherever a bug panics, the client is told what still can be told, what steps hold is
// given back, the connection to the endpoint is let go, and the next request is served.
func TestPanics(t *testing.T) {
	boom := func(x *exchange.Exchange) {
		if strings.HasPrefix(x.In.Target, "/panic") {
			panic("oh")
		}
	}
	for _, tt := range []struct {
		name   string
		step   any
		status int
	}{
		{"request step", request(func(x *exchange.Exchange) *exchange.Reply { boom(x); return nil }), 500},
		{"response step", response(boom), 500},
		{"log step", logged(boom), 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, kind loop.Kind) {
				h := &held{}
				s := site(t, kind, []string{app(t, echo)}, func(r *routing.Route) {
					// The panicking step's Log runs before that of held.
					r.Chain.Append(tt.step)
					r.Chain.Request = append([]exchange.Step{h}, r.Chain.Request...)
					r.Chain.Log = append(r.Chain.Log, h)
				})
				for i := range 3 {
					c := dial(t, s.Addr("http"))
					c.send("GET /panic%d HTTP/1.1\r\nHost: h.test\r\n\r\n", i)
					c.want("GET", tt.status, "*")
				}
				c := dial(t, s.Addr("http"))
				c.send("GET /last HTTP/1.1\r\nHost: h.test\r\n\r\n")
				c.want("GET", 200, "*")
				for _, end := range []string{"/panic0", "/panic1", "/panic2", "/last"} {
					s.Log.Wait(t, end+" ")
				}
				if n := h.n.Load(); n != 0 {
					t.Errorf("%d exchanges hold what they took", n)
				}
				if p := s.Upstreams.Pool("app").Snapshot(); p.Endpoints[0].InFlight != 0 {
					t.Errorf("%d connections are in use", p.Endpoints[0].InFlight)
				}
				if n := len(s.Reports()); n != 3 || s.Reports()[0].Kind != exchange.Panic {
					t.Errorf("%d failures were reported: %v", n, s.Reports())
				}
			})
		})
	}
}

// A panic while the request's body is still on its way ends the upload before the
// memory that it reads into serves another connection.
func TestPanicDuringUpload(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		at := rawApp(t, func(c net.Conn, r *bufio.Reader) {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) // early
			req.Body.Read(make([]byte, 1<<10))
			r.ReadByte() // until the connection is closed
			for {
				if _, err := r.Discard(1 << 10); err != nil {
					return
				}
			}
		})
		s := site(t, kind, []string{at}, forward(func(f *exchange.Forward) { f.BufferRequest = false }),
			with(response(func(x *exchange.Exchange) {
				if x.In.Length > 0 {
					panic("oh")
				}
			})))
		c := dial(t, s.Addr("http"))
		c.send("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 100000\r\n\r\nsome")
		c.want("POST", 500, "*")
		c.send("%s", strings.Repeat("x", 100000-4))
		s.Log.Wait(t, "POST / ")
		if p := s.Upstreams.Pool("app").Snapshot(); p.Endpoints[0].InFlight != 0 {
			t.Errorf("%d connections are in use", p.Endpoints[0].InFlight)
		}
	})
}
