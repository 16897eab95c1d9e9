package http1

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// served is a server on a real socket, with the connection that it serves.
type served struct {
	*script
	t     *testing.T
	loop  *loop.Loop
	addr  string
	conns chan *ServerConn
	over  chan struct{} // a connection was closed
}

// serve starts a server on loopback.
func serve(t *testing.T, kind loop.Kind, s *script) *served {
	e := engine(t, kind)
	sv := &served{script: s, t: t, conns: make(chan *ServerConn, 10), over: make(chan struct{}, 10)}
	s.cfg.Closed = func() { sv.over <- struct{}{} }
	ln, err := e.Listen(netip.MustParseAddrPort("127.0.0.1:0"), func(c *loop.Conn) {
		sv.loop = c.Loop()
		sc := NewServer(c, &s.cfg)
		sv.conns <- sc
		sc.Serve()
	})
	if err != nil {
		t.Fatal(err)
	}
	sv.addr = ln.Addr().String()
	return sv
}

// dial connects; all of the test's conversation must be over in ten seconds.
func (s *served) dial() (*net.TCPConn, *bufio.Reader) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c.(*net.TCPConn), bufio.NewReader(c)
}

// waitParked waits until the connection holds neither a coroutine nor a buffer, which
// is soon after the answer is out.
func (s *served) waitParked(sc *ServerConn) {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		idle := false
		onLoop(s.t, s.loop, func() { idle = sc.parked && sc.work == nil })
		if idle {
			return
		}
		if time.Now().After(end) {
			s.t.Fatal("the connection does not park between requests")
		}
	}
}

// expect reads as much as want is long, and compares.
func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	want = strings.ReplaceAll(want, "\n", "\r\n")
	b := make([]byte, len(want))
	n, err := io.ReadFull(r, b)
	if string(b[:n]) != want {
		t.Fatalf("read %q (%v)\nwant %q", b[:n], err, want)
	}
}

// expectEnd reads the end of the connection.
func expectEnd(t *testing.T, r io.Reader) {
	t.Helper()
	if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
		t.Fatalf("read %q, %v, want the end", b, err)
	}
}

func send(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, strings.ReplaceAll(s, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
}

func TestKeepAlive(t *testing.T) {
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		s := serve(t, kind, newScript())
		c, r := s.dial()
		sc := <-s.conns
		for range 3 {
			send(t, c, "POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello")
			expect(t, r, ok)
			s.waitParked(sc)
		}
		c.CloseWrite()
		expectEnd(t, r)
		<-s.over
	})
}

// TestContinue is CVE-2024-24791's ground: a body held back until a 100.
func TestContinue(t *testing.T) {
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		s := serve(t, kind, newScript())
		c, r := s.dial()
		for range 2 {
			send(t, c, "POST / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-continue\n\n")
			expect(t, r, "HTTP/1.1 100 Continue\n\n")
			send(t, c, "hello")
			expect(t, r, ok)
		}
		// An answer without a look at the body: whether the body comes, nobody knows.
		send(t, c, "POST /unread HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-continue\n\n")
		expect(t, r, okClose)
		expectEnd(t, r)
		// A look at the body after the head of the answer is too late.
		c, r = s.dial()
		send(t, c, "POST /early HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-continue\n\n")
		expect(t, r, okClose)
		expectEnd(t, r)
	})
}

func TestDrain(t *testing.T) {
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		in, out := make(chan struct{}), make(chan struct{})
		sc := newScript()
		sc.cfg.Handler = handlerFunc(func(r *message.Request, w message.Writer) {
			w.(Streamer).Stream().Loop().Await(func() {
				in <- struct{}{}
				<-out
			})
			sc.answer(r, w)
		})
		s := serve(t, kind, sc)
		c, r := s.dial()
		idle := <-s.conns
		s.waitParked(idle)
		onLoop(t, s.loop, func() { idle.Drain() })
		expectEnd(t, r)
		<-s.over

		c, r = s.dial()
		busy := <-s.conns
		send(t, c, "GET / HTTP/1.1\nHost: a\n\n")
		<-in
		onLoop(t, s.loop, func() { busy.Drain() })
		out <- struct{}{}
		expect(t, r, okClose)
		expectEnd(t, r)
		<-s.over
	})
}

