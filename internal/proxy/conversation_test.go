package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
	"github.com/pierhead/pierhead/internal/routing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds everything that a test waits for.
const patience = 10 * time.Second

// onBoth runs a test on both engines.
func onBoth(t *testing.T, f func(t *testing.T, kind loop.Kind)) {
	t.Helper()
	kinds := []loop.Kind{loop.Goroutines}
	if loop.DefaultKind() != loop.Goroutines {
		kinds = append(kinds, loop.DefaultKind())
	}
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) { f(t, k) })
	}
}

// adjust changes a route before it serves.
type adjust = func(*routing.Route)

// forward changes how requests are sent on.
func forward(f func(*exchange.Forward)) adjust {
	return func(r *routing.Route) { f(&r.Forward) }
}

// with adds a step.
func with(step any) adjust {
	return func(r *routing.Route) { r.Chain.Append(step) }
}

// request is a step made of a function.
type request func(*exchange.Exchange) *exchange.Reply

func (f request) Request(x *exchange.Exchange) *exchange.Reply { return f(x) }

// response is a response step made of a function.
type response func(*exchange.Exchange)

func (f response) Response(x *exchange.Exchange) { f(x) }

// app starts an upstream in net/http.
func app(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// rawApp starts an upstream that handles connections by itself.
func rawApp(t *testing.T, serve func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	conns := make(chan struct{}, 1000)
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				for range n {
					<-conns
				}
				return
			}
			go func() {
				defer func() { conns <- struct{}{} }()
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				serve(c, bufio.NewReader(c))
			}()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

// site starts a server with one host, h.test, whose requests go to these endpoints.
func site(t *testing.T, kind loop.Kind, endpoints []string, adjust ...adjust) *proxytest.Server {
	t.Helper()
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	return proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", endpoints...)}, kind, adjust...)
}

// client is an HTTP client on one raw connection.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	return rawClient(t, c)
}

func rawClient(t *testing.T, c net.Conn) *client {
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) send(text string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.Conn, text, args...); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads a response with its body.
func (c *client) answer(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("body: %v after %q", err, body)
	}
	return resp, string(body)
}

// want reads a response and compares status and body; body "*" is any.
func (c *client) want(method string, status int, body string) *http.Response {
	c.t.Helper()
	resp, got := c.answer(method)
	if resp.StatusCode != status || body != "*" && got != body {
		c.t.Fatalf("answer is %d %.200q, want %d %q", resp.StatusCode, got, status, body)
	}
	return resp
}

// closed fails the test unless the server has closed the connection.
func (c *client) closed() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); err != nil && !strings.Contains(err.Error(), "reset") || len(b) > 0 {
		c.t.Fatalf("connection is not closed: %v, %q", err, b)
	}
}

// browser returns a net/http client that connects to a listener whatever the URL.
func browser(t *testing.T, addr string, h2 bool) *http.Client {
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
		ForceAttemptHTTP2:  h2,
		DisableCompression: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// echo answers with what it got.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.URL, body)
}
