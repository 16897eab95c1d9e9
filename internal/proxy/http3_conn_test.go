package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

// get asks and returns the answer with its body.
func get(t *testing.T, b *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := b.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// TestAltSvc looks at who is told of HTTP/3, while it is switched on and off.
func TestAltSvc(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		origin := app(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/own" {
				w.Header().Set("Alt-Svc", "clear")
			}
		})
		ends := []model.EndpointSet{proxytest.Endpoints("app", origin)}
		config := func(f func(*model.Controller)) *model.Config {
			cfg := proxytest.Config(proxytest.Host("h.test", "app"))
			f(&cfg.Controllers[0])
			return cfg
		}
		on := func(c *model.Controller) { c.Settings.HTTP3 = true }
		s := proxytest.Start(t, config(func(*model.Controller) {}), ends, kind)
		told := func(listener string, h2 bool, path string) string {
			t.Helper()
			scheme := map[string]string{"http": "http", "https": "https"}[listener]
			resp, _ := get(t, browser(t, s.Addr(listener), h2), scheme+"://h.test"+path)
			return resp.Header.Get("Alt-Svc")
		}
		if v := told("https", true, "/"); v != "" {
			t.Errorf("without HTTP/3 clients are told %q", v)
		}
		s.Taken = true // where the port of TCP is somebody else's for UDP, for a while
		s.Apply(config(on), ends)
		const want = `h3=":443"; ma=86400`
		waitFor(t, "HTTP/3 is on", func() bool { return len(s.Listeners.Failures()) == 0 })
		for _, h2 := range []bool{false, true} {
			if v := told("https", h2, "/"); v != want {
				t.Errorf("h2 %v: clients are told %q", h2, v)
			}
		}
		for host, port := range map[string]string{"h.test:8443": "8443", "[::1]": "443", "[::1]:9": "9", "h.test:": "443"} {
			c := rawClient(t, tlsDial(t, s.Addr("https")))
			c.send("GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
			if resp, _ := c.answer("GET"); resp.Header.Get("Alt-Svc") != strings.Replace(want, "443", port, 1) {
				t.Errorf("clients of %s are told %q", host, resp.Header.Get("Alt-Svc"))
			}
		}
		if v := told("https", true, "/own"); v != "clear" {
			t.Errorf("what the endpoint says becomes %q", v)
		}
		if v := told("http", false, "/"); v != "" {
			t.Errorf("without TLS clients are told %q", v)
		}
		b := browser3(t, s.Addr("https"))
		get(t, b, "https://h.test/")
		s.Apply(config(func(*model.Controller) {}), ends)
		if v := told("https", true, "/"); v != "" {
			t.Errorf("when HTTP/3 is off again, clients are told %q", v)
		}
		waitFor(t, "the UDP port is closed", func() bool {
			c, err := net.ListenPacket("udp", s.Addr("https"))
			if err == nil {
				c.Close()
			}
			return err == nil
		})
		s.Taken = true // by somebody else meanwhile
		s.Apply(config(on), ends)
		waitFor(t, "HTTP/3 is on again", func() bool { return len(s.Listeners.Failures()) == 0 })
		if v := told("https", true, "/"); v != want {
			t.Errorf("when HTTP/3 is on again, clients are told %q", v)
		}
		get(t, browser3(t, s.Addr("https")), "https://h.test/")
	})
}

func tlsDial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// waitFor looks again and again, for long enough.
func waitFor(t *testing.T, what string, f func() bool) {
	t.Helper()
	for begin := time.Now(); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > long {
			t.Fatalf("%s: not so after %v", what, long)
		}
	}
}

// TestHTTP3NotThere holds that nobody is told of HTTP/3 behind the PROXY protocol.
func TestHTTP3NotThere(t *testing.T) {
	origin := app(t, func(http.ResponseWriter, *http.Request) {})
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	c := &cfg.Controllers[0]
	c.Settings.HTTP3 = true
	c.Listeners = append(c.Listeners, model.Listener{Name: "proxied", Port: 443, TLS: true, ProxyProtocol: true})
	s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", origin)}, loop.DefaultKind())
	raw := dial(t, s.Addr("proxied"))
	raw.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n")
	secure := tls.Client(raw.Conn, &tls.Config{InsecureSkipVerify: true})
	r := rawClient(t, secure)
	r.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
	if resp := r.want("GET", 200, ""); resp.Header.Get("Alt-Svc") != "" {
		t.Errorf("behind the PROXY protocol clients are told %q", resp.Header.Get("Alt-Svc"))
	}
}

