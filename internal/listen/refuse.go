package listen

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/overload"
)

// Refusal is why a connection was closed without a word.
type Refusal uint8

// The reasons.
const (
	byMemory Refusal = iota // the process is short of memory
	byLimit                 // the controller has as many as it may have
	byClient                // the client's address has
	refusals
)

// String names the reason, as metrics do.
func (r Refusal) String() string { return [...]string{"memory", "limit", "client"}[r] }

// crowd is the connections of one controller's clients, over all its listeners.
type crowd struct {
	open    atomic.Int64
	idle    []idle // by loop
	clients [64]struct {
		sync.Mutex
		open map[netip.Addr]int32
	}
	seed maphash.Seed
}

// crowd returns that of a listener's controller. The Set's mutex is held.
func (s *Set) crowd(controller string) *crowd {
	c := s.crowds[controller]
	if c == nil {
		c = &crowd{seed: maphash.MakeSeed(), idle: make([]idle, len(s.loops))}
		s.crowds[controller] = c
	}
	return c
}

// network is what counts as one client: an IPv4 address, or the 64 bits of IPv6 that one
// customer has at least.
func network(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// enter counts a connection of a client unless it has most already.
func (c *crowd) enter(client netip.Addr, most int) bool {
	part := &c.clients[maphash.Comparable(c.seed, client)%64]
	part.Lock()
	defer part.Unlock()
	n := part.open[client]
	if int(n) >= most {
		return false
	}
	if part.open == nil {
		part.open = map[netip.Addr]int32{}
	}
	part.open[client] = n + 1
	return true
}

// leave ends that.
func (c *crowd) leave(client netip.Addr) {
	part := &c.clients[maphash.Comparable(c.seed, client)%64]
	part.Lock()
	defer part.Unlock()
	if part.open[client]--; part.open[client] <= 0 {
		delete(part.open, client)
	}
}

// admit tells whether one more connection is served, and counts it then. Where there are
// as many as there may be it waits until an idle one has made room.
func (k *socket) admit(o *options, l *loop.Loop) bool {
	why := byMemory
	k.set.counts.active.Add(1)
	if k.set.Load.Stage() < overload.NoConnections {
		if n := k.crowd.open.Add(1); o.most <= 0 || n <= int64(o.most) {
			return true
		}
		if k.crowd.makeRoom(l) {
			k.set.counts.madeRoom.Add(1)
			return true
		}
		k.crowd.open.Add(-1)
		why = byLimit
	}
	k.set.counts.refused[why].Add(1)
	k.set.gone()
	return false
}

// admitClient does so for the client that the connection comes from, who is known only
// behind the PROXY header. It returns what the connection counts among then.
func (k *socket) admitClient(o *options, from netip.Addr) (client netip.Addr, ok bool) {
	most := o.Settings.ClientConnections
	if most <= 0 {
		return client, true
	}
	if from = network(from); !k.crowd.enter(from, most) {
		k.set.counts.refused[byClient].Add(1)
		return client, false
	}
	return from, true
}
