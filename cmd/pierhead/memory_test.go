package main

import (
	"log/slog"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

// TestMemoryLimit: the limit of the container, of either version of cgroups.
func TestMemoryLimit(t *testing.T) {
	for _, c := range []struct {
		file, text string
		want       int64
	}{
		{"memory.max", "268435456\n", 256 << 20},
		{"memory.max", "max\n", 0},
		{"memory/memory.limit_in_bytes", "268435456\n", 256 << 20},
		{"memory/memory.limit_in_bytes", "9223372036854771712\n", 0}, // no limit, by the first version
		{"memory.max", "-1", 0},
		{"memory.max", "", 0},
		{"memory.high", "268435456\n", 0},
	} {
		if got := memoryLimit(fstest.MapFS{c.file: {Data: []byte(c.text)}}); got != c.want {
			t.Errorf("%s with %q: %d, want %d", c.file, c.text, got, c.want)
		}
	}
}

// TestBoundMemory: nine tenths of the limit, unless the environment says otherwise.
func TestBoundMemory(t *testing.T) {
	had := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(had)
	limits := fstest.MapFS{"memory.max": {Data: []byte("1000000000\n")}}
	t.Setenv("GOMEMLIMIT", "2GiB")
	boundMemory(slog.New(slog.DiscardHandler), limits)
	if got := debug.SetMemoryLimit(-1); got != had {
		t.Errorf("with GOMEMLIMIT the limit is %d, want %d", got, had)
	}
	t.Setenv("GOMEMLIMIT", "")
	boundMemory(slog.New(slog.DiscardHandler), limits)
	if got := debug.SetMemoryLimit(-1); got != 900000000 {
		t.Errorf("the limit is %d, want nine tenths of the container's", got)
	}
}
