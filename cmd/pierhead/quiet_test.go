package main

import (
	"testing"
	"testing/synctest"
	"time"
)

// The end waits as long as connections come, and not for ever.
func TestQuiet(t *testing.T) {
	for _, tt := range []struct{ until, want time.Duration }{{0, time.Second}, {3500 * time.Millisecond, 5 * time.Second}, {time.Hour, 15 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			accepted := func() uint64 { return uint64(min(time.Since(begin), tt.until) / time.Millisecond) }
			quiet(accepted, time.Second, 15*time.Second, func() bool { return false })
			if got := time.Since(begin); got != tt.want {
				t.Errorf("connections come for %s: waited %s, want %s", tt.until, got, tt.want)
			}
		})
	}
}
