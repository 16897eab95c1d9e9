package proxy_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
)

// app2 starts an upstream that speaks HTTP/2 alone, in the clear or with TLS, and
// counts its connections.
func app2(t *testing.T, secure bool, h http.HandlerFunc) (addr string, conns *atomic.Int32) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	conns = new(atomic.Int32)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Config.Protocols = new(http.Protocols)
	if secure {
		srv.Config.Protocols.SetHTTP2(true)
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Config.Protocols.SetUnencryptedHTTP2(true)
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), conns
}

// site2 serves h.test from endpoints that speak the protocol.
func site2(t *testing.T, kind loop.Kind, protocol string, endpoints []string, adjust ...adjust) *proxytest.Server {
	t.Helper()
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	for i := range cfg.Upstreams {
		cfg.Upstreams[i].Protocol = protocol
	}
	return proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", endpoints...)}, kind, adjust...)
}

// onProtocols runs f with upstreams in the clear and with TLS.
func onProtocols(t *testing.T, f func(t *testing.T, kind loop.Kind, protocol string, secure bool)) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		for _, p := range []string{"GRPC", "GRPCS"} {
			t.Run(p, func(t *testing.T) { f(t, kind, p, p == "GRPCS") })
		}
	})
}

// TestHTTP2Upstream sends bodies both ways, from clients of both versions, many at one
// time over few connections. Trailers come back, and those of requests stop here.
func TestHTTP2Upstream(t *testing.T) {
	onProtocols(t, func(t *testing.T, kind loop.Kind, protocol string, secure bool) {
		up, conns := app2(t, secure, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum, X-Came")
			w.Header().Set("X-Proto", r.Proto)
			w.Header().Set("X-TE", r.Header.Get("TE"))
			h := sha256.New()
			io.Copy(io.MultiWriter(w, h), r.Body)
			w.Header().Set("X-Sum", fmt.Sprintf("%x", h.Sum(nil)))
			w.Header().Set("X-Came", r.Trailer.Get("X-Mine"))
		})
		s := site2(t, kind, protocol, []string{up}, forward(unlimited))
		for _, h2 := range []bool{false, true} {
			b := browser(t, s.Addr("https"), h2)
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					body := strings.Repeat(fmt.Sprintf("%03d", i), 30000*(1+i%3))
					req, err := http.NewRequest("POST", "https://h.test/x", io.MultiReader(strings.NewReader(body)))
					if err != nil {
						t.Error(err)
						return
					}
					req.Header.Set("TE", "trailers")
					req.Trailer = http.Header{"X-Mine": {"7"}}
					resp, err := b.Do(req)
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					got, err := io.ReadAll(resp.Body)
					if string(got) != body || err != nil {
						t.Errorf("h2 %v: %d bytes of %d came back, %v", h2, len(got), len(body), err)
					}
					if want := fmt.Sprintf("%x", sha256.Sum256([]byte(body))); resp.Trailer.Get("X-Sum") != want {
						t.Errorf("h2 %v: trailers %v, want X-Sum %s", h2, resp.Trailer, want)
					}
					if p := resp.Header.Get("X-Proto"); p != "HTTP/2.0" {
						t.Errorf("the endpoint was asked by %s", p)
					}
					if came := resp.Trailer.Get("X-Came"); came != "" {
						t.Errorf("h2 %v: the endpoint got the trailer %q of the request", h2, came)
					}
					if te := resp.Header.Get("X-TE"); h2 && te != "trailers" {
						t.Errorf("TE is %q at the endpoint", te)
					}
				})
			}
			wg.Wait()
		}
		if n := conns.Load(); n < 1 || n > 4 {
			t.Errorf("40 requests took %d connections", n)
		}
	})
}

// TestConversation holds that both sides talk in turns: neither waits for the other to
// end. The client then leaves, and the endpoint learns of it.
func TestConversation(t *testing.T) {
	onProtocols(t, func(t *testing.T, kind loop.Kind, protocol string, secure bool) {
		left := make(chan error, 1)
		up, _ := app2(t, secure, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			buf := make([]byte, 4)
			for {
				if _, err := io.ReadFull(r.Body, buf); err != nil {
					left <- err
					return
				}
				w.Write([]byte(strings.ToUpper(string(buf))))
				rc.Flush()
			}
		})
		s := site2(t, kind, protocol, []string{up})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		pr, pw := io.Pipe()
		req, _ := http.NewRequestWithContext(ctx, "POST", "https://h.test/talk", pr)
		req.Header.Set("Content-Type", "application/grpc")
		go pw.Write([]byte("ping"))
		resp, err := browser(t, s.Addr("https"), true).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4)
		for i := range 5 {
			if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "PING" {
				t.Fatalf("turn %d: %q, %v", i, buf, err)
			}
			if _, err := pw.Write([]byte("ping")); err != nil {
				t.Fatal(err)
			}
		}
		resp.Body.Close() // Go's client then gives the request up
		select {
		case err := <-left:
			if err == nil || err == io.EOF {
				t.Errorf("the endpoint sees %v when the client leaves", err)
			}
		case <-time.After(patience):
			t.Error("the endpoint does not learn that the client has left")
		}
	})
}

// TestGRPCErrors holds that a gRPC client reads errors of ours, and nobody else is given
// its kind.
func TestGRPCErrors(t *testing.T) {
	for _, tt := range []struct {
		host, ctype string
		h2          bool
		status      int
		grpc        string
	}{
		{"h.test", "application/grpc", true, 200, "14"},
		{"h.test", "application/grpc+proto", true, 200, "14"},
		{"other.test", "application/grpc", true, 200, "12"},
		{"h.test", "application/grpc", false, 502, ""},
		{"h.test", "application/grpc-web", true, 502, ""},
		{"h.test", "text/plain", true, 502, ""},
	} {
		s := site2(t, loop.DefaultKind(), "GRPC", []string{refusing(t)})
		resp, err := browser(t, s.Addr("https"), tt.h2).Post("https://"+tt.host+"/", tt.ctype, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.status || resp.Header.Get("Grpc-Status") != tt.grpc {
			t.Errorf("%+v: status %d, grpc-status %q", tt, resp.StatusCode, resp.Header.Get("Grpc-Status"))
		}
	}
}
