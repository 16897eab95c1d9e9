package upstream

import (
	"crypto/tls"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

// H2C is the protocol of endpoints that speak HTTP/2 without TLS.
const H2C = "H2C"

// Pool is one upstream: its endpoints and the choice among them.
type Pool struct {
	name     string
	protocol string
	multi    bool // endpoints speak HTTP/2
	grpc     bool
	set      *Set
	tls      *tls.Config // nil: plain
	external *external   // nil: endpoints are given
	checks   *checks     // nil: endpoints are not asked how they are; mu guards it
	counts   healthCounts
	circuit  circuit
	picks    atomic.Uint64

	up   model.Upstream // as it was applied; the Set's mutex is held
	turn uint64         // of the Set that applied it; likewise

	mu   sync.Mutex // held by those who change view
	view atomic.Pointer[view]
}

// view is what Pick looks at. Nothing changes it once it is stored.
type view struct {
	*manner
	endpoints []*Endpoint
	draining  []*Endpoint          // of sticky pools: for the sessions that are there already
	all       []*Endpoint          // both, which the points of ring stand for
	ring      ring                 // of sticky mode "balanced", and of hash
	sets      [][]*Endpoint        // of hash with subsets: what the points of ring stand for
	digests   map[string]*Endpoint // of sticky mode "persistent"
}

// newPool makes a pool without endpoints.
func newPool(s *Set, up *model.Upstream) *Pool {
	p := &Pool{name: up.Name, protocol: up.Protocol, grpc: strings.HasPrefix(up.Protocol, "GRPC"), set: s}
	p.multi = p.grpc || up.Protocol == H2C
	p.picks.Store(uint64(rand.Uint32()))
	if strings.HasSuffix(up.Protocol, "S") { // HTTPS, GRPCS
		// Like nginx: no name is sent and no certificate checked unless asked for.
		p.tls = &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(64)}
		if p.grpc {
			p.tls.NextProtos = []string{"h2"}
		}
	}
	p.view.Store(&view{manner: newManner(up)})
	p.startChecks(p.view.Load().manner)
	if up.External != "" {
		p.external = newExternal(p, up.External, up.ExternalP)
		if s.resolver != nil {
			go p.external.run()
		}
	}
	return p
}

// GRPC reports whether the endpoints speak gRPC, and with it HTTP/2: bodies are streams
// of messages there, which are passed on as they come.
func (p *Pool) GRPC() bool { return p.grpc }

// H2C reports whether the endpoints speak HTTP/2 without TLS, for what HTTP/2 can carry.
func (p *Pool) H2C() bool { return p.multi && !p.grpc }

// Name returns the name of the upstream.
func (p *Pool) Name() string { return p.name }

// same reports whether connections made for p can serve up.
func (p *Pool) same(up *model.Upstream) bool {
	host, port := "", uint16(0)
	if p.external != nil {
		host, port = p.external.host, p.external.port
	}
	return p.protocol == up.Protocol && host == up.External && (host == "" || port == up.ExternalP)
}

// Addresses returns those of the endpoints, for what is handed on as it is. The name of
// an ExternalName counts as used.
func (p *Pool) Addresses() []netip.AddrPort {
	if p.external != nil {
		p.external.use()
	}
	endpoints := p.view.Load().endpoints
	all := make([]netip.AddrPort, len(endpoints))
	for i, e := range endpoints {
		all[i] = e.addr
	}
	return all
}

// External reports whether the endpoints are what a name resolves to.
func (p *Pool) External() bool { return p.external != nil }

// Empty reports whether there is no endpoint.
func (p *Pool) Empty() bool { return len(p.view.Load().endpoints) == 0 }

// setManner changes how endpoints are chosen.
func (p *Pool) setManner(up *model.Upstream) {
	m := newManner(up)
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.view.Load()
	if !v.manner.same(m) {
		p.store(m, v.endpoints, v.draining)
		p.newHealth(v.manner, m)
	}
}

// setEndpoints replaces the endpoints; those that stay keep their connections. One that
// drains is kept where sessions are bound to it.
func (p *Pool) setEndpoints(addrs, draining []netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.view.Load()
	if v.sticky == nil {
		draining = nil
	}
	at := func(e *Endpoint, a netip.AddrPort) bool { return e.addr == a }
	if slices.EqualFunc(v.endpoints, addrs, at) && slices.EqualFunc(v.draining, draining, at) {
		return
	}
	old := make(map[netip.AddrPort]*Endpoint, len(v.endpoints)+len(v.draining))
	for _, list := range [2][]*Endpoint{v.endpoints, v.draining} {
		for _, e := range list {
			old[e.addr] = e
		}
	}
	var fresh []*Endpoint
	list := make([]*Endpoint, 0, len(addrs)+len(draining))
	for _, as := range [2][]netip.AddrPort{addrs, draining} {
		for _, a := range as {
			e := old[a]
			if e == nil {
				if e = newEndpoint(a, p.tls, p.set.keep); p.multi {
					e.speakHTTP2()
					e.grpc = p.grpc
				}
				fresh = append(fresh, e)
			}
			delete(old, a)
			list = append(list, e)
		}
	}
	startLikeOthers(fresh, v.endpoints)
	if len(v.endpoints) > 0 {
		startSlowly(fresh)
	}
	p.store(v.manner, list[:len(addrs):len(addrs)], list[len(addrs):])
	for _, e := range old {
		e.retire(p.set.loops)
	}
}

