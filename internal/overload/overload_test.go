package overload

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

// TestStages: stages begin at their share and end when a little more than that is free,
// so that a number that trembles around a bound changes nothing.
func TestStages(t *testing.T) {
	var g Gauge
	for _, step := range []struct {
		used    int64
		want    Stage
		changed bool
	}{
		{0, Calm, false}, {899, Calm, false}, {900, NoKeepAlive, true}, {899, NoKeepAlive, false}, {880, NoKeepAlive, false}, {879, Calm, true},
		{960, NoRequests, true}, {949, NoRequests, false}, {930, NoRequests, false}, {929, NoKeepAlive, true},
		{990, NoConnections, true}, {2000, NoConnections, false}, {979, NoConnections, false}, {960, NoConnections, false}, {959, NoRequests, true}, {100, Calm, true},
		{979, NoRequests, true}, {980, NoConnections, true}, {0, Calm, true},
	} {
		if s, changed := g.Observe(Memory{step.used, 1000}); s != step.want || changed != step.changed || g.Stage() != s {
			t.Errorf("at %d: %v, changed: %v; want %v, %v", step.used, s, changed, step.want, step.changed)
		}
	}
	if s, _ := g.Observe(Memory{Used: 1 << 40}); s != Calm {
		t.Errorf("without a limit: %v", s)
	}
	if s := (*Gauge)(nil).Stage(); s != Calm {
		t.Errorf("no gauge: %v", s)
	}
}

// TestRun: each change of stage is told once, with the numbers that made it.
func TestRun(t *testing.T) {
	used := []int64{500, 910, 920, 970, 970, 500, 500}
	var told []Stage
	ctx, cancel := context.WithCancel(context.Background())
	tick, n := make(chan time.Time), 0
	done := make(chan struct{})
	var g Gauge
	go func() {
		defer close(done)
		g.Run(ctx, tick, func() Memory { n++; return Memory{used[n-1], 1000} }, func(s Stage, m Memory) {
			if m.Used != used[n-1] || m != g.Memory() {
				t.Errorf("told of %+v, the gauge has %+v", m, g.Memory())
			}
			told = append(told, s)
		})
	}()
	for range used {
		tick <- time.Time{}
	}
	cancel()
	<-done
	if want := []Stage{NoKeepAlive, NoRequests, Calm}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// TestMeter: what is alive counts and garbage does not, and the limit is the runtime's.
func TestMeter(t *testing.T) {
	had := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(had)
	meter := Meter()
	debug.SetMemoryLimit(math.MaxInt64)
	if m := meter(); m.Limit != 0 || m.Used <= 0 {
		t.Errorf("without a limit: %+v", m)
	}
	debug.SetMemoryLimit(8 << 30)
	runtime.GC()
	before := meter()
	block := make([]byte, 64<<20)
	runtime.GC()
	with := meter()
	runtime.KeepAlive(block)
	runtime.GC()
	after := meter()
	if with.Limit != 8<<30 || with.Used-before.Used < 60<<20 || after.Used-before.Used > 30<<20 {
		t.Errorf("before a block of 64 MiB %+v, with it %+v, after it %+v", before, with, after)
	}
}
