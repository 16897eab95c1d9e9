package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
)

// slowKinds are the ways to hold a connection: what is said on it, and what comes back
// before nothing is read any more.
var slowKinds = []struct{ name, says, until string }{
	{"slow head", "GET / HTTP/1.1\r\nHost: h.test\r\nX: ", ""},
	{"slow body", "POST /echo HTTP/1.1\r\nHost: h.test\r\nContent-Length: 100000\r\n\r\nx", ""},
	{"slow reader", "GET /large HTTP/1.1\r\nHost: h.test\r\n\r\n", "HTTP/1.1 200 OK"},
	{"window of zero", zeroWindow("/large"), ""},
}

// zeroWindow is the beginning of an HTTP/2 connection whose client takes no body.
func zeroWindow(path string) string {
	return getByHTTP2(path, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
}

// oneGet is that of an ordinary client.
func oneGet(path string) string { return getByHTTP2(path) }

func getByHTTP2(path string, settings ...http2.Setting) string {
	var b, block bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	f.WriteSettings(settings...)
	e := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "h.test"}, {":path", path}} {
		e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	return b.String()
}

// TestManySlowClients: a thousand clients that hold their connections in every way there
// is cost a bounded amount of memory each, and nobody else notices.
func TestManySlowClients(t *testing.T) {
	const clients, honest = 1000, 800
	kind := loop.DefaultKind()
	large := bytes.Repeat([]byte("x"), 64<<10)
	reached := make(chan struct{}, clients)
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	set := &cfg.Controllers[0].Settings
	set.HeaderTimeout, set.BodyTimeout = time.Hour, time.Hour // so that a slow machine does not set them free
	s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/large" {
			echo(w, r)
			return
		}
		reached <- struct{}{}
		for range 1024 { // until the server takes no more
			if _, err := w.Write(large); err != nil {
				return
			}
		}
	}))}, kind)
	calm := askHonestly(t, s, honest)

	before := alive()
	held := make([]net.Conn, clients)
	var callers sync.WaitGroup
	for caller := range 16 {
		callers.Go(func() {
			for i := caller; i < clients; i += 16 {
				var err error
				if held[i], err = hold(s.Addr("http"), i%len(slowKinds)); err != nil {
					t.Errorf("%s: %v", slowKinds[i%len(slowKinds)].name, err)
				}
			}
		})
	}
	callers.Wait()
	defer func() {
		for _, c := range held {
			if c != nil {
				c.Close()
			}
		}
	}()
	if t.Failed() {
		return
	}
	for range clients / 2 { // every request for the large answer is at the endpoint
		select {
		case <-reached:
		case <-time.After(time.Minute):
			t.Fatal("the slow readers' requests do not come through")
		}
	}
	beside := askHonestly(t, s, honest)
	each := (alive() - before) / clients
	t.Logf("each slow client takes %d bytes; %d honest requests took %v in calm, %v beside them", each, honest, calm, beside)
	if most := int64(256 << 10); each > most {
		t.Errorf("each slow client takes %d bytes, more than %d", each, most)
	}
	if n := s.Engine.Stats().Coroutines; n > 3*clients {
		t.Errorf("%d coroutines are held by %d slow clients", n, clients)
	}
	await(t, func() bool { return s.Listeners.Counts().Reading == clients/4 }) // the slow heads are told
	if n := s.Listeners.Counts().Active; n < clients/2 {                       // who does not read may have been cut off by now
		t.Errorf("%d connections are open, want %d at least: the slow heads and bodies were not held", n, clients/2)
	}
}

// hold connects and holds the connection in one of the ways.
func hold(addr string, kind int) (net.Conn, error) {
	k := &slowKinds[kind]
	c, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, k.says); err != nil {
		return c, err
	}
	b := make([]byte, len(k.until))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != k.until {
		return c, fmt.Errorf("%v after %q", err, b)
	}
	return c, nil
}

// alive is what a collection of garbage leaves, stacks included. The endpoint and the
// clients of the test, in the same process, count too.
func alive() int64 {
	runtime.GC()
	runtime.GC()
	all := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(all)
	return int64(all[0].Value.Uint64() + all[1].Value.Uint64())
}

// askHonestly sends honest requests over eight connections; each must be answered. It returns how
// long that took.
func askHonestly(t *testing.T, s *proxytest.Server, n int) time.Duration {
	t.Helper()
	begun := time.Now()
	errs := make(chan error, 8)
	var all sync.WaitGroup
	for range cap(errs) {
		all.Go(func() {
			b := browser(t, s.Addr("http"), false)
			b.Timeout = time.Minute
			defer b.CloseIdleConnections()
			for range n / cap(errs) {
				resp, err := b.Get("http://h.test/")
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if err == nil && resp.StatusCode != 200 {
						err = fmt.Errorf("the answer is %s", resp.Status)
					}
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		t.Fatalf("an honest request failed: %v", err)
	default:
	}
	return time.Since(begun)
}
