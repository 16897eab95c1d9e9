package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/pierhead/pierhead/internal/takeover"
)

// How a controller takes the place of another one on the same node (--takeover).
//
// Until the one before is told to end both serve on all ports, whoever accepts first: the
// one after may die, and nothing would have to be taken up again. Told to end, the one
// before accepts nothing any more at once if one after it is live; without one it ends as
// a controller on its own does.

// How often is looked whether a port is free, and whether another process is live.
const (
	portEvery = 200 * time.Millisecond
	liveEvery = 50 * time.Millisecond
)

// takePlace returns the controller's place, or nil without --takeover. Who shares a lease
// and a class in one namespace is the same controller.
func (c *controller) takePlace() (*takeover.Place, error) {
	if !c.flags.Bool("takeover") {
		return nil, nil
	}
	ns, _, _ := strings.Cut(c.pod, "/")
	return takeover.New(socketName("controller", ns, c.flags.Text("election-id"), c.flags.ControllerClass), true, c.log)
}

// socketName joins words to the name of an abstract Unix socket, which may not be long.
func socketName(words ...string) string {
	name := strings.Join(words, "/")
	if len(name) > 90 || strings.ContainsAny(name, "@\x00") {
		sum := sha256.Sum256([]byte(name))
		name = words[0] + "/" + hex.EncodeToString(sum[:16])
	}
	return name
}

// open opens an address of the process. With --takeover one that is in use and not handed
// over is waited for until ctx ends: the process that has it may not take part, or be
// about to end.
func (c *controller) open(ctx context.Context, addr string) (net.Listener, error) {
	tick := time.NewTicker(portEvery)
	defer tick.Stop()
	for told := false; ; told = true {
		ln, err := c.place.Listen(addr)
		if c.place == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return ln, err
		}
		if !told {
			c.log.Warn("takeover: waiting for an address that another process has and does not hand over", "address", addr,
				"remedy", "end that process: it runs without --takeover, or has another --election-id or --controller-class")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// takeOver tells the process before that this one serves, as soon as it does.
func (c *controller) takeOver(ctx context.Context) {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for c.place != nil && c.health.serves() != nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	c.place.Live()
	c.health.live.Store(true)
}

// leave stops accepting on what the controller itself listens on, once another process is
// live and accepts there.
func (c *controller) leave() {
	if c.left || !c.place.Followed() {
		return
	}
	c.left = true
	c.log.Info("takeover: another process is live; no connection is accepted any more")
	c.health.leave()
	c.hook.leave()
}

// waitOr waits for some time, or until over says so.
func waitOr(d time.Duration, over func() bool) {
	for end := time.Now().Add(d); !over() && time.Now().Before(end); {
		time.Sleep(min(liveEvery, time.Until(end)))
	}
}
