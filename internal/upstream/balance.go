package upstream

import (
	"math/rand/v2"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

// manner is how the endpoints of a pool are chosen. Nothing changes it.
type manner struct {
	model.Balancing
	sticky *model.Sticky // nil: none
	way    way
	// guarded: endpoints may be out of use, or begin slowly.
	guarded bool
	key     *exchange.Template // of byHash
}

// way is how the endpoint is chosen for a request that belongs to no session.
type way uint8

const (
	inTurn way = iota // round_robin
	byTime            // ewma
	byLoad            // least_requests
	byHash            // hash
)

// ways are the values of model.Balancing.Balance.
var ways = map[string]way{"": inTurn, "round_robin": inTurn, "ewma": byTime, "least_requests": byLoad, "hash": byHash}

// newManner reads what an upstream says of it. A template that cannot be read was told
// where it was written, and the endpoints are used in turn.
func newManner(up *model.Upstream) *manner {
	m := &manner{Balancing: up.Balancing, sticky: up.Sticky, way: ways[up.Balance]}
	m.guarded = m.EjectAfter > 0 || m.SlowStart > 0 || m.Check.Path != ""
	if m.way == byHash {
		var err error
		if m.key, err = exchange.ParseTemplate(m.HashBy); err != nil {
			m.way = inTurn
		}
	}
	return m
}

// same tells whether two manners choose alike.
func (m *manner) same(o *manner) bool {
	if m.Balancing != o.Balancing || (m.sticky == nil) != (o.sticky == nil) {
		return false
	}
	return m.sticky == nil || *m.sticky == *o.sticky
}

// search is the choice of one endpoint for one try.
type search struct {
	v    *view
	x    *exchange.Exchange
	now  int64 // of clock, where that matters
	need need
}

// need is what is asked of an endpoint: the most that at least one of them has.
type need uint8

const (
	fitUntried need = iota // it is in use, and x did not try it yet
	fit                    // it is in use
	untried                // x did not try it yet: none is in use, so that all are
	nothing
	full // there is none with room for a request
)

// begin finds out what can be asked for.
func (s search) begin() search {
	if s.v.guarded || s.v.way == byTime {
		s.now = now(s.x)
	}
	if !s.v.guarded {
		s.need = untried
		if len(s.x.Upstream.Tries) == 0 && s.v.MaxConnections == 0 {
			return s
		}
	}
	last := nothing // which needs no look
	if s.v.MaxConnections > 0 {
		last = full
	}
	for ; s.need < last; s.need++ {
		for _, e := range s.v.endpoints {
			if s.takes(e) {
				return s
			}
		}
	}
	return s
}

// takes reports whether e has what is asked for.
func (s *search) takes(e *Endpoint) bool {
	if e.full(s.v.MaxConnections) {
		return false
	}
	switch s.need {
	case fitUntried:
		return e.health.fit(s.now) && !tried(s.x, e)
	case fit:
		return e.health.fit(s.now)
	case untried:
		return !tried(s.x, e)
	}
	return true
}

// shuns reports whether e is out of use while others are not, or full.
func (s *search) shuns(e *Endpoint) bool {
	return s.need <= fit && !e.health.fit(s.now) || e.full(s.v.MaxConnections)
}

// drawn is takes for what chance or turn has drawn: a newcomer is often passed over.
func (s *search) drawn(e *Endpoint) bool {
	return s.takes(e) && (s.v.SlowStart == 0 || e.health.warm(s.now, s.v.SlowStart))
}

// choose is Pick without sessions. The pool is not empty.
func (p *Pool) choose(v *view, x *exchange.Exchange) *Endpoint {
	if len(v.endpoints) == 1 && v.MaxConnections == 0 {
		return v.endpoints[0]
	}
	s := search{v: v, x: x}.begin()
	switch {
	case s.need == full:
		return nil
	case len(v.endpoints) == 1:
		return v.endpoints[0]
	}
	switch v.way {
	case byTime, byLoad:
		return s.better()
	case byHash:
		if e := s.hashed(); e != nil {
			return e
		}
	}
	return p.next(s)
}

// next is round robin. What is not taken is left out of the turn, so that its share goes
// to all others and not to the one after it.
func (p *Pool) next(s search) *Endpoint {
	n := uint64(len(s.v.endpoints))
	var at uint64
	for range n {
		at = p.picks.Add(1) % n
		if e := s.v.endpoints[at]; s.drawn(e) {
			return e
		}
	}
	return s.v.endpoints[s.from(int(at))] // other requests had those turns
}

// from returns the place of the first endpoint that is taken, at or after the given one,
// or that one when there is none.
func (s *search) from(at int) int {
	for i := at; ; {
		if s.takes(s.v.endpoints[i]) {
			return i
		}
		if i++; i == len(s.v.endpoints) {
			i = 0
		}
		if i == at {
			return at
		}
	}
}

// draw returns the place of an endpoint by chance.
func (s *search) draw() int {
	n := len(s.v.endpoints)
	i := rand.IntN(n)
	for range 2 * n {
		if s.drawn(s.v.endpoints[i]) {
			return i
		}
		i = rand.IntN(n)
	}
	return s.from(i)
}

// better draws two endpoints and returns the one that costs less.
func (s *search) better() *Endpoint {
	i, j := s.draw(), s.draw()
	for range 3 { // mostly once
		if i != j {
			break
		}
		j = s.draw()
	}
	if i == j {
		j = s.from((i + 1) % len(s.v.endpoints))
	}
	a, b := s.v.endpoints[i], s.v.endpoints[j]
	if i != j && s.cost(b) < s.cost(a) {
		return b
	}
	return a
}

// cost is what better compares.
func (s *search) cost(e *Endpoint) float64 {
	if s.v.way == byLoad {
		return float64(e.load())
	}
	return e.score.at(s.now)
}

// load is how many requests the endpoint has at hand, on all loops.
func (e *Endpoint) load() (n int64) {
	for i := range e.slots {
		if s := e.slots[i].Load(); s != nil {
			n += s.inFlight.Load()
		}
	}
	return n
}
