package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/wire/http1"
)

// onEngines runs a test on both kinds of engine.
func onEngines(t *testing.T, loops int, f func(*testing.T, *loop.Engine)) {
	for _, kind := range []loop.Kind{loop.Goroutines, loop.DefaultKind()} {
		t.Run(string(kind), func(t *testing.T) {
			e, err := loop.New(kind, loops)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			f(t, e)
		})
	}
}

// on runs f on a loop and waits for it.
func on(l *loop.Loop, f func()) {
	done := make(chan struct{})
	l.Post(func() {
		defer close(done)
		f()
	})
	<-done
}

// server is an HTTP server that counts its connections.
type server struct {
	*httptest.Server
	addr   netip.AddrPort
	opened atomic.Int64
	closed chan struct{} // gets one for each connection that ends
}

func newServer(t testing.TB, h http.HandlerFunc) *server {
	t.Helper()
	return newServerOf(t, h, func(s *httptest.Server) { s.Start() })
}

// newServerOf is newServer for one that is started in another way.
func newServerOf(t testing.TB, h http.HandlerFunc, start func(*httptest.Server)) *server {
	t.Helper()
	s := &server{closed: make(chan struct{}, 1000)}
	s.Server = httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		switch st {
		case http.StateNew:
			s.opened.Add(1)
		case http.StateClosed:
			s.closed <- struct{}{}
		}
	}
	start(s.Server)
	s.addr = netip.MustParseAddrPort(s.Listener.Addr().String())
	t.Cleanup(s.Close)
	return s
}

// awaitClosed waits until n connections have ended.
func (s *server) awaitClosed(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		select {
		case <-s.closed:
		case <-time.After(5 * time.Second):
			t.Fatalf("%d of %d connections were closed", i, n)
		}
	}
}

func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello "+r.URL.Path) }

var testForward = exchange.Forward{ConnectTimeout: 5 * time.Second, SendTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, HeadLimit: 4 << 10}

// poolOn returns a pool whose endpoints are the servers.
func poolOn(t testing.TB, e *loop.Engine, k KeepAlive, servers ...*server) (*Set, *Pool) {
	s := NewSet(e.Loops())
	t.Cleanup(s.Close)
	s.Apply([]model.Upstream{{Name: "app"}}, k)
	var as []netip.AddrPort
	for _, srv := range servers {
		as = append(as, srv.addr)
	}
	give(s, as)
	return s, s.Pool("app")
}

// get makes one request on c and reads the whole answer.
func get(c *Conn, path string) (string, error) {
	req := message.Request{Method: "GET", Target: path, Host: "app", Scheme: "http"}
	if err := c.WriteHead(&req); err != nil {
		return "", err
	}
	if err := c.Finish(nil); err != nil {
		return "", err
	}
	var resp message.Response
	if err := c.ReadHead(&resp, "GET", 4<<10); err != nil {
		return "", err
	}
	if resp.Body == nil {
		return "", nil
	}
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// take gets a connection from the only endpoint of p, and makes a request on it.
func take(t testing.TB, p *Pool, l *loop.Loop) *Conn {
	t.Helper()
	c, err := p.Pick(&exchange.Exchange{}).Conn(l, &testForward)
	if err != nil {
		t.Error(err)
		return nil
	}
	if got, err := get(c, "/x"); got != "hello /x" || err != nil {
		t.Errorf("answer %q, %v", got, err)
	}
	return c
}

// counts returns in flight, idle, requests and failures of the pool.
func counts(p *Pool) (n [4]int64) {
	for _, e := range p.Snapshot().Endpoints {
		n[0] += e.InFlight
		n[1] += e.Idle
		n[2] += e.Requests
		n[3] += e.Failures
	}
	return n
}

func TestReuseIsLastInFirstOut(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		srv := newServer(t, hello)
		_, p := poolOn(t, e, DefaultKeepAlive, srv)
		l := e.Next()
		on(l, func() {
			a, b := take(t, p, l), take(t, p, l)
			if a.Reused || b.Reused || counts(p) != [4]int64{2, 0, 2, 0} {
				t.Errorf("two new connections: %v", counts(p))
			}
			a.Put()
			b.Put()
			if counts(p) != [4]int64{0, 2, 2, 0} {
				t.Errorf("two that wait: %v", counts(p))
			}
			c := take(t, p, l)
			d := take(t, p, l)
			if c != b || d != a || !c.Reused || !d.Reused {
				t.Error("not the connection that began to wait last comes first")
			}
			c.Put()
			c.Put() // twice is once
			d.Discard()
			d.Put()
			if counts(p) != [4]int64{0, 1, 4, 0} {
				t.Errorf("one put back, one discarded: %v", counts(p))
			}
		})
		srv.awaitClosed(t, 1)
		if n := srv.opened.Load(); n != 2 {
			t.Errorf("%d connections for four requests, want 2", n)
		}
	})
}

