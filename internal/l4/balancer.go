package l4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// Balancer balances the connections of any number of ports.
type Balancer struct {
	engine *loop.Engine
	cfg    Config
	links  []*link // the first one of each loop, by its index; of that loop alone
	open   atomic.Int64
	killed atomic.Bool               // no connection may stay
	watch  atomic.Pointer[[]*target] // whom the checks ask
	empty  chan struct{}             // has room for one: no connection is left

	mu      sync.Mutex // of those who change ports
	ports   map[place]*port
	passes  map[string]*port // by key
	targets map[netip.AddrPort]*target
	checks  bool // are running
	closed  bool
}

// place is what makes a port the same one at the next Apply. The key counts only
// where the system chooses the number.
type place struct {
	listen netip.AddrPort
	key    string
}

// port is one address that is listened on, or a Passage.
type port struct {
	listener *loop.Listener // nil: somebody else accepts its connections
	route    atomic.Pointer[route]
	turn     atomic.Uint32

	open              atomic.Int64
	accepted, in, out atomic.Uint64
	ended             [reasons]atomic.Uint64
}

// New returns a Balancer without ports that works on the loops of an engine.
func New(e *loop.Engine, cfg Config) *Balancer {
	return &Balancer{
		engine: e, cfg: cfg.fill(), links: make([]*link, len(e.Loops())), empty: make(chan struct{}, 1),
		ports: map[place]*port{}, passes: map[string]*port{}, targets: map[netip.AddrPort]*target{},
	}
}

// Apply makes these ports the ones that are balanced. A port that stays is not
// closed for a moment, even if another Service has it now. What could not be listened
// on is told, in the order of desired, and tried again at the next Apply.
func (b *Balancer) Apply(desired []Desired) []PortError {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return []PortError{{Err: errors.New("the balancer is closed")}}
	}
	var errs []PortError
	wanted := map[place]string{}
	var todo []Desired
	for _, d := range desired {
		at := placeOf(d)
		if first, twice := wanted[at]; twice {
			errs = append(errs, PortError{d.Key, d.Listen, fmt.Errorf("address %s is that of %s already", d.Listen, first)})
			continue
		}
		wanted[at] = d.Key
		todo = append(todo, d)
	}
	for at, p := range b.ports {
		if _, ok := wanted[at]; !ok {
			_ = p.listener.Close() // it is gone either way
			delete(b.ports, at)
		}
	}
	targets := map[netip.AddrPort]*target{}
	for _, d := range todo {
		r := b.routeOf(d, targets)
		if p := b.ports[placeOf(d)]; p != nil {
			p.route.Store(r)
			continue
		}
		p := &port{}
		p.route.Store(r)
		var err error
		if p.listener, err = b.engine.Listen(d.Listen, func(c *loop.Conn) { b.serve(p, c) }); err != nil {
			errs = append(errs, PortError{d.Key, d.Listen, err})
			continue
		}
		b.ports[placeOf(d)] = p
	}
	b.targets = targets
	b.startChecks()
	return errs
}

// placeOf returns the place of a desired port.
func placeOf(d Desired) place {
	if d.Listen.Port() == 0 {
		return place{d.Listen, d.Key}
	}
	return place{listen: d.Listen}
}

// routeOf makes the route of a port. The targets that were known stay the same ones.
func (b *Balancer) routeOf(d Desired, now map[netip.AddrPort]*target) *route {
	r := &route{key: d.Key, Options: d.Options}
	addrs := slices.Clone(d.Targets)
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	for _, a := range slices.Compact(addrs) {
		t := cmp.Or(now[a], b.targets[a])
		if t == nil {
			t = newTarget(a)
		}
		now[a] = t
		r.targets = append(r.targets, t)
	}
	return r
}

// enter puts a connection among those of its loop.
func (b *Balancer) enter(l *link) {
	b.open.Add(1)
	l.port.open.Add(1)
	first := &b.links[l.loop.Index()]
	if l.after = *first; l.after != nil {
		l.after.before = l
	}
	*first = l
}

// leave takes a connection out again.
func (b *Balancer) leave(l *link) {
	if l.before != nil {
		l.before.after = l.after
	} else {
		b.links[l.loop.Index()] = l.after
	}
	if l.after != nil {
		l.after.before = l.before
	}
	l.before, l.after = nil, nil
	l.port.open.Add(-1)
	if b.open.Add(-1) == 0 {
		select {
		case b.empty <- struct{}{}:
		default:
		}
	}
}

// Close stops listening, waits for the connections to end as long as ctx allows, and
// closes those that are left. It answers the error of ctx when there were any.
func (b *Balancer) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	for at, p := range b.ports {
		_ = p.listener.Close() // it is gone either way
		delete(b.ports, at)
	}
	b.watch.Store(nil)
	b.mu.Unlock()
	b.engine.Round() // who was accepted last is among those that are waited for
	for b.open.Load() > 0 {
		select {
		case <-b.empty:
		case <-ctx.Done():
			b.kill()
			return ctx.Err()
		}
	}
	b.killed.Store(true)
	return nil
}

// kill closes every connection and waits until that is done. An engine that is being
// closed does it by itself.
func (b *Balancer) kill() {
	b.killed.Store(true)
	for _, lp := range b.engine.Loops() {
		lp.Post(func() {
			for l := b.links[lp.Index()]; l != nil; l = b.links[lp.Index()] {
				l.reset(Drained)
			}
		})
	}
	for b.open.Load() > 0 {
		<-b.empty
	}
}

// Addr returns the address that the port of a key is bound to.
func (b *Balancer) Addr(key string) (netip.AddrPort, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.ports {
		if p.route.Load().key == key {
			return p.listener.Addr(), true
		}
	}
	return netip.AddrPort{}, false
}

// Stats returns the present numbers.
func (b *Balancer) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, now := Stats{Open: b.open.Load()}, time.Now()
	for _, p := range b.ports {
		ps := p.stats()
		ps.Listen = p.listener.Addr()
		s.Ports = append(s.Ports, ps)
	}
	for _, p := range b.passes {
		s.Passages = append(s.Passages, p.stats())
	}
	slices.SortFunc(s.Ports, comparePorts)
	slices.SortFunc(s.Passages, comparePorts)
	for _, t := range b.targets {
		s.Targets = append(s.Targets, TargetStats{Address: t.addr, Up: t.up(now), Open: t.open.Load(), Failed: t.failed.Load()})
	}
	slices.SortFunc(s.Targets, func(a, b TargetStats) int { return a.Address.Compare(b.Address) })
	return s
}

// stats returns the numbers of one port.
func (p *port) stats() PortStats {
	r := p.route.Load()
	s := PortStats{
		Key: r.key, Targets: len(r.targets), Open: p.open.Load(),
		Accepted: p.accepted.Load(), In: p.in.Load(), Out: p.out.Load(), Closed: map[string]uint64{},
	}
	for why := range reasons {
		s.Closed[why.String()] = p.ended[why].Load()
	}
	return s
}

func comparePorts(a, b PortStats) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), a.Listen.Compare(b.Listen))
}
