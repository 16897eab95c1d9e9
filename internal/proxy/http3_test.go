package proxy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// long is patience for QUIC: where much else runs, packets are lost and come late.
const long = time.Minute

// site3 is site with HTTP/3.
func site3(t *testing.T, kind loop.Kind, endpoints []string, adjust ...adjust) *proxytest.Server {
	t.Helper()
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	cfg.Controllers[0].Settings.HTTP3 = true
	return proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", endpoints...)}, kind, adjust...)
}

// browser3 returns an HTTP/3 client that connects to a listener whatever the URL.
func browser3(t *testing.T, addr string) *http.Client {
	tr := &http3.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		DisableCompression: true,
		Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			return dialQUIC(ctx, t, addr, tc, qc)
		},
	}
	t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr, Timeout: long}
}

// dialQUIC connects from a socket of its own, which ends with the test.
func dialQUIC(ctx context.Context, t *testing.T, addr string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, err
	}
	from, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	carrier := &quic.Transport{Conn: from}
	if qc == nil {
		qc = &quic.Config{}
	} else {
		qc = qc.Clone()
	}
	qc.HandshakeIdleTimeout, qc.MaxIdleTimeout = long, long
	t.Cleanup(func() { carrier.Close(); from.Close() })
	return carrier.Dial(ctx, to, tc, qc)
}

// TestHTTP3 sends bodies both ways, a trailer and a request for an unknown host.
func TestHTTP3(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site3(t, kind, []string{app(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/get":
				fmt.Fprint(w, "hello")
			case "/echo":
				w.Header().Set("Trailer", "X-Sum")
				io.Copy(w, r.Body)
				w.Header().Set("X-Sum", "42")
			default:
				digest(w, r)
			}
		})}, forward(unlimited))
		b := browser3(t, s.Addr("https"))
		resp, err := b.Get("https://h.test/get")
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(got) != "hello" || resp.Proto != "HTTP/3.0" || resp.StatusCode != 200 {
			t.Errorf("answer is %s %d %q", resp.Proto, resp.StatusCode, got)
		}
		body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		if resp, err = b.Post("https://h.test/", "", bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		got, _ = io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("%d %d %x <nil>", len(body), len(body), sha256.Sum256(body)); string(got) != want {
			t.Errorf("upload is answered %q", got)
		}
		if resp, err = b.Post("https://h.test/echo", "", bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		got, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if !bytes.Equal(got, body) || err != nil || resp.Trailer.Get("X-Sum") != "42" {
			t.Errorf("download of %d bytes, %v, trailer %v", len(got), err, resp.Trailer)
		}
		if resp, err = b.Get("https://other.test/"); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 404 {
			t.Errorf("unknown host is answered %d", resp.StatusCode)
		}
		s.Log.Wait(t, `"GET /get HTTP/3.0" 200`)
	})
}

// TestHTTP3Limits holds that connections of HTTP/3 count among those that a controller and
// a client may have, that they are closed over the limit, and that one that goes makes
// room.
func TestHTTP3Limits(t *testing.T) {
	for reason, limit := range map[string]func(*model.Settings){
		"limit":  func(s *model.Settings) { s.WorkerConnections, s.Workers = 2, 1 },
		"client": func(s *model.Settings) { s.ClientConnections = 2 },
	} {
		t.Run(reason, func(t *testing.T) {
			cfg := proxytest.Config(proxytest.Host("h.test", "app"))
			cfg.Controllers[0].Settings.HTTP3 = true
			limit(&cfg.Controllers[0].Settings)
			s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", app(t, echo))}, loop.DefaultKind())
			first := browser3(t, s.Addr("https"))
			for _, b := range []*http.Client{first, browser3(t, s.Addr("https"))} {
				if resp, _ := get(t, b, "https://h.test/"); resp.StatusCode != 200 {
					t.Errorf("status %d", resp.StatusCode)
				}
			}
			if resp, err := browser3(t, s.Addr("https")).Get("https://h.test/"); err == nil {
				resp.Body.Close()
				t.Errorf("a third connection is served: %d", resp.StatusCode)
			}
			if n := s.Listeners.Counts().Refused[reason]; n == 0 {
				t.Errorf("none is counted as refused for %q", reason)
			}
			first.Transport.(*http3.Transport).Close()
			awaitActive(t, s, 1)
			if resp, _ := get(t, browser3(t, s.Addr("https")), "https://h.test/"); resp.StatusCode != 200 {
				t.Errorf("status %d when there is room again", resp.StatusCode)
			}
		})
	}
}
