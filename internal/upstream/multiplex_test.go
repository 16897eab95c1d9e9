package upstream

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
)

// certificate returns one that nobody trusts.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return s.TLS.Certificates[0]
}

// tlsListener has serve run for each connection that comes with TLS.
func tlsListener(t *testing.T, protocols []string, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate(t)}, NextProtos: protocols})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				serve(c)
			}()
		}
	}()
	return netip.MustParseAddrPort(ln.Addr().String())
}

// grpcPool returns a pool with one endpoint that is spoken to by GRPCS.
func grpcPool(t *testing.T, e *loop.Engine, addr netip.AddrPort) (*Set, *Pool) {
	s := NewSet(e.Loops())
	t.Cleanup(s.Close)
	s.Apply([]model.Upstream{{Name: "app", Protocol: "GRPCS"}}, DefaultKeepAlive)
	give(s, []netip.AddrPort{addr})
	return s, s.Pool("app")
}

// TestEndpointWithoutHTTP2 holds that an endpoint which does not take h2 is told apart
// from one that is not there, and that one without ALPN is spoken to.
func TestEndpointWithoutHTTP2(t *testing.T) {
	for _, tt := range []struct {
		protocols []string
		want      string
	}{{nil, ""}, {[]string{"http/1.1"}, "refused h2"}} {
		onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
			addr := tlsListener(t, tt.protocols, func(c net.Conn) { io.Copy(io.Discard, c) })
			_, p := grpcPool(t, e, addr)
			l := e.Next()
			on(l, func() {
				fwd := testForward
				c, err := p.Pick(&exchange.Exchange{}).Conn(l, &fwd)
				if tt.want == "" {
					if err != nil {
						t.Error(err)
						return
					}
					c.Discard()
					return
				}
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "GRPCS") {
					t.Errorf("the error is %v, want %q", err, tt.want)
				}
			})
		})
	}
}

// frames serves HTTP/2 frame by frame: settings first, then f for each request.
func frames(c net.Conn, f func(fr *xhttp2.Framer, id uint32), settings ...xhttp2.Setting) (last *xhttp2.GoAwayFrame) {
	if _, err := io.ReadFull(c, make([]byte, len(xhttp2.ClientPreface))); err != nil {
		return nil
	}
	fr := xhttp2.NewFramer(c, c)
	fr.WriteSettings(settings...)
	for {
		switch g, err := fr.ReadFrame(); h := g.(type) {
		case *xhttp2.HeadersFrame:
			f(fr, h.StreamID)
		case *xhttp2.GoAwayFrame:
			last = &xhttp2.GoAwayFrame{FrameHeader: h.FrameHeader, ErrCode: h.ErrCode, LastStreamID: h.LastStreamID}
		default:
			if err != nil {
				return last
			}
		}
	}
}

// begin answers a request with status 200, and with end it ends the answer.
func begin(fr *xhttp2.Framer, id uint32, end bool) {
	fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: end})
}

// ask sends a request and reads the head of its answer.
func ask(t *testing.T, p *Pool, l *loop.Loop) *Conn {
	t.Helper()
	fwd := testForward
	c, err := p.Pick(&exchange.Exchange{}).Conn(l, &fwd)
	if err != nil {
		t.Error(err)
		return nil
	}
	c.Stream().SetReadDeadline(time.Now().Add(10 * time.Second))
	var resp message.Response
	err = c.WriteHead(&message.Request{Method: "GET", Target: "/", Host: "a.test"})
	if err == nil {
		err = c.Finish(nil)
	}
	if err == nil {
		err = c.ReadHead(&resp, "GET", 64<<10)
	}
	if resp.Status != 200 || err != nil {
		t.Errorf("status %d, %v", resp.Status, err)
	}
	return c
}

// TestGoAwayOverTLS holds that an endpoint which leaves is told so over TLS.
func TestGoAwayOverTLS(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		last := make(chan *xhttp2.GoAwayFrame, 1)
		addr := tlsListener(t, []string{"h2"}, func(c net.Conn) {
			last <- frames(c, func(fr *xhttp2.Framer, id uint32) { begin(fr, id, true) })
		})
		s, p := grpcPool(t, e, addr)
		l := e.Next()
		on(l, func() {
			ask(t, p, l).Put()
		})
		give(s, nil)
		if g := <-last; g == nil || g.ErrCode != xhttp2.ErrCodeNo {
			t.Errorf("the endpoint was told %v, want GOAWAY with NO_ERROR", g)
		}
	})
}

// TestStreamsOfEndpoint holds that a connection carries as many requests as its endpoint
// takes, and that the next one goes on another.
func TestStreamsOfEndpoint(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *loop.Engine) {
		conns, over := make(chan bool, 9), make(chan bool, 9)
		addr := tlsListener(t, []string{"h2"}, func(c net.Conn) {
			conns <- true
			open := 0
			frames(c, func(fr *xhttp2.Framer, id uint32) {
				if open++; open > 2 {
					over <- true
				}
				begin(fr, id, false)
			}, xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 2})
		})
		_, p := grpcPool(t, e, addr)
		l := e.Next()
		on(l, func() {
			var all []*Conn
			for range 5 {
				all = append(all, ask(t, p, l)) // the limit was there before the head
			}
			for _, c := range all {
				c.Discard()
			}
		})
		if len(conns) != 3 || len(over) != 0 {
			t.Errorf("5 requests took %d connections, and %d of them were too many for their own", len(conns), len(over))
		}
	})
}
