package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
)

func TestRetryNextEndpoint(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		var closed atomic.Int64
		closing := rawApp(t, func(c net.Conn, r *bufio.Reader) { http.ReadRequest(r); closed.Add(1) })
		s := site(t, kind, []string{refusing(t), closing, app(t, echo)})
		c := dial(t, s.Addr("http"))
		for i := range 9 {
			c.send("PUT /%d HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\nbody", i)
			c.want("PUT", 200, fmt.Sprintf("PUT h.test /%d body", i))
		}
		if closed.Load() == 0 {
			t.Error("the endpoint that closes was never asked")
		}
		c.send("GET /last HTTP/1.1\r\nHost: h.test\r\n\r\n")
		c.want("GET", 200, "*")
		s.Log.Wait(t, "502, ") // the list of statuses of a request with two tries
	})
}

// TestPostIsNotRepeated holds that a request that may have had an effect is not sent
// twice, unless the route says so; one that reached nobody is.
func TestPostIsNotRepeated(t *testing.T) {
	for _, tt := range []struct {
		name    string
		method  string
		forward func(*exchange.Forward)
		first   string // "refuses" or "closes"
		status  int
		times   int64
	}{
		{"POST, closed", "POST", func(*exchange.Forward) {}, "closes", 502, 1},
		{"PATCH, closed", "PATCH", func(*exchange.Forward) {}, "closes", 502, 1},
		{"POST, non_idempotent", "POST", func(f *exchange.Forward) { f.RetryOn |= exchange.RetryNonIdempotent }, "closes", 502, 3},
		{"DELETE, closed", "DELETE", func(*exchange.Forward) {}, "closes", 502, 3},
		{"DELETE, off", "DELETE", func(f *exchange.Forward) { f.RetryOn = 0 }, "closes", 502, 1},
		{"DELETE, two tries", "DELETE", func(f *exchange.Forward) { f.Tries = 2 }, "closes", 502, 2},
		{"DELETE, no bound", "DELETE", func(f *exchange.Forward) { f.Tries = 0 }, "closes", 502, 32},
		{"DELETE, http_503", "DELETE", func(f *exchange.Forward) { f.RetryOn |= exchange.Retry503 }, "503", 503, 3},
		{"POST, http_503", "POST", func(f *exchange.Forward) { f.RetryOn |= exchange.Retry503 }, "503", 503, 1},
		{"GET, 503 is an answer", "GET", func(*exchange.Forward) {}, "503", 503, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var times atomic.Int64
			up := rawApp(t, func(c net.Conn, r *bufio.Reader) {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				io.Copy(io.Discard, req.Body)
				times.Add(1)
				if tt.first == "503" {
					io.WriteString(c, "HTTP/1.1 503 Oh\r\nConnection: close\r\nContent-Length: 3\r\n\r\nown")
				}
			})
			s := site(t, loop.DefaultKind(), []string{up}, forward(tt.forward))
			c := dial(t, s.Addr("http"))
			c.send("%s / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 2\r\n\r\nhi", tt.method)
			c.want(tt.method, tt.status, "*")
			if n := times.Load(); n != tt.times {
				t.Errorf("the endpoint was asked %d times, want %d", n, tt.times)
			}
		})
	}
}

func TestPostToRefusingEndpointIsRepeated(t *testing.T) {
	s := site(t, loop.DefaultKind(), []string{refusing(t), app(t, echo)})
	c := dial(t, s.Addr("http"))
	for range 4 {
		c.send("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 2\r\n\r\nhi")
		c.want("POST", 200, "POST h.test / hi")
	}
}

// TestTryTimeout holds that no further try begins after its time.
func TestTryTimeout(t *testing.T) {
	var times atomic.Int64
	up := rawApp(t, func(c net.Conn, r *bufio.Reader) { http.ReadRequest(r); times.Add(1); r.ReadByte() })
	s := site(t, loop.DefaultKind(), []string{up}, forward(func(f *exchange.Forward) {
		f.ReadTimeout, f.TryTimeout = 60*time.Millisecond, 50*time.Millisecond
	}))
	c := dial(t, s.Addr("http"))
	c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
	c.want("GET", 504, "*")
	if n := times.Load(); n != 1 {
		t.Errorf("the endpoint was asked %d times", n)
	}
}

// TestStaleConnection holds that a kept connection that dies under a request costs
// the client nothing, and no try.
func TestStaleConnection(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		var conns atomic.Int64
		up := rawApp(t, func(c net.Conn, r *bufio.Reader) {
			conns.Add(1)
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			http.ReadRequest(r) // takes the second request and dies
		})
		s := site(t, kind, []string{up}, forward(func(f *exchange.Forward) { f.Tries, f.RetryOn = 1, 0 }))
		c := dial(t, s.Addr("http"))
		for range 5 {
			c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
			c.want("GET", 200, "ok")
		}
		if n := conns.Load(); n != 5 {
			t.Errorf("%d connections, want one for each request", n)
		}
	})
}

// TestStreamedBodyIsNotRepeated holds that a body that was not kept is not sent to
// another endpoint without its beginning.
func TestStreamedBodyIsNotRepeated(t *testing.T) {
	var times atomic.Int64
	up := rawApp(t, func(c net.Conn, r *bufio.Reader) { http.ReadRequest(r); times.Add(1) })
	s := site(t, loop.DefaultKind(), []string{up}, forward(streamed))
	c := dial(t, s.Addr("http"))
	c.send("PUT / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 2\r\n\r\nhi")
	c.want("PUT", 502, "*")
	if n := times.Load(); n != 1 {
		t.Errorf("the endpoint was asked %d times", n)
	}
}
