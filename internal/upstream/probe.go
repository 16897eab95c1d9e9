package upstream

import (
	"context"
	"math/rand/v2"
	"time"
)

// checks asks the endpoints of a pool how they are: each of them once in an interval, at a
// time of its own, on a connection of its own. A goroutine keeps the time, and the loops
// ask in turn.
type checks struct {
	pool   *Pool
	rule   *manner
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when no more questions are asked
	wake   chan struct{} // the endpoints have changed
	turn   int           // of the loops
	probes map[*Endpoint]*probe
}

// probe is one endpoint that is asked.
type probe struct {
	at     time.Time // of the next question
	asks   chan struct{}
	good   int // answers in a row; the mutex of the pool guards both
	failed int
}

// startChecks begins to ask, where the upstream wants it. The caller holds mu, or is alone.
func (p *Pool) startChecks(m *manner) {
	p.checks = nil
	if m.Check.Path == "" || len(p.set.loops) == 0 {
		return
	}
	c := &checks{pool: p, rule: m, wake: make(chan struct{}, 1), done: make(chan struct{}), turn: rand.IntN(len(p.set.loops)), probes: map[*Endpoint]*probe{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	p.checks = c
	go c.run()
}

// stop ends the questions. What comes of those on their way does not count.
func (c *checks) stop() {
	if c != nil {
		c.cancel()
	}
}

// look has the endpoints looked at anew.
func (c *checks) look() {
	if c == nil {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run asks until the end of the pool or of the rule.
func (c *checks) run() {
	defer close(c.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-c.wake:
		case <-c.ctx.Done():
			return
		}
		timer.Reset(time.Until(c.ask(time.Now())))
	}
}

// ask asks those whose time has come and returns when it is the next one's.
func (c *checks) ask(now time.Time) time.Time {
	check := &c.rule.Check
	next, all := now.Add(check.Interval), c.pool.view.Load().all
	seen := make(map[*Endpoint]*probe, len(all))
	for _, e := range all {
		pr := c.probes[e]
		if pr == nil { // at any moment of its first interval
			pr = &probe{at: now.Add(rand.N(check.Interval)), asks: make(chan struct{}, 1)}
		}
		seen[e] = pr
		if !pr.at.After(now) {
			pr.at = now.Add(check.Interval*9/10 + rand.N(check.Interval/5+1))
			c.post(e, pr)
		}
		if pr.at.Before(next) {
			next = pr.at
		}
	}
	c.probes = seen
	return next
}

// post has a loop ask, unless the last question is still open.
func (c *checks) post(e *Endpoint, pr *probe) {
	select {
	case pr.asks <- struct{}{}:
	default:
		return
	}
	loops := c.pool.set.loops
	c.turn = (c.turn + 1) % len(loops)
	l := loops[c.turn]
	l.Post(func() {
		defer func() { <-pr.asks }()
		c.judge(e, pr, l.Now(), e.ask(l, &c.rule.Check))
	})
}

// judge counts what came of a question.
func (c *checks) judge(e *Endpoint, pr *probe, at time.Time, err error) {
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.ctx.Err() != nil || e.gone.Load() {
		return
	}
	h, check := &e.health, &c.rule.Check
	if err == nil {
		p.counts.passed.Add(1)
		pr.good, pr.failed = pr.good+1, 0
		if h.sick.Load() != nil && pr.good >= check.Healthy {
			h.since.Store(clock(at))
			h.sick.Store(nil)
			p.report(HealthChange{Upstream: p.name, Addr: e.addr, Fit: true, Left: p.inUse(p.view.Load(), clock(at))})
		}
		return
	}
	p.counts.failed.Add(1)
	pr.good, pr.failed = 0, pr.failed+1
	if why := err.Error(); h.sick.Load() == nil && pr.failed >= check.Unhealthy {
		h.sick.Store(&why)
		p.report(HealthChange{Upstream: p.name, Addr: e.addr, Why: why, Left: p.inUse(p.view.Load(), clock(at))})
	}
}
