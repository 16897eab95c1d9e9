package upstream

import (
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
)

// health is whether an endpoint is in use. Pick reads it; what has no atomic type belongs
// to who holds the mutex of the pool.
type health struct {
	failed atomic.Int32           // tries in a row
	until  atomic.Int64           // of clock: it is ejected until then
	sick   atomic.Pointer[string] // what its checks found; nil: it is well
	since  atomic.Int64           // of clock: its slow start began, or begins when it is back; 0: it has none

	times int   // ejected in a row
	last  int64 // for how long the last time
}

// fit reports whether the endpoint is in use.
func (h *health) fit(now int64) bool { return h.until.Load() <= now && h.sick.Load() == nil }

// leastShare is what an endpoint gets of its share when its slow start begins.
const leastShare = 0.1

// warm reports whether an endpoint that was drawn is taken: always, but in its slow start
// as often as it has come along.
func (h *health) warm(now int64, slow time.Duration) bool {
	since := h.since.Load()
	if since == 0 {
		return true
	}
	share := float64(now-since) / float64(slow)
	return share >= 1 || rand.Float64() < max(share, leastShare)
}

// told says why the endpoint is out of use, or "".
func (h *health) told(now int64) string {
	if why := h.sick.Load(); why != nil {
		return "unhealthy: " + *why
	}
	if left := h.until.Load() - now; left > 0 {
		return "ejected for " + time.Duration(left).Round(time.Millisecond).String()
	}
	return ""
}

// reset forgets everything.
func (h *health) reset() {
	h.failed.Store(0)
	h.until.Store(0)
	h.sick.Store(nil)
	h.since.Store(0)
	h.times, h.last = 0, 0
}

// startSlowly begins the slow start of endpoints that join others.
func startSlowly(fresh []*Endpoint) {
	for _, e := range fresh {
		e.health.since.Store(clock(time.Now()))
	}
}

// newHealth forgets what was known by other rules. The caller holds mu.
func (p *Pool) newHealth(was, is *manner) {
	same := was.Check == is.Check
	if same && was.EjectAfter == is.EjectAfter && was.EjectFor == is.EjectFor && was.SlowStart == is.SlowStart {
		return
	}
	if !same {
		p.checks.stop()
	}
	for _, e := range p.view.Load().all {
		e.health.reset()
	}
	if !same {
		p.startChecks(is)
	}
}

// HealthChange tells that an endpoint goes out of use, or is back. That an ejection is over
// is told before, by For.
type HealthChange struct {
	Upstream string
	Addr     netip.AddrPort
	Fit      bool
	Why      string        // of one that goes
	For      time.Duration // how long it is out; 0: until its checks are good again
	Left     int           // endpoints in use: with none of them all are used
}

// healthCounts is what a pool counts.
type healthCounts struct {
	ejections, passed, failed atomic.Uint64
}

// Tell tells how a try at e went, which Pick may learn from: how long it took, or
// that it failed.
func (p *Pool) Tell(e *Endpoint, at time.Time, took time.Duration, failed bool) {
	v := p.view.Load()
	if v.way == byTime {
		t := took
		if failed {
			t = max(t, failedTime)
		}
		e.score.observe(clock(at), t)
	}
	switch {
	case v.EjectAfter == 0 || e.health.until.Load() > clock(at):
	case !failed:
		if e.health.failed.Load() != 0 { // most of the time nothing is written
			e.health.failed.Store(0)
		}
	case int(e.health.failed.Add(1)) >= v.EjectAfter:
		p.eject(e, at)
	}
}

// longest bounds the ejections of an endpoint that fails again and again, in times the
// first one.
const longest = 16

// eject puts an endpoint out of use, twice as long as the last time when it fails again
// soon, unless more than half of all would be out then.
func (p *Pool) eject(e *Endpoint, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, now, h := p.view.Load(), clock(at), &e.health
	h.failed.Store(0)
	in := p.inUse(v, now)
	if v.EjectAfter == 0 || !h.fit(now) || e.gone.Load() || 2*(len(v.endpoints)-in+1) > len(v.endpoints) {
		return
	}
	if h.times > 0 && now-h.until.Load() < h.last {
		h.times++
	} else {
		h.times = 1
	}
	out := v.EjectFor
	for i := 1; i < h.times && out < longest*v.EjectFor; i++ {
		out *= 2
	}
	h.last = int64(out)
	h.since.Store(now + h.last)
	h.until.Store(now + h.last)
	p.counts.ejections.Add(1)
	p.report(HealthChange{Upstream: p.name, Addr: e.addr, Why: "failures in a row", For: out, Left: in - 1})
}

// inUse counts the endpoints that are in use.
func (p *Pool) inUse(v *view, now int64) (n int) {
	for _, e := range v.endpoints {
		if e.health.fit(now) {
			n++
		}
	}
	return n
}

func (p *Pool) report(c HealthChange) {
	if p.set.Report != nil {
		p.set.Report(c)
	}
}

// HealthStatus is what is known of a pool that has rules for the health of its endpoints, or
// bounds.
type HealthStatus struct {
	Upstream   string
	Endpoints  []EndpointStatus
	Ejections  uint64
	Passed     uint64 // checks
	Failed     uint64
	AllAreUsed bool // since none is in use
	Checked    bool
	Limited    bool   // by max-connections or retry-budget
	Full       uint64 // requests that found no endpoint with room, nor one to wait
	Late       uint64 // requests that waited for room in vain
	Pending    int64  // requests that wait for room
	Spared     uint64 // tries that the budget did not allow
	Ejecting   bool
	Guarded    bool // there are rules for the health of endpoints
}

// Health tells of all pools that have such rules or bounds.
func (s *Set) Health() []HealthStatus {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []HealthStatus
	for _, p := range s.pools {
		v := p.view.Load()
		limited := v.MaxConnections > 0 || v.RetryBudget > 0
		if !v.guarded && !limited {
			continue
		}
		h := HealthStatus{Upstream: p.name, Endpoints: p.Snapshot().Endpoints, Checked: v.Check.Path != "", Ejecting: v.EjectAfter > 0}
		h.Ejections, h.Passed, h.Failed = p.counts.ejections.Load(), p.counts.passed.Load(), p.counts.failed.Load()
		h.AllAreUsed = len(v.endpoints) > 0 && p.inUse(v, clock(time.Now())) == 0
		h.Guarded, h.Limited, h.Full, h.Spared = v.guarded, limited, p.circuit.full.Load(), p.circuit.spared.Load()
		h.Late, h.Pending = p.circuit.pending.late.Load(), p.circuit.pending.waiting.Load()
		all = append(all, h)
	}
	return all
}
