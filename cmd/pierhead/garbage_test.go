package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestPercentage: the larger of the two bounds holds.
func TestPercentage(t *testing.T) {
	for _, c := range []struct {
		inUse, room int64
		want        int
	}{
		{10 << 20, 64 << 20, 640},
		{64 << 20, 64 << 20, 100},
		{160 << 20, 64 << 20, garbage},
		{400 << 20, 64 << 20, garbage},
		{20 << 20, 12 << 20, 60}, // little memory in all
		{0, 64 << 20, 6400},
	} {
		if got := percentage(c.inUse, c.room); got != c.want {
			t.Errorf("%d MiB in use, room for %d: %d%%, want %d%%", c.inUse>>20, c.room>>20, got, c.want)
		}
	}
}

// TestBoundGarbage: a small heap has room, unless the environment says otherwise.
func TestBoundGarbage(t *testing.T) {
	had := debug.SetGCPercent(100)
	defer debug.SetGCPercent(had)
	t.Setenv("GOGC", "100")
	boundGarbage()
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("with GOGC the percentage is %d", got)
	}
	t.Setenv("GOGC", "")
	boundGarbage()
	if got := debug.SetGCPercent(garbage); got != garbage {
		t.Errorf("the percentage begins with %d, want %d", got, garbage)
	}
	collected(t)
	got := garbage
	for deadline := time.Now().Add(10 * time.Second); got == garbage && time.Now().Before(deadline); runtime.Gosched() {
		got = debug.SetGCPercent(garbage)
	}
	if got <= garbage {
		t.Errorf("the percentage stays at %d with hardly anything in use", got)
	}
}

// collected collects, and waits for what follows each collection.
func collected(t *testing.T) {
	t.Helper()
	done := make(chan struct{})
	afterCollections(func() bool { close(done); return false })
	runtime.GC()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is told of a collection")
	}
}
