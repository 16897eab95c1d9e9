// Package overload keeps the process within the memory it may have: the less is left,
// the more work it turns away, in stages. Who takes work asks Gauge.Stage, which costs
// nothing; the memory is looked at a few times a second by Run.
package overload

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// Stage says what is turned away. Each one turns away what those before it do.
type Stage int32

// The stages.
const (
	Calm          Stage = iota // nothing
	NoKeepAlive                // client connections end after the answer in hand
	NoRequests                 // new requests are answered 503
	NoConnections              // new connections are closed
	stages
)

// String says it in words.
func (s Stage) String() string {
	return [...]string{"nothing is turned away", "connections are not kept", "requests are refused", "connections are refused"}[s]
}

// from is the share of the memory, in thousandths, at which a stage begins. It ends when
// back has become free again.
var from = [stages]int64{Calm: 0, NoKeepAlive: 900, NoRequests: 950, NoConnections: 980}

const back = 20

// From returns the share of the memory at which a stage begins.
func From(s Stage) float64 { return float64(from[s]) / 1000 }

// Memory is what is used, and what may be; no limit is 0.
type Memory struct{ Used, Limit int64 }

// Gauge holds the present stage. The zero value is calm, and so is nil. Any goroutine may
// ask it.
type Gauge struct {
	stage       atomic.Int32
	used, limit atomic.Int64
}

// Stage returns the present stage.
func (g *Gauge) Stage() Stage {
	if g == nil {
		return Calm
	}
	return Stage(g.stage.Load())
}

// Memory returns what was seen last.
func (g *Gauge) Memory() Memory { return Memory{g.used.Load(), g.limit.Load()} }

// Observe takes note of the memory and returns the stage, and whether it is another one.
// Only one caller at a time may do so.
func (g *Gauge) Observe(m Memory) (s Stage, changed bool) {
	g.used.Store(m.Used)
	g.limit.Store(m.Limit)
	was := g.Stage()
	s = was
	switch share := m.share(); {
	case share >= from[min(was+1, stages-1)]:
		for s = was; s+1 < stages && share >= from[s+1]; s++ {
		}
	case was > Calm && share < from[was]-back:
		for s = was; s > Calm && share < from[s]-back; s-- {
		}
	}
	g.stage.Store(int32(s))
	return s, s != was
}

// share is what is used in thousandths of the limit.
func (m Memory) share() int64 {
	if m.Limit <= 0 {
		return 0
	}
	return int64(float64(m.Used) / float64(m.Limit) * 1000)
}

// Every is how often the memory is looked at.
const Every = 250 * time.Millisecond

// Run observes what meter returns at each tick until ctx ends, and calls told when the
// stage changes.
func (g *Gauge) Run(ctx context.Context, tick <-chan time.Time, meter func() Memory, told func(Stage, Memory)) {
	for {
		select {
		case <-tick:
			m := meter()
			if s, changed := g.Observe(m); changed {
				told(s, m)
			}
		case <-ctx.Done():
			return
		}
	}
}

// parts are the runtime's own numbers of what cannot be had back by collecting garbage:
// what was alive at the last collection, stacks, and the runtime's memory for itself.
var parts = []string{
	"/gc/heap/live:bytes", "/memory/classes/heap/stacks:bytes", "/memory/classes/os-stacks:bytes", "/memory/classes/metadata/mcache/inuse:bytes",
	"/memory/classes/metadata/mspan/inuse:bytes", "/memory/classes/metadata/other:bytes", "/memory/classes/other:bytes",
}

// Meter returns what tells the memory of this process, against the limit of Go's runtime
// (GOMEMLIMIT). Garbage does not count: where it was let grow the runtime takes it back
// before the limit is reached.
func Meter() func() Memory {
	samples := make([]metrics.Sample, len(parts))
	for i, name := range parts {
		samples[i].Name = name
	}
	return func() Memory {
		m := Memory{Limit: debug.SetMemoryLimit(-1)}
		if m.Limit == math.MaxInt64 {
			m.Limit = 0
		}
		metrics.Read(samples)
		for i := range samples {
			if samples[i].Value.Kind() == metrics.KindUint64 {
				m.Used += int64(samples[i].Value.Uint64())
			}
		}
		return m
	}
}
