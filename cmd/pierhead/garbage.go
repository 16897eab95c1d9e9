package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// When Go's runtime collects garbage. It goes by percentages of what is in use, which
// suits neither end: of the hundreds of MiB that the objects of a large cluster take,
// Go's default lets as much again pile up, and of the few MiB of a small one so little
// that each hundredth TLS handshake ends in a collection.

const (
	// garbage is how much the heap may grow between two collections, in percent of what
	// is in use. Requests make hardly any garbage, and objects stay: less than half of
	// what is Go's default takes a third off the memory and costs about two milliseconds
	// of CPU for each change.
	garbage = 40
	// room is what it may grow by in any case, in bytes.
	room = 32 << 20
)

// boundGarbage sets that, unless the environment says something. Where memory is
// limited an eighth of it is room enough.
func boundGarbage() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(garbage)
	now := garbage
	afterCollections(func() bool {
		want := percentage(inUse(), min(room, debug.SetMemoryLimit(-1)/8))
		if far := want / 8; want < now-far || want > now+far { // setting it stops the world for a moment
			debug.SetGCPercent(want)
			now = want
		}
		return true
	})
}

// percentage returns what lets the heap grow by room bytes, or by garbage percent where
// that is more.
func percentage(inUse, room int64) int {
	return max(garbage, int(room*100/max(inUse, 1<<20)))
}

// inUse returns the bytes that the runtime takes the percentage of.
func inUse() int64 {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	var sum int64
	for _, s := range samples {
		sum += int64(s.Value.Uint64())
	}
	return sum
}

// afterCollections calls f after each collection, on a goroutine of the runtime's, until
// it returns false.
func afterCollections(f func() bool) {
	var arm func()
	arm = func() {
		runtime.AddCleanup(new([64]byte), func(int) {
			if f() {
				arm()
			}
		}, 0)
	}
	arm()
}