func TestUnreadAnswerIsNotReused(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		srv := newServer(t, hello)
		_, p := poolOn(t, e, DefaultKeepAlive, srv)
		l := e.Next()
		on(l, func() {
			c, err := p.Pick(&exchange.Exchange{}).Conn(l, &testForward)
			if err != nil {
				t.Error(err)
				return
			}
			c.WriteHead(&message.Request{Method: "GET", Target: "/", Host: "app"})
			c.Finish(nil)
			c.Put()
		})
		srv.awaitClosed(t, 1)
		if counts(p) != [4]int64{0, 0, 1, 0} {
			t.Errorf("counts %v", counts(p))
		}
	})
}

func TestKeepAliveBounds(t *testing.T) {
	for _, c := range []struct {
		name string
		k    KeepAlive
		put  int // connections put back at once
		kept int64
	}{
		{"none kept", KeepAlive{Idle: time.Minute}, 2, 0},
		{"at most two", KeepAlive{Idle: time.Minute, Max: 2}, 3, 2},
		{"one request each", KeepAlive{Idle: time.Minute, Max: 9, Requests: 1}, 2, 0},
		{"too old", KeepAlive{Idle: time.Minute, Max: 9, Life: 1}, 2, 0},
		{"no bounds", KeepAlive{Max: 9}, 3, 3},
		{"for a moment more than one", KeepAlive{Idle: time.Minute, Max: 1, Surplus: time.Minute}, 9, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
				a, b := newServer(t, hello), newServer(t, hello)
				_, p := poolOn(t, e, c.k, a, b)
				l := e.Next()
				on(l, func() {
					var cs []*Conn
					for range c.put {
						cs = append(cs, take(t, p, l))
					}
					l.Sleep(time.Microsecond) // the clock moves on
					for _, c := range cs {
						c.Put()
					}
					if n := counts(p); n[1] != c.kept || n[0] != 0 {
						t.Errorf("counts %v, want %d to wait", n, c.kept)
					}
					// Those that wait are the ones that began last.
					sh := &p.set.keep.shelves[0]
					if c.kept > 0 && (sh.newest != cs[c.put-1] || sh.oldest != cs[c.put-int(c.kept)]) {
						t.Error("not the oldest had to go")
					}
				})
			})
		})
	}
}

func TestIdleTimeout(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		srv := newServer(t, hello)
		_, p := poolOn(t, e, KeepAlive{Idle: 20 * time.Millisecond, Max: 9}, srv)
		l := e.Next()
		on(l, func() { take(t, p, l).Put() })
		srv.awaitClosed(t, 1)
		on(l, func() {
			if n := counts(p); n[1] != 0 {
				t.Errorf("counts %v after the idle time", n)
			}
		})
	})
}

// TestSurplus holds that connections beyond Max serve what comes at once, and end soon
// after their last request, while Max of them stay.
func TestSurplus(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		srv := newServer(t, hello)
		_, p := poolOn(t, e, KeepAlive{Idle: time.Hour, Max: 2, Surplus: time.Hour}, srv)
		l := e.Next()
		on(l, func() {
			for round := range 3 {
				cs := []*Conn{take(t, p, l), take(t, p, l), take(t, p, l), take(t, p, l)}
				if round == 2 {
					p.set.keep.settings.Store(&KeepAlive{Idle: time.Hour, Max: 2, Surplus: 20 * time.Millisecond})
				}
				for _, c := range cs {
					c.Put()
				}
			}
		})
		if n := srv.opened.Load(); n != 4 {
			t.Errorf("%d connections were opened for 4 at a time", n)
		}
		srv.awaitClosed(t, 2)
		on(l, func() {
			if n := counts(p); n[1] != 2 {
				t.Errorf("counts %v after a moment", n)
			}
		})
	})
}

func TestClosedByServerLeavesAtOnce(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		srv := newServer(t, hello)
		_, p := poolOn(t, e, DefaultKeepAlive, srv)
		l := e.Next()
		on(l, func() { take(t, p, l).Put() })
		srv.CloseClientConnections()
		deadline := time.Now().Add(5 * time.Second)
		for counts(p)[1] != 0 {
			if time.Now().After(deadline) {
				t.Fatal("a connection that its server closed still waits")
			}
			on(l, func() { l.Sleep(time.Millisecond) })
		}
		on(l, func() {
			if c := take(t, p, l); c.Reused {
				t.Error("a dead connection was used again")
			}
		})
	})
}

