// Package upstream holds what requests are balanced over: pools of endpoints, the
// choice among them, and the connections to them, which outlive requests and tables.
//
// A pool is found by name and changes by one atomic pointer; connections belong to a
// loop, and nobody else touches them.
package upstream

import (
	"sync"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
)

// KeepAlive bounds the connections that wait for their next request
// (upstream-keepalive-*).
type KeepAlive struct {
	Idle     time.Duration // how long one may wait; 0 is no bound
	Life     time.Duration // age after which one is not used again; 0 is no bound
	Max      int           // how many wait on one loop, over all pools; 0 keeps none
	Surplus  time.Duration // how long those beyond Max may wait; 0 closes them at once
	Requests int           // how many one may carry; 0 is no bound
}

// Surplus is how long connections beyond Max wait for the next request.
const Surplus = time.Second

// DefaultKeepAlive is ingress-nginx's.
var DefaultKeepAlive = KeepAlive{Idle: 60 * time.Second, Life: time.Hour, Max: 320, Surplus: Surplus, Requests: 10000}

// Set is the pools of one process.
type Set struct {
	loops    []*loop.Loop
	keep     *keeper
	resolver resolver // nil: names are not resolved

	// Report is told when the health of an endpoint changes; nil: nobody is. It must not
	// wait, and is set before the first Apply.
	Report func(HealthChange)

	mu      sync.RWMutex
	pools   map[string]*Pool
	version uint64                       // changes when another pool than before, or none, has a name
	turn    uint64                       // counts Apply
	last    []model.Upstream             // that it was called with
	given   map[string]model.EndpointSet // the last endpoints given for a name, with or without a pool
}

// NewSet returns an empty set whose connections live on these loops, which are all
// loops of their engine. One without loops is for looking at: it connects to nobody and
// resolves no name.
func NewSet(loops []*loop.Loop) *Set {
	s := &Set{
		loops: loops,
		keep:  newKeeper(len(loops), DefaultKeepAlive),
		pools: map[string]*Pool{},
		given: map[string]model.EndpointSet{},
	}
	if len(loops) > 0 {
		s.resolver = systemResolver
	}
	return s
}

// Pool returns the pool of that name, or nil.
func (s *Set) Pool(name string) *Pool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.pools[name]
}

// Version returns a number that is another one whenever Pool may return another pool
// for a name that had one, or none.
func (s *Set) Version() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.version
}

// Apply makes the set hold exactly these upstreams, a list that nobody changes any more. A
// pool that stays keeps its endpoints and connections; one that goes serves the requests
// that still have it and then closes its connections, and the endpoints given for its name
// are forgotten.
func (s *Set) Apply(ups []model.Upstream, settings KeepAlive) {
	s.keep.settings.Store(&settings)
	s.mu.Lock()
	defer s.mu.Unlock()
	if model.Identical(ups, s.last) && len(s.pools) == len(ups) {
		return // most changes concern no upstream
	}
	s.last = ups
	s.turn++
	for i := range ups {
		s.apply(&ups[i])
	}
	if len(s.pools) == len(ups) {
		return // all of them are wanted
	}
	for name, p := range s.pools {
		if p.turn != s.turn {
			p.retire()
			delete(s.pools, name)
			delete(s.given, name)
			s.version++
		}
	}
}

// apply makes or changes the pool of one upstream. Most have not changed.
func (s *Set) apply(up *model.Upstream) {
	p := s.pools[up.Name]
	switch {
	case p != nil && p.up == *up:
	case p != nil && p.same(up):
		p.setManner(up)
	default:
		if p != nil {
			p.retire()
			s.version++
		}
		p = newPool(s, up)
		if p.external == nil {
			e := s.given[up.Name]
			p.setEndpoints(e.Endpoints, e.Draining)
		}
		s.pools[up.Name] = p
	}
	p.up, p.turn = *up, s.turn
}

// SetEndpoints gives the pools named their endpoints of this moment; the others keep
// theirs. Requests that have an endpoint finish on it. Endpoints for a name that has
// no pool yet wait for Apply.
func (s *Set) SetEndpoints(sets []model.EndpointSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range sets {
		s.given[e.Upstream] = e
		if p := s.pools[e.Upstream]; p != nil && p.external == nil {
			p.setEndpoints(e.Endpoints, e.Draining)
		}
	}
}

// Close retires all pools and ends what resolves names for them.
func (s *Set) Close() { s.Apply(nil, *s.keep.settings.Load()) }