// A drained connection waits a moment for a request that is on its way, also when it is
// its first: the answer says that it is the last.
func TestDrainLingers(t *testing.T) {
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		sc := newScript()
		limits := DefaultLimits
		limits.Linger = time.Minute
		sc.cfg.Limits = func() *Limits { return &limits }
		s := serve(t, kind, sc)
		for _, first := range []bool{true, false} {
			c, r := s.dial()
			conn := <-s.conns
			if !first {
				send(t, c, "GET / HTTP/1.1\nHost: a\n\n")
				expect(t, r, ok)
			}
			s.waitParked(conn)
			onLoop(t, s.loop, conn.Drain)
			send(t, c, "GET / HTTP/1.1\nHost: a\n\n")
			expect(t, r, okClose)
			expectEnd(t, r)
			<-s.over
		}
		_, r := s.dial()
		conn := <-s.conns
		s.waitParked(conn)
		limits.Linger = 10 * time.Millisecond
		onLoop(t, s.loop, conn.Drain)
		expectEnd(t, r)
		<-s.over
	})
}

// TestLinger holds that an answer reaches a client that is still sending.
func TestLinger(t *testing.T) {
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		s := serve(t, kind, newScript())
		c, r := s.dial()
		sent := make(chan error)
		go func() {
			_, err := io.WriteString(c, "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n"+strings.Repeat("x", 8000000))
			c.CloseWrite()
			sent <- err
		}()
		if err := <-sent; err != nil {
			t.Errorf("the client could not send: %v", err)
		}
		expect(t, r, okClose)
		expectEnd(t, r)
		<-s.over

		c, r = s.dial()
		send(t, c, "bad\n\n"+strings.Repeat("x", 100000))
		expect(t, r, "HTTP/1.1 400 Bad Request\n")
		c.CloseWrite()
		io.Copy(io.Discard, r)
		<-s.over
	})
}

func TestTunnel(t *testing.T) {
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		s := serve(t, kind, newScript())
		for _, first := range []string{"", "first "} {
			c, r := s.dial()
			send(t, c, "GET /upgrade HTTP/1.1\nHost: a\nConnection: upgrade\nUpgrade: websocket\n\n"+first)
			expect(t, r, "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: websocket\n\n")
			send(t, c, "last")
			c.CloseWrite()
			expect(t, r, "["+first+"last <nil>]")
			expectEnd(t, r)
			<-s.over
		}
	})
}

func TestLargeBodies(t *testing.T) {
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		sc := newScript()
		sc.cfg.Handler = handlerFunc(func(r *message.Request, w message.Writer) { // echo
			b := make([]byte, 50000)
			for first := true; ; first = false {
				n, err := r.Body.Read(b)
				if first {
					w.WriteHead(&message.Response{Status: 200, Length: r.Length})
				}
				if _, werr := w.Write(b[:n]); werr != nil {
					t.Error(werr)
				}
				if err != nil {
					break
				}
			}
			w.Finish(nil)
		})
		s := serve(t, kind, sc)
		c, r := s.dial()
		body := strings.Repeat("0123456789abcde\n", 100000)
		for range 2 {
			go io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1600000\r\n\r\n"+body)
			expect(t, r, "HTTP/1.1 200 OK\nContent-Length: 1600000\n\n")
			b := make([]byte, len(body))
			if _, err := io.ReadFull(r, b); err != nil || string(b) != body {
				t.Fatalf("echo differs, %v", err)
			}
		}
		c.Close()
		<-s.over
	})
}