// TestHTTP3PortTaken holds that a listener whose UDP port is taken serves TCP, says so,
// and serves HTTP/3 as soon as the port is free.
func TestHTTP3PortTaken(t *testing.T) {
	origin := app(t, func(http.ResponseWriter, *http.Request) {})
	ends := []model.EndpointSet{proxytest.Endpoints("app", origin)}
	var s *proxytest.Server
	var taken net.PacketConn
	for taken == nil { // until nobody else has that UDP port
		s = proxytest.Start(t, proxytest.Config(proxytest.Host("h.test", "app")), ends, loop.DefaultKind())
		taken, _ = net.ListenPacket("udp4", s.Addr("https"))
	}
	defer taken.Close()
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	cfg.Controllers[0].Settings.HTTP3 = true
	s.Taken = true
	s.Apply(cfg, ends)
	f := s.Listeners.Failures()
	if len(f) != 1 || !f[0].UDP || f[0].Name != "default/https (UDP)" {
		t.Fatalf("failures are %v", f)
	}
	if resp, _ := get(t, browser(t, s.Addr("https"), true), "https://h.test/"); resp.Header.Get("Alt-Svc") != "" {
		t.Error("clients are told of HTTP/3")
	}
	taken.Close()
	waitFor(t, "nothing fails", func() bool { return len(s.Listeners.Failures()) == 0 })
	get(t, browser3(t, s.Addr("https")), "https://h.test/")
}

// TestHTTP3Streams sends many requests at one time, one that is answered piece by piece
// and one that is given up.
func TestHTTP3Streams(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		asked, ended := make(chan bool, 1), make(chan bool, 1)
		s := site3(t, kind, []string{app(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/hang":
				io.Copy(io.Discard, r.Body) // package http looks after the connection when it has all of the request
				asked <- true
				<-r.Context().Done()
				ended <- true
			case "/lines":
				rc := http.NewResponseController(w)
				rc.EnableFullDuplex()
				rc.Flush()
				for in := bufio.NewReader(r.Body); ; rc.Flush() {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					io.WriteString(w, strings.ToUpper(line))
				}
			default:
				echo(w, r)
			}
		})}, forward(streamed), forward(func(f *exchange.Forward) { f.RetryOn = 0 }))
		b := browser3(t, s.Addr("https"))
		postMany(t, b, 30, 5000)
		ctx, cancel := context.WithCancel(context.Background())
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://h.test/hang", nil)
		failed := make(chan error, 1)
		go func() { _, err := b.Do(req); failed <- err }()
		<-asked
		cancel()
		<-failed
		<-ended
		s.Log.Wait(t, `"GET /hang HTTP/3.0" 499 0 `)
		speakBothWays(t, b, "https://h.test/lines")
	})
}

// TestHTTP3SlowReader holds that an endpoint has to wait for a client that reads nothing.
func TestHTTP3SlowReader(t *testing.T) {
	const all = 256 << 20
	sent := make(chan int, 1)
	s := site3(t, loop.DefaultKind(), []string{rawApp(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", all)
		p, n := make([]byte, 64<<10), 0
		for n < all {
			c.SetWriteDeadline(time.Now().Add(2 * time.Second))
			k, err := c.Write(p)
			if n += k; err != nil {
				break
			}
		}
		sent <- n
	})})
	resp, err := browser3(t, s.Addr("https")).Get("https://h.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	// What the system holds for the connection to the endpoint is the largest part.
	if n := <-sent; n > all/4 {
		t.Errorf("the endpoint could send %d bytes to a client that reads nothing", n)
	}
}

