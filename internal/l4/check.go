package l4

import (
	"slices"

	"github.com/pierhead/pierhead/internal/loop"
)

// startChecks has the targets of now checked. The caller holds b.mu.
func (b *Balancer) startChecks() {
	if b.cfg.Interval < 0 {
		return
	}
	all := make([]*target, 0, len(b.targets))
	for _, t := range b.targets {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *target) int { return a.addr.Compare(b.addr) })
	b.watch.Store(&all)
	if !b.checks {
		b.checks = true
		l := b.engine.Loops()[0]
		l.Post(func() { l.AfterFunc(b.cfg.Interval, checkAll, &checker{b, l}) })
	}
}

// checker is the checks of a Balancer. They all run on one loop.
type checker struct {
	b    *Balancer
	loop *loop.Loop
}

// checkAll checks every target, each in a coroutine of its own so that one that does
// not answer holds up no other, and does so again after the interval. It ends with
// the Balancer.
func checkAll(arg any) {
	c := arg.(*checker)
	all := c.b.watch.Load()
	if all == nil {
		return
	}
	for _, t := range *all {
		if !t.checking {
			t.checking = true
			c.loop.Go(check, &probe{c, t})
		}
	}
	c.loop.AfterFunc(c.b.cfg.Interval, checkAll, c)
}

// probe is one check of one target.
type probe struct {
	*checker
	target *target
}

// check connects to a target and hangs up.
func check(arg any) {
	p := arg.(*probe)
	conn, err := p.loop.Dial(p.target.addr, p.b.cfg.Timeout)
	if err == nil {
		_ = conn.Close() // that it stood is all we wanted to know
	}
	p.target.checking = false
	p.target.checked(err == nil, p.b.cfg.Healthy, p.b.cfg.Unhealthy)
}