// TestPanic holds that a panic takes down its connection and no other, wherever it is.
func TestPanic(t *testing.T) {
	reported := make(chan any, 10)
	loop.OnPanic(func(v any, _ []byte) { reported <- v })
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		sc := newScript()
		sc.cfg.Handler = handlerFunc(func(r *message.Request, w message.Writer) {
			if r.Target == "/panic" {
				panic("on purpose")
			}
			sc.answer(r, w)
		})
		sc.cfg.Refuse = func(*Refusal, *message.Response) []byte { panic("on purpose") }
		s := serve(t, kind, sc)
		c2, r2 := s.dial()
		for _, in := range []string{"GET /panic HTTP/1.1\nHost: a\n\n", "refused\n\n"} {
			c1, r1 := s.dial()
			send(t, c1, in)
			expectEnd(t, r1)
			<-s.over
			if v := <-reported; v != "on purpose" {
				t.Errorf("panic %v", v)
			}
		}
		send(t, c2, "GET / HTTP/1.1\nHost: a\n\n")
		expect(t, r2, ok)
	})
}

// bubble serves one end of a pipe under a clock of its own, and calls f with the
// other.
func bubble(t *testing.T, s *script, f func(c net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		e, err := loop.New(loop.Goroutines, 1)
		if err != nil {
			t.Fatal(err)
		}
		here, there := net.Pipe()
		e.Next().Adopt(there, func(c *loop.Conn) { Serve(c, &s.cfg) })
		f(here)
		here.Close()
		e.Close()
	})
}

// after reports how long f took.
func after(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func TestTimeouts(t *testing.T) {
	get := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
	refused := "HTTP/1.1 408 Request Time-out\r\nContent-Type: text/html\r\n"
	for _, tt := range []struct {
		name string
		say  []string // each a second after the one before
		want string   // in the last answer
		in   time.Duration
	}{
		{"no request at all", nil, "", 10 * time.Second},
		{"slow head", []string{"G", "E", "T", " "}, refused, 10 * time.Second},
		{"very slow head", strings.Split("GET / HTTP/1.1", ""), refused, 10 * time.Second},
		{"idle", []string{get}, "", 20 * time.Second},
		{"slow second head", []string{get, "GET"}, refused, 11 * time.Second},
		{"body that stops", []string{post, "he", "l"}, "HTTP/1.1 408 Request Time-out\r\nContent-Length: 2\r\nConnection: close\r\n", 7 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript()
			s.lim.HeaderTimeout, s.lim.BodyTimeout, s.lim.KeepAlive = 10*time.Second, 5*time.Second, 20*time.Second
			bubble(t, s, func(c net.Conn) {
				var got []byte
				said := make(chan struct{})
				go func() {
					defer close(said)
					for i, line := range tt.say {
						if i > 0 {
							<-time.After(time.Second)
						}
						io.WriteString(c, line)
					}
				}()
				d := after(func() { got, _ = io.ReadAll(c) })
				<-said
				rest := strings.TrimPrefix(string(got), strings.ReplaceAll(ok, "\n", "\r\n"))
				if tt.want == "" && rest != "" || !strings.HasPrefix(rest, tt.want) {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if d != tt.in { // a pipe has no half-close to linger behind
					t.Errorf("closed after %v, want %v", d, tt.in)
				}
			})
		})
	}
}

// TestSendTimeout holds that a client that does not read is not waited for.
func TestSendTimeout(t *testing.T) {
	s := newScript()
	s.lim.SendTimeout = 3 * time.Second
	bubble(t, s, func(c net.Conn) {
		d := after(func() {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			<-time.After(4 * time.Second)
			c.SetReadDeadline(time.Now().Add(time.Hour))
			io.ReadAll(c)
		})
		if d > 5*time.Second {
			t.Errorf("closed after %v", d)
		}
	})
	if len(s.seen) != 1 || !strings.Contains(s.seen[0], "timeout") {
		t.Errorf("saw %q", s.seen)
	}
}