// TestHTTP3Migration has a client change its address in the middle of a connection: the
// connection goes on, and steps see the new address.
func TestHTTP3Migration(t *testing.T) {
	from := make(chan netip.Addr, 1)
	s := site3(t, loop.DefaultKind(), []string{app(t, echo)}, with(request(func(x *exchange.Exchange) *exchange.Reply {
		from <- x.ClientIP
		return nil
	})))
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	qc, err := dialQUIC(ctx, t, s.Addr("https"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := (&http3.Transport{}).NewClientConn(qc)
	ask := func() {
		t.Helper()
		req, _ := http.NewRequest("GET", "https://h.test/", nil)
		resp, err := c.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	ask()
	if at := <-from; at.String() != "127.0.0.1" {
		t.Fatalf("the client is at %v", at)
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err != nil {
		t.Fatal(err)
	}
	carrier := &quic.Transport{Conn: socket}
	defer socket.Close()
	defer carrier.Close()
	path, err := qc.AddPath(carrier)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.Probe(ctx); err != nil {
		t.Fatal(err)
	}
	if err := path.Switch(); err != nil {
		t.Fatal(err)
	}
	// The server follows when it has seen packets from there.
	waitFor(t, "the server follows", func() bool {
		ask()
		return (<-from).String() == "127.0.0.2"
	})
}

// TestHTTP3Drain holds that a request that is being served is answered while everything
// ends, and that the client is told to go.
func TestHTTP3Drain(t *testing.T) {
	asked, goOn := make(chan bool, 1), make(chan bool)
	s := site3(t, loop.DefaultKind(), []string{app(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- true
		<-goOn
		echo(w, r)
	})})
	addr := s.Addr("https") // while it is listened on
	b := browser3(t, addr)
	got := make(chan string, 1)
	go func() {
		resp, err := b.Get("https://h.test/x")
		if err != nil {
			got <- err.Error()
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		got <- string(body)
	}()
	<-asked
	drained := make(chan error, 1)
	go func() { drained <- s.Listeners.Drain(context.Background()) }()
	close(goOn)
	if text := <-got; text != "GET h.test /x " {
		t.Errorf("answer is %q", text)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatalf("the UDP port is not free: %v", err)
	}
	c.Close()
}

// gate is a socket that holds back what it receives until it is opened.
type gate struct {
	net.PacketConn
	open chan struct{}
}

func (g *gate) ReadFrom(p []byte) (int, net.Addr, error) {
	n, a, err := g.PacketConn.ReadFrom(p)
	if err == nil {
		<-g.open
	}
	return n, a, err
}

// TestEarlyData sends requests before the handshake is over: safe ones are passed on with
// a word about that, others are answered 425. When it is not allowed, nothing is early.
func TestEarlyData(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		t.Run(fmt.Sprint(allowed), func(t *testing.T) {
			fields := make(chan string, 2)
			cfg := proxytest.Config(proxytest.Host("h.test", "app"))
			cfg.Controllers[0].Settings.HTTP3, cfg.Controllers[0].Settings.EarlyData = true, allowed
			s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", app(t, func(w http.ResponseWriter, r *http.Request) {
				fields <- r.Method + r.Header.Get("Early-Data")
			}))}, loop.DefaultKind())
			sessions := &sessionCache{tls.NewLRUClientSessionCache(1), make(chan bool, 9)}
			secure := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}, ServerName: "h.test", ClientSessionCache: sessions}
			ctx, cancel := context.WithTimeout(context.Background(), long)
			defer cancel()
			first, err := dialQUIC(ctx, t, s.Addr("https"), secure, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !allowed {
				ask(t, first, "GET")
				if f := <-fields; f != "GET" {
					t.Errorf("endpoint got %q", f)
				}
				if len(sessions.put) > 0 {
					t.Error("the client got a session ticket")
				}
				return
			}
			<-sessions.put
			first.CloseWithError(0x100, "")
			to, _ := net.ResolveUDPAddr("udp", s.Addr("https"))
			socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			g := &gate{socket, make(chan struct{})}
			carrier := &quic.Transport{Conn: g}
			defer socket.Close()
			defer carrier.Close()
			release := sync.OnceFunc(func() { close(g.open) })
			defer release()
			second, err := carrier.DialEarly(ctx, to, secure, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, method := range []string{"POST", "GET"} {
				ask(t, second, method)
			}
			if f := <-fields; f != "GET1" {
				t.Errorf("endpoint got %q", f)
			}
			s.Log.Wait(t, `"POST /early HTTP/3.0" 425 `)
			release()
			<-second.HandshakeComplete()
			if !second.ConnectionState().Used0RTT {
				t.Error("nothing was early")
			}
			ask(t, second, "PUT")
			if f := <-fields; f != "PUT" {
				t.Errorf("endpoint got %q after the handshake", f)
			}
		})
	}
}

// sessionCache tells when there is a session.
type sessionCache struct {
	tls.ClientSessionCache
	put chan bool
}

func (c *sessionCache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	if s != nil {
		c.put <- true
	}
}

// ask writes a request by hand.
func ask(t *testing.T, qc *quic.Conn, method string) {
	t.Helper()
	str, err := qc.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	enc := qpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", "h.test"}, {":path", "/early"}} {
		enc.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]})
	}
	if _, err := str.Write(append(quicvarint.Append([]byte{1}, uint64(b.Len())), b.Bytes()...)); err != nil {
		t.Fatal(errors.Join(errors.New(method), err))
	}
	str.Close()
}
