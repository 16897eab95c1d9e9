package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

func urlOf(host string, addr netip.AddrPort) *exchange.URL {
	return &exchange.URL{Scheme: "http", Host: host, Port: addr.Port(), Path: "/auth"}
}

// askOnce asks and returns status and up to n bytes of the body.
func askOnce(c *Client, l *loop.Loop, url *exchange.URL, n int) (int, string, error) {
	req := &message.Request{Method: "GET", Target: url.Path, Host: url.Host, Scheme: url.Scheme}
	req.Header.Add("X-Original-Method", "POST")
	var resp message.Response
	done, err := c.Do(l, url, req, &resp, &testForward)
	if err != nil {
		return 0, "", err
	}
	defer done()
	b := make([]byte, n)
	k := 0
	if resp.Body != nil {
		k, err = io.ReadFull(resp.Body, b)
		if err == io.ErrUnexpectedEOF || err == io.EOF {
			err = nil
		}
	}
	return resp.Status, string(b[:k]), err
}

// waitingOn returns how many connections of the client wait on l.
func waitingOn(c *Client, l *loop.Loop) int { return c.keep.shelves[l.Index()].n }

func TestClientKeepsConnections(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		srv := newServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Original-Method") != "POST" || r.ContentLength != 0 {
				t.Errorf("request %+v", r)
			}
			w.WriteHeader(401)
			io.WriteString(w, strings.Repeat("no", 1000))
		})
		c := NewClient(e.Loops())
		l := e.Next()
		on(l, func() {
			for _, n := range []int{0, 10, 2000, 4000} { // unread rests are drained
				status, body, err := askOnce(c, l, urlOf("127.0.0.1", srv.addr), n)
				if status != 401 || err != nil || body != strings.Repeat("no", 1000)[:min(n, 2000)] {
					t.Errorf("status %d, body %q, %v", status, body, err)
				}
				if waitingOn(c, l) != 1 {
					t.Errorf("%d connections wait after an answer of which %d bytes were read", waitingOn(c, l), n)
				}
			}
		})
		if n := srv.opened.Load(); n != 1 {
			t.Errorf("%d connections for four requests", n)
		}
	})
}

func TestClientGivesUpLargeBodies(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		srv := newServer(t, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 8<<20)) })
		c := NewClient(e.Loops())
		l := e.Next()
		on(l, func() {
			if status, _, err := askOnce(c, l, urlOf("127.0.0.1", srv.addr), 1); status != 200 || err != nil {
				t.Errorf("status %d, %v", status, err)
			}
			if waitingOn(c, l) != 0 {
				t.Error("a connection whose answer was not read waits for the next request")
			}
		})
		srv.awaitClosed(t, 1)
	})
}

// rawServer answers each connection by f.
func rawServer(t *testing.T, f func(n int, nc net.Conn)) netip.AddrPort {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	open := make(chan net.Conn, 100)
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			open <- nc
			go f(n, nc)
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-ended
		close(open)
		for nc := range open {
			nc.Close()
		}
	})
	return netip.MustParseAddrPort(ln.Addr().String())
}

// readHead reads one request head.
func readHead(nc net.Conn) bool {
	r := bufio.NewReader(nc)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
	}
}

// TestClientRetriesStaleConnections: the server closes the kept connection the moment
// the next request arrives on it; the request goes to a new one.
func TestClientRetriesStaleConnections(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		var conns atomic.Int64
		addr := rawServer(t, func(n int, nc net.Conn) {
			conns.Add(1)
			readHead(nc)
			io.WriteString(nc, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
			readHead(nc)
			nc.Close()
		})
		c := NewClient(e.Loops())
		l := e.Next()
		on(l, func() {
			for i := range 3 {
				if status, _, err := askOnce(c, l, urlOf("127.0.0.1", addr), 1); status != 204 || err != nil {
					t.Errorf("request %d: status %d, %v", i, status, err)
				}
			}
		})
		if n := conns.Load(); n != 3 {
			t.Errorf("%d connections, want 3", n)
		}
	})
}

func TestClientFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer string // "": none, the connection stays open
		kind   exchange.Kind
	}{
		{"closed", "close", exchange.UpstreamClosed},
		{"cut", "HTTP/1.1 200 OK\r\nA: ", exchange.UpstreamClosed},
		{"no HTTP", "SSH-2.0-x\r\n\r\n", exchange.UpstreamInvalid},
		{"unasked upgrade", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", exchange.UpstreamInvalid},
		{"large head", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 8<<10) + "\r\n\r\n", exchange.UpstreamHeadTooLarge},
		{"silence", "", exchange.UpstreamTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
				addr := rawServer(t, func(_ int, nc net.Conn) {
					readHead(nc)
					if c.answer == "" {
						readHead(nc) // until the other side gives up
					} else if c.answer != "close" {
						io.WriteString(nc, c.answer)
					}
					nc.Close()
				})
				client := NewClient(e.Loops())
				l := e.Next()
				fwd := testForward
				fwd.ReadTimeout = 50 * time.Millisecond
				on(l, func() {
					req := &message.Request{Method: "GET", Target: "/", Host: "x"}
					var resp message.Response
					_, err := client.Do(l, urlOf("127.0.0.1", addr), req, &resp, &fwd)
					var failure *exchange.Error
					if !errors.As(err, &failure) || failure.Kind != c.kind {
						t.Errorf("error %v, want %s", err, c.kind)
					}
				})
			})
		})
	}
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		client := NewClient(e.Loops())
		client.resolver = func(context.Context, string, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
		l := e.Next()
		on(l, func() {
			_, _, err := askOnce(client, l, &exchange.URL{Scheme: "http", Host: "nobody.test", Port: 80}, 0)
			var failure *exchange.Error
			if !errors.As(err, &failure) || failure.Kind != exchange.ConnectFailed {
				t.Errorf("a name nobody knows: %v", err)
			}
		})
	})
}

// TestClientResolvesOnce: many requests at once wait for one look-up.
func TestClientResolvesOnce(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		srv := newServer(t, hello)
		c := NewClient(e.Loops())
		var asked atomic.Int64
		begun, release := make(chan struct{}), make(chan struct{})
		c.resolver = func(_ context.Context, network, host string) ([]netip.Addr, error) {
			if asked.Add(1) == 1 {
				close(begun)
			}
			<-release
			return []netip.Addr{srv.addr.Addr()}, nil
		}
		l := e.Next()
		const n = 10
		results := make(chan string, n)
		for range n {
			l.Post(func() {
				status, body, err := askOnce(c, l, urlOf("auth.test", srv.addr), 100)
				results <- fmt.Sprint(status, body, err)
			})
		}
		<-begun
		on(l, func() {}) // all of them have been started
		close(release)
		for range n {
			if got := <-results; got != "200hello /auth<nil>" {
				t.Errorf("answer %q", got)
			}
		}
		if got := asked.Load(); got != 1 {
			t.Errorf("%d look-ups", got)
		}
	})
}

func TestClientForgetsOrigins(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		srv := newServer(t, hello)
		c := NewClient(e.Loops())
		c.resolver = func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{srv.addr.Addr()}, nil
		}
		l := e.Next()
		on(l, func() {
			for i := range maxOrigins + 50 {
				if status, _, err := askOnce(c, l, urlOf(fmt.Sprintf("host-%d.test", i), srv.addr), 100); status != 200 {
					t.Errorf("status %d, %v", status, err)
					return
				}
			}
			if n := len(c.origins[0]); n != maxOrigins {
				t.Errorf("%d servers remembered", n)
			}
			if n := waitingOn(c, l); n > ClientKeepAlive.Max {
				t.Errorf("%d connections wait", n)
			}
		})
	})
}

func TestClientAllocations(t *testing.T) {
	e, err := loop.New(loop.DefaultKind(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c := NewClient(e.Loops())
	l := e.Next()
	url := &exchange.URL{Scheme: "http", Host: "127.0.0.1", Port: 80}
	on(l, func() {
		c.origin(l, url)
		if n := testing.AllocsPerRun(100, func() { c.origin(l, url) }); n != 0 {
			t.Errorf("finding a server allocates %v times", n)
		}
	})
}