func TestEndpointThatGoes(t *testing.T) {
	for _, how := range []string{"by its endpoints", "by its pool"} {
		t.Run(how, func(t *testing.T) {
			onEngines(t, 2, func(t *testing.T, e *loop.Engine) {
				srv := newServer(t, hello)
				s, p := poolOn(t, e, DefaultKeepAlive, srv)
				var busy []*Conn
				for _, l := range e.Loops() {
					on(l, func() {
						c := take(t, p, l)
						busy = append(busy, take(t, p, l))
						c.Put()
					})
				}
				if how == "by its pool" {
					s.Apply(nil, DefaultKeepAlive)
				} else {
					give(s, nil)
				}
				srv.awaitClosed(t, 2) // those that waited
				for i, l := range e.Loops() {
					on(l, func() {
						busy[i].Wire.(*http1.ClientConn).ReadTimeout = 0
						if got, err := get(busy[i], "/still"); got != "hello /still" || err != nil {
							t.Errorf("a request in flight: %q, %v", got, err)
						}
						busy[i].Put()
					})
				}
				srv.awaitClosed(t, 2)
			})
		})
	}
}

func TestConnectFailures(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		refused := netip.MustParseAddrPort(ln.Addr().String())
		ln.Close()
		s := NewSet(e.Loops())
		defer s.Close()
		s.Apply([]model.Upstream{{Name: "app"}}, DefaultKeepAlive)
		give(s, []netip.AddrPort{refused})
		l := e.Next()
		on(l, func() {
			c, err := s.Pool("app").Pick(&exchange.Exchange{}).Conn(l, &testForward)
			var failure *exchange.Error
			if c != nil || !errors.As(err, &failure) || failure.Kind != exchange.ConnectFailed {
				t.Errorf("a port nobody listens on: %v", err)
			}
		})
		if n := counts(s.Pool("app")); n != [4]int64{0, 0, 0, 1} {
			t.Errorf("counts %v", n)
		}
	})
}

func TestReusedConnectionAllocations(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		srv := newServer(t, hello)
		_, p := poolOn(t, e, DefaultKeepAlive, srv)
		l := e.Next()
		on(l, func() {
			take(t, p, l).Put()
			x := &exchange.Exchange{}
			if n := testing.AllocsPerRun(100, func() {
				c, err := p.Pick(x).Conn(l, &testForward)
				if err != nil || !c.Reused {
					t.Error("the connection was not reused", err)
					return
				}
				c.Put()
			}); n != 0 {
				t.Errorf("Pick, Conn and Put allocate %v times", n)
			}
		})
	})
}

// TestRollingEndpoints changes the endpoints again and again under load: no request is
// lost, and at the end nothing is in flight.
func TestRollingEndpoints(t *testing.T) {
	onEngines(t, 2, func(t *testing.T, e *loop.Engine) {
		var servers []*server
		for range 4 {
			servers = append(servers, newServer(t, hello))
		}
		s, p := poolOn(t, e, KeepAlive{Idle: time.Minute, Max: 4, Requests: 50}, servers...)
		var failed atomic.Pointer[error]
		var served atomic.Int64
		var load sync.WaitGroup
		stop := make(chan struct{})
		for i := range 8 {
			l := e.Loops()[i%2]
			load.Add(1)
			l.Post(func() {
				defer load.Done()
				for {
					select {
					case <-stop:
						return
					default:
					}
					c, err := p.Pick(&exchange.Exchange{}).Conn(l, &testForward)
					if err == nil {
						var got string
						if got, err = get(c, "/x"); err == nil && got != "hello /x" {
							err = fmt.Errorf("answer %q", got)
						}
						c.Put()
					}
					if err != nil {
						failed.Store(&err)
						return
					}
					served.Add(1)
				}
			})
		}
		for i := range 200 {
			var as []netip.AddrPort
			for k := range 1 + i%3 {
				as = append(as, servers[(i+k)%4].addr)
			}
			give(s, as)
			for n := served.Load(); served.Load() < n+3 && failed.Load() == nil; {
				on(e.Loops()[0], func() {})
			}
		}
		close(stop)
		load.Wait()
		if err := failed.Load(); err != nil {
			t.Fatalf("after %d requests: %v", served.Load(), *err)
		}
		s.Apply(nil, DefaultKeepAlive)
		var opened int64
		for _, srv := range servers {
			opened += srv.opened.Load()
			srv.awaitClosed(t, int(srv.opened.Load()))
		}
		if n := counts(p); n[0] != 0 || n[1] != 0 {
			t.Errorf("a retired pool has %v in flight and waiting", n)
		}
		t.Logf("%d requests on %d connections", served.Load(), opened)
	})
}
