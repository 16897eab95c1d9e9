package service

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pierhead/pierhead/e2e/netns"
)

// A Proxy listens on the addresses of the Services and connects each client with one of
// the endpoints, in turn.
type Proxy struct {
	Table     *Table
	In        *netns.Namespace
	Node      netip.Addr   // where node ports are
	Balancers netip.Prefix // load balancer addresses that are ours; the zero value: none
	Log       *slog.Logger

	addresses *addresses
	fronts    map[netip.AddrPort]*front
	running   sync.WaitGroup
}

// Run keeps the listeners as the Services want them until ctx is done.
func (p *Proxy) Run(ctx context.Context) error {
	a, err := newAddresses(p.In)
	if err != nil {
		return err
	}
	p.addresses, p.fronts = a, map[netip.AddrPort]*front{}
	defer func() {
		for _, f := range p.fronts {
			f.close()
		}
		p.running.Wait()
		a.close()
	}()
	for {
		if err := p.apply(); err != nil {
			p.Log.Error("services", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.Table.changed:
		}
	}
}

// apply opens the listeners that are missing and closes those that nobody wants.
func (p *Proxy) apply() error {
	services, err := p.Table.services.List(labels.Everything())
	if err != nil {
		return err
	}
	want := map[netip.AddrPort]bool{}
	for _, s := range services {
		for addr, port := range fronts(s, p.Node, p.Balancers) {
			want[addr] = true
			if old := p.fronts[addr]; old != nil {
				if old.namespace == s.Namespace && old.name == s.Name && old.port == port.Name {
					continue
				}
				p.drop(addr)
			}
			if err := p.open(addr, s, port); err != nil {
				p.Log.Error("services", "service", s.Namespace+"/"+s.Name, "error", err)
			}
		}
	}
	for addr := range p.fronts {
		if !want[addr] {
			p.drop(addr)
		}
	}
	return nil
}

func (p *Proxy) open(addr netip.AddrPort, s *corev1.Service, port corev1.ServicePort) error {
	if addr.Addr() != p.Node {
		if err := p.addresses.add(addr.Addr()); err != nil {
			return fmt.Errorf("address %s: %w", addr.Addr(), err)
		}
	}
	l, err := p.In.Listen("tcp", addr.String())
	if err != nil {
		if addr.Addr() != p.Node {
			p.addresses.remove(addr.Addr())
		}
		return err
	}
	f := &front{proxy: p, listener: l, namespace: s.Namespace, name: s.Name, port: port.Name,
		balancer: p.Balancers.IsValid() && p.Balancers.Contains(addr.Addr()), conns: map[net.Conn]bool{}}
	p.fronts[addr] = f
	p.running.Go(f.accept)
	return nil
}

// drop stops listening; connections that are open go on.
func (p *Proxy) drop(addr netip.AddrPort) {
	p.fronts[addr].listener.Close()
	delete(p.fronts, addr)
	if addr.Addr() != p.Node {
		p.addresses.remove(addr.Addr())
	}
}

// A front is one address and port of a Service.
type front struct {
	proxy                 *Proxy
	listener              net.Listener
	namespace, name, port string
	balancer              bool // the address is a load balancer's, which has manners of its own
	turn                  atomic.Uint64

	mu    sync.Mutex
	conns map[net.Conn]bool // nil after close
}

func (f *front) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		if !f.keep(c) {
			return
		}
		f.proxy.running.Go(func() {
			defer f.forget(c)
			f.carry(c.(*net.TCPConn))
		})
	}
}

// carry connects c with an endpoint. Where there is none, or the client may not connect, it
// is told by a reset, which is what it would see of a Service without endpoints.
func (f *front) carry(c *net.TCPConn) {
	m, err := f.manner()
	if err != nil || !m.admits(c.RemoteAddr()) {
		c.SetLinger(0)
		return
	}
	targets, err := f.proxy.Table.endpoints(f.namespace, f.name, f.port, false)
	if err != nil || len(targets) == 0 {
		c.SetLinger(0)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	target := targets[f.turn.Add(1)%uint64(len(targets))]
	u, err := f.proxy.In.Dial(ctx, "tcp", target.addr.String())
	cancel()
	if err != nil {
		c.SetLinger(0)
		return
	}
	if !f.keep(u) {
		return
	}
	defer f.forget(u)
	if m.greet(u, c) == nil {
		join(c, u.(*net.TCPConn), m)
	}
}

// manner is how this front treats connections now.
func (f *front) manner() (manner, error) {
	if !f.balancer {
		return manner{}, nil
	}
	s, err := f.proxy.Table.services.Services(f.namespace).Get(f.name)
	if err != nil {
		return manner{}, err
	}
	return mannerOf(s), nil
}

// join copies both ways until both have ended. A side that breaks breaks the other.
func join(a, b *net.TCPConn, m manner) {
	fromA, fromB, stop := m.bound(a, b)
	defer stop()
	var both sync.WaitGroup
	copy := func(to *net.TCPConn, from io.Reader) {
		if _, err := io.Copy(to, from); err != nil {
			for _, c := range []*net.TCPConn{a, b} {
				c.SetLinger(0)
				c.Close()
			}
			return
		}
		to.CloseWrite()
	}
	both.Go(func() { copy(a, fromB) })
	copy(b, fromA)
	both.Wait()
}

// keep remembers a connection, so that close can end it; after close it ends it at once.
func (f *front) keep(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conns == nil {
		c.Close()
		return false
	}
	f.conns[c] = true
	return true
}

func (f *front) forget(c net.Conn) {
	c.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

func (f *front) close() {
	f.listener.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.Close()
	}
	f.conns = nil
}
