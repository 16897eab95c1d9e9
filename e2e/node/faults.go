package node

import (
	"context"
	"syscall"
	"time"
)

// Annotations of a Pod by which a test makes it misbehave. They may be set and changed at
// any time.
const (
	Unready = "e2e.pierhead.dev/unready" // "true": reported as not ready, whatever the probes say
	Slow    = "e2e.pierhead.dev/slow"    // a duration: its processes stand still for so long, run for 20 ms, and so on
	Restart = "e2e.pierhead.dev/restart" // whenever the value changes its containers are killed and started again
)

// slice is how long a slow process runs between two pauses.
const slice = 20 * time.Millisecond

// disturb does to a running container what the annotations Slow and Restart ask for.
func (c *container) disturb(ctx context.Context, r *running) {
	const look = 20 * time.Millisecond
	before := c.pod.spec().Annotations[Restart]
	for pause(ctx, look) {
		annotations := c.pod.spec().Annotations
		if annotations[Restart] != before {
			r.again("annotation")
			return
		}
		d, err := time.ParseDuration(annotations[Slow])
		if err != nil || d <= 0 {
			continue
		}
		if r.cmd.Process.Signal(syscall.SIGSTOP) != nil {
			return
		}
		pause(ctx, d)
		if r.cmd.Process.Signal(syscall.SIGCONT) != nil || !pause(ctx, slice) {
			return
		}
	}
}
