// Package proxytest makes a running server out of a configuration, for tests that
// talk to one: real sockets, real codecs, real tables.
package proxytest

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/listen"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/overload"
	"github.com/pierhead/pierhead/internal/proxy"
	"github.com/pierhead/pierhead/internal/routing"
	"github.com/pierhead/pierhead/internal/upstream"
)

// Server is a running server.
type Server struct {
	Engine    *loop.Engine
	Upstreams *upstream.Set
	Listeners *listen.Set
	Log       *Buffer         // the access log
	Load      *overload.Gauge // how short of memory the server is to think it is
	Taken     bool            // UDP ports may be taken by others

	t       testing.TB
	state   *exchange.State
	client  *upstream.Client
	log     *proxy.AccessLog
	pairs   *listen.KeyPairs
	parts   map[string]*part // by controller
	adjust  []func(*routing.Route)
	mu      sync.Mutex
	reports []exchange.Error
}

// part is what runs for one controller.
type part struct {
	live  routing.Live
	proxy *proxy.Server
}

// Start serves cfg with these endpoints until the test ends. A listener without an
// address to bind gets one of 127.0.0.1. Every compiled route is shown to adjust
// before it serves, for what no policy can do.
func Start(t testing.TB, cfg *model.Config, endpoints []model.EndpointSet, kind loop.Kind, adjust ...func(*routing.Route)) *Server {
	t.Helper()
	e, err := loop.New(kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Engine: e, Upstreams: upstream.NewSet(e.Loops()), Listeners: listen.New(e), Log: &Buffer{}, Load: &overload.Gauge{},
		t: t, state: exchange.NewState(), client: upstream.NewClient(e.Loops()), parts: map[string]*part{}, adjust: adjust,
	}
	s.Listeners.Load = s.Load
	s.log = proxy.NewAccessLog(s.Log, len(e.Loops()))
	t.Cleanup(s.close)
	s.Apply(cfg, endpoints)
	return s
}

// close stops everything. Connections that tests left open are closed.
func (s *Server) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Listeners.Drain(ctx)
	s.Upstreams.Close()
	s.Engine.Close()
	s.log.Close()
}

// Apply changes what is served.
func (s *Server) Apply(cfg *model.Config, endpoints []model.EndpointSet) {
	s.t.Helper()
	s.state.Sweep()
	s.Upstreams.Apply(cfg.Upstreams, upstream.DefaultKeepAlive)
	s.Upstreams.SetEndpoints(endpoints)
	pairs, errs := listen.ParseKeyPairs(cfg.Certificates, s.pairs)
	for _, err := range errs {
		s.t.Error(err)
	}
	s.pairs = pairs
	var want []listen.Listener
	for i := range cfg.Controllers {
		want = append(want, s.controller(&cfg.Controllers[i])...)
	}
	for _, f := range s.Listeners.Apply(want) {
		if f.UDP && s.Taken {
			continue
		}
		s.t.Errorf("listener %s: %v", f.Name, f.Err)
	}
}

// controller compiles a controller and returns its listeners.
func (s *Server) controller(c *model.Controller) []listen.Listener {
	s.t.Helper()
	p := s.parts[c.Name]
	if p == nil {
		p = &part{}
		p.proxy = proxy.New(proxy.Options{
			Live: &p.live, Client: s.client, Log: s.log, Report: s.report, TempDir: s.t.TempDir(), Version: "test", Load: s.Load,
		}, s.Engine.Loops())
		s.parts[c.Name] = p
	}
	table, problems := routing.Compile(c, routing.Env{Pools: s.Upstreams.Pool, State: s.state})
	for _, problem := range problems {
		s.t.Log(problem)
	}
	for r := range table.Routes() {
		for _, f := range s.adjust {
			f(r)
		}
	}
	p.live.Swap(table)
	certs, err := listen.NewCertificates(c, s.pairs)
	if err != nil {
		s.t.Fatal(err)
	}
	var ls []listen.Listener
	for _, l := range c.Listeners {
		bind := l.Bind
		if bind == "" {
			bind = "127.0.0.1:0"
		}
		ls = append(ls, listen.Listener{
			Name: c.Name + "/" + l.Name, Controller: c.Name, Bind: netip.MustParseAddrPort(bind), Port: l.Port,
			TLS: l.TLS, ProxyProtocol: l.ProxyProtocol, Settings: &table.Settings, Certificates: certs, Service: p.proxy,
		})
	}
	return ls
}

// Addr returns the address of a listener, such as "http" of the controller
// "default", or "controller/listener".
func (s *Server) Addr(name string) string {
	s.t.Helper()
	if !strings.Contains(name, "/") {
		name = "default/" + name
	}
	a, ok := s.Listeners.Addr(name)
	if !ok {
		s.t.Fatalf("listener %q is not open", name)
	}
	return a.String()
}

// Proxy returns the proxy of a controller.
func (s *Server) Proxy(controller string) *proxy.Server { return s.parts[controller].proxy }

func (s *Server) report(_ *exchange.Exchange, err *exchange.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, *err)
}

// Reports returns the failures of exchanges so far.
func (s *Server) Reports() []exchange.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]exchange.Error(nil), s.reports...)
}

// Buffer is a bytes.Buffer for several goroutines that can wait for a text.
type Buffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	wake chan struct{}
}

// Write appends p.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wake != nil {
		close(b.wake)
		b.wake = nil
	}
	return b.b.Write(p)
}

// String returns what was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Wait waits until text was written and returns everything so far.
func (b *Buffer) Wait(t testing.TB, text string) string {
	t.Helper()
	deadline := time.After(5 * time.Second)
	for {
		b.mu.Lock()
		all := b.b.String()
		if b.wake == nil {
			b.wake = make(chan struct{})
		}
		wake := b.wake
		b.mu.Unlock()
		if strings.Contains(all, text) {
			return all
		}
		select {
		case <-wake:
		case <-deadline:
			t.Fatalf("%q was not written, but\n%s", text, all)
		}
	}
}
