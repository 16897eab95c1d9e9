package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
)

// tlsServer is a server with a certificate nobody trusts, which notes the names it is
// asked for.
func tlsServer(t *testing.T) (addr netip.AddrPort, asked func() []string) {
	var mu sync.Mutex
	var names []string
	s := httptest.NewUnstartedServer(http.HandlerFunc(hello))
	s.TLS = &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		names = append(names, h.ServerName)
		return nil, nil
	}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String()), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(names)
	}
}

func TestTLSEndpoint(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		addr, asked := tlsServer(t)
		s := NewSet(e.Loops())
		defer s.Close()
		s.Apply([]model.Upstream{{Name: "app", Protocol: "HTTPS"}}, DefaultKeepAlive)
		give(s, []netip.AddrPort{addr})
		p, l := s.Pool("app"), e.Next()
		on(l, func() {
			take(t, p, l).Put()
			c := take(t, p, l)
			if !c.Reused {
				t.Error("a TLS connection was not used again")
			}
			c.Put()
		})
		if got := asked(); !slices.Equal(got, []string{""}) {
			t.Errorf("names sent %q, want one handshake without a name", got)
		}
	})
}

func TestClientOverTLS(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		addr, asked := tlsServer(t)
		c := NewClient(e.Loops())
		c.resolver = func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{addr.Addr()}, nil
		}
		l := e.Next()
		on(l, func() {
			for range 2 {
				url := &exchange.URL{Scheme: "https", Host: "auth.test", Port: addr.Port(), Path: "/auth"}
				if status, body, err := askOnce(c, l, url, 100); status != 200 || body != "hello /auth" || err != nil {
					t.Errorf("status %d, %q, %v", status, body, err)
				}
			}
		})
		if got := asked(); !slices.Equal(got, []string{"auth.test"}) {
			t.Errorf("names sent %q, want one handshake with the name", got)
		}
	})
}

func TestHandshakeFailures(t *testing.T) {
	for _, c := range []struct {
		name  string
		serve func(net.Conn)
		kind  exchange.Kind
	}{
		{"silence", func(nc net.Conn) {
			b := make([]byte, 4096)
			for {
				if _, err := nc.Read(b); err != nil {
					nc.Close()
					return
				}
			}
		}, exchange.ConnectTimeout},
		{"no TLS", func(nc net.Conn) { nc.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); nc.Close() }, exchange.ConnectFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
				addr := rawServer(t, func(_ int, nc net.Conn) { c.serve(nc) })
				s := NewSet(e.Loops())
				defer s.Close()
				s.Apply([]model.Upstream{{Name: "app", Protocol: "HTTPS"}}, DefaultKeepAlive)
				give(s, []netip.AddrPort{addr})
				fwd := testForward
				fwd.ConnectTimeout = 50 * time.Millisecond
				l := e.Next()
				on(l, func() {
					_, err := s.Pool("app").Pick(&exchange.Exchange{}).Conn(l, &fwd)
					var failure *exchange.Error
					if !errors.As(err, &failure) || failure.Kind != c.kind {
						t.Errorf("error %v, want %s", err, c.kind)
					}
				})
			})
		})
	}
}
