package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/pierhead/pierhead/internal/dns/server"
	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/l4"
	"github.com/pierhead/pierhead/internal/lb"
	"github.com/pierhead/pierhead/internal/listen"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/overload"
	"github.com/pierhead/pierhead/internal/proxy"
	"github.com/pierhead/pierhead/internal/routing"
	"github.com/pierhead/pierhead/internal/upstream"
)

// running is what outlives a plan: loops, pools, listeners, balancers, DNS. Only the
// goroutine of the control plane touches its fields; what they point to has its own
// rules.
type running struct {
	opt    Options
	engine *loop.Engine

	pools     *upstream.Set
	endpoints *endpoints // nil: they come with the plan
	client    *upstream.Client
	outlasts  *exchange.State
	tables    map[string]*routing.Live    // by controller
	servers   map[string]*proxy.Server    // by controller
	logs      map[string]*proxy.AccessLog // by path; "" is Options.AccessLog
	listeners *listen.Set
	balancers *l4.Balancer
	streams   *streams
	dns       *server.Server // nil: none
	errors    *errorLog
	load      *overload.Gauge

	plan         *Plan     // the last one applied
	found        *findings // while it was
	pairs        *listen.KeyPairs
	expiry       expiry
	certificates map[string]*listen.Certificates // by controller
	allocations  lb.State
	failing      bool      // something could not be opened
	published    bool      // the records are those of the plan
	forgotten    time.Time // when the counters of all routes were last looked through
}

// newRunning starts the loops and the DNS server, with nothing to serve.
func newRunning(opt Options) (*running, error) {
	engine, err := loop.New(opt.Engine, 0)
	if err != nil {
		return nil, err
	}
	r := &running{
		opt: opt, engine: engine,
		pools: upstream.NewSet(engine.Loops()), client: upstream.NewClient(engine.Loops()), outlasts: exchange.NewState(),
		tables: map[string]*routing.Live{}, servers: map[string]*proxy.Server{}, logs: map[string]*proxy.AccessLog{},
		certificates: map[string]*listen.Certificates{}, forgotten: time.Now(), errors: newErrorLog(opt.Log), listeners: listen.New(engine), balancers: l4.New(engine, l4.Config{}), streams: newStreams(engine, opt.Place),
	}
	r.load = &overload.Gauge{}
	r.listeners.Linger, r.listeners.Load = opt.Linger, r.load
	r.pools.Report = r.errors.health
	if opt.Place != nil && opt.Engine == loop.Loops {
		engine.Inherit(opt.Place)
		opt.Place.Offer(engine.Descriptors)
	}
	if source, ok := opt.Source.(EndpointSource); ok {
		r.endpoints = &endpoints{source: source, pools: r.pools}
	}
	if opt.DNSListen.IsValid() {
		r.dns = server.New(server.Config{Listen: opt.DNSListen, Inside: opt.DNSClients, Sockets: sockets(opt)})
		if err := r.dns.Start(); err != nil {
			r.dns = nil
			return nil, errors.Join(fmt.Errorf("%w; choose another address with --dns-listen", err), r.close(context.Background()))
		}
	}
	return r, nil
}

// sockets returns what opens the sockets of a process that may take another's place.
func sockets(opt Options) server.Sockets {
	if opt.Place == nil {
		return nil
	}
	return opt.Place
}

// dnsAddr returns where the DNS server listens, or the zero value.
func (r *running) dnsAddr() netip.AddrPort {
	if r.dns == nil {
		return netip.AddrPort{}
	}
	return r.dns.Addr()
}

// bind returns where a listener of a controller is bound. One that a load balancer
// leads to takes any free port of loopback; the others are what clients connect to.
func (r *running) bind(c *model.Controller, l *model.Listener, behind bool) netip.AddrPort {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	switch {
	case behind:
		return netip.AddrPortFrom(loopback, 0)
	case r.opt.AnyPort:
		return netip.AddrPortFrom(r.opt.ListenAddress, 0)
	}
	port := l.Port
	if port < 1024 {
		port += r.opt.Rules.Balancers.PortOffset
	}
	return netip.AddrPortFrom(r.opt.ListenAddress, port)
}

// drainLimit bounds how long close waits for connections unless Options.DrainLimit
// does, whatever worker-shutdown-timeout says.
const drainLimit = 10 * time.Second

// close drains connections and ends everything. Connections that do not end in time
// are closed, and the log says so.
func (r *running) close(ctx context.Context) error {
	limit := cmp.Or(r.opt.DrainLimit, drainLimit)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var errs []error
	balancers, tcp, udp := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { balancers <- r.balancers.Close(ctx) }()
	go func() { tcp <- r.streams.tcp.Close(ctx) }()
	go func() { udp <- r.streams.udp.Close(ctx) }()
	for what, err := range map[string]error{
		"client connections": r.listeners.Drain(ctx), "balanced connections": <-balancers, "TCP streams": <-tcp, "UDP sessions": <-udp,
	} {
		if err != nil {
			r.opt.Log.Warn(what+" were closed before they ended", "waited", limit)
		}
	}
	if r.dns != nil {
		errs = append(errs, r.dns.Close(ctx))
	}
	r.pools.Close()
	errs = append(errs, r.engine.Close())
	for _, l := range r.logs {
		l.Close()
	}
	r.errors.close()
	return errors.Join(errs...)
}