// store makes a new view. The caller holds mu.
func (p *Pool) store(m *manner, endpoints, draining []*Endpoint) {
	v := &view{manner: m, endpoints: endpoints, draining: draining, all: slices.Concat(endpoints, draining)}
	switch {
	case m.sticky != nil && m.sticky.Mode == "persistent":
		v.digests = make(map[string]*Endpoint, len(v.all))
		for _, e := range v.all {
			e.digest = digest(p.name, e.addr)
			v.digests[e.digest] = e
		}
	case m.sticky != nil, m.way == byHash && m.Subset == 0:
		v.ring = ringOf(v.all)
	case m.way == byHash:
		v.sets = subsets(endpoints, m.Subset)
		v.ring = newRing(len(v.sets), func(b []byte, i int) []byte { return strconv.AppendInt(b, int64(i), 10) })
	}
	p.view.Store(v)
	p.circuit.pending.roomMade()
	p.checks.look()
}

// retire ends the pool: requests that still have it are served, and no connection is
// kept after them.
func (p *Pool) retire() {
	if p.external != nil {
		p.external.stop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checks.stop()
	v := p.view.Load()
	for _, e := range v.all {
		e.retire(p.set.loops)
	}
}

// Pick chooses the endpoint for the next try of x, or nil when there is none: by the
// session's cookie where the upstream is sticky, else as the upstream is balanced. An
// endpoint that x tried already is avoided while others are left. Nil of a pool that is
// not Empty: its endpoints are full, or others wait for room: Wait is what is left.
func (p *Pool) Pick(x *exchange.Exchange) *Endpoint {
	v := p.view.Load()
	if p.external != nil {
		p.external.use()
	}
	switch {
	case len(v.endpoints) == 0:
		return nil
	case v.MaxConnections > 0:
		if p.circuit.pending.waiting.Load() > 0 {
			return nil // others came before
		}
		return p.pickFree(v, x)
	}
	return p.pick(v, x)
}

// pick is Pick; nil is a full pool.
func (p *Pool) pick(v *view, x *exchange.Exchange) *Endpoint {
	if v.sticky != nil {
		return p.pickSticky(v, x)
	}
	return p.choose(v, x)
}

// tried reports whether x asked e before.
func tried(x *exchange.Exchange, e *Endpoint) bool {
	for i := range x.Upstream.Tries {
		if x.Upstream.Tries[i].Addr == e.addr {
			return true
		}
	}
	return false
}

// PoolStatus is what a person may want to know of a pool.
type PoolStatus struct {
	Name      string           `json:"name"`
	External  string           `json:"external,omitempty"` // the name that is resolved
	Sticky    string           `json:"sticky,omitempty"`   // mode of the session affinity
	Balance   string           `json:"balance"`
	Reason    string           `json:"reason,omitempty"` // why an external name has no address
	Endpoints []EndpointStatus `json:"endpoints"`
}

// EndpointStatus is one endpoint of a PoolStatus, counted since it joined.
type EndpointStatus struct {
	Addr     netip.AddrPort `json:"addr"`
	InFlight int64          `json:"inFlight"`
	Idle     int64          `json:"idle"` // connections that wait
	Requests int64          `json:"requests"`
	Failures int64          `json:"failures"`
	Score    float64        `json:"score,omitempty"` // of ewma: seconds
	Out      string         `json:"out,omitempty"`   // why it gets no requests
}

// Snapshot returns the pool as it is now.
func (p *Pool) Snapshot() PoolStatus {
	v := p.view.Load()
	s := PoolStatus{Name: p.name, Balance: v.Balance, Endpoints: make([]EndpointStatus, 0, len(v.endpoints))}
	if p.external != nil {
		s.External, s.Reason = p.external.host, p.external.reason()
	}
	if v.sticky != nil {
		s.Sticky = v.sticky.Mode
	}
	for _, e := range v.endpoints {
		st := e.status()
		if v.way == byTime {
			st.Score = e.score.at(clock(time.Now()))
		}
		if v.guarded {
			st.Out = e.health.told(clock(time.Now()))
		}
		s.Endpoints = append(s.Endpoints, st)
	}
	return s
}
