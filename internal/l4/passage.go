package l4

import (
	"net/netip"

	"github.com/pierhead/pierhead/internal/loop"
)

// Passage is a way through a Balancer for connections that somebody else has accepted.
type Passage struct {
	b    *Balancer
	port *port
}

// Passage returns the one of that key, from now on with these options.
func (b *Balancer) Passage(key string, o Options) *Passage {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.passes[key]
	if p == nil {
		p = &port{}
		b.passes[key] = p
	}
	p.route.Store(&route{key: key, Options: o})
	return &Passage{b, p}
}

// Forget drops the numbers of the passages that are not kept. Their connections go on.
func (b *Balancer) Forget(keep func(key string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.passes {
		if !keep(key) {
			delete(b.passes, key)
		}
	}
}

// Hand hands a connection on to one of the endpoints that find returns, as it is: what
// was read of it must have been given back. It runs in a coroutine of the connection's
// loop and owns the connection; from is who the client is.
func (p *Passage) Hand(c *loop.Conn, from netip.AddrPort, find func(*loop.Loop) []netip.AddrPort) {
	r := *p.port.route.Load()
	r.Find = find
	p.b.take(p.port, &r, c, from)
}
