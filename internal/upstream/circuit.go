package upstream

import (
	"sync/atomic"

	"github.com/pierhead/pierhead/internal/exchange"
)

// circuit is what a pool with bounds counts. One without bounds touches nothing of it.
type circuit struct {
	again  atomic.Int64  // further tries under way
	full   atomic.Uint64 // requests that found no endpoint with room
	spared atomic.Uint64 // tries that the budget did not allow

	pending pending
}

// full reports whether the endpoint has all the requests that it may have; 0 is no bound.
func (e *Endpoint) full(most int) bool { return most > 0 && e.held.Load() >= int64(most) }

// hold counts a request that the endpoint gets, unless it is full.
func (e *Endpoint) hold(most int) bool {
	if e.held.Add(1) > int64(most) {
		e.held.Add(-1)
		return false
	}
	return true
}

// Release ends what Pick has begun when it set Holds.
func (p *Pool) Release(e *Endpoint) {
	e.held.Add(-1)
	p.circuit.pending.roomMade()
}

// pickFree is pick for endpoints whose connections are bounded. Requests of other loops may
// take the last room between the look and the count: then there is another look.
func (p *Pool) pickFree(v *view, x *exchange.Exchange) *Endpoint {
	const looks = 8
	for range looks {
		e := p.pick(v, x)
		if e == nil {
			break
		}
		if e.hold(v.MaxConnections) {
			x.Upstream.Holds = true
			return e
		}
	}
	return nil
}

// leastAgain is how many further tries may be under way however few requests there are.
const leastAgain = 3

// Again reports whether a further try of a request may begin, and whether it is counted:
// then Over must follow.
func (p *Pool) Again() (allowed, counted bool) {
	v := p.view.Load()
	if v.RetryBudget == 0 {
		return true, false
	}
	var requests int64
	for _, e := range v.all {
		requests += e.load()
	}
	if p.circuit.again.Add(1) > max(leastAgain, requests*int64(v.RetryBudget)/100) {
		p.circuit.again.Add(-1)
		p.circuit.spared.Add(1)
		return false, false
	}
	return true, true
}

// Over ends a further try.
func (p *Pool) Over() { p.circuit.again.Add(-1) }
