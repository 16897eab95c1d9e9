// Package l4 balances TCP connections and UDP sessions that nobody here looks into: what
// a cloud's load balancer does in front of a cluster, in user space, and the TCP and UDP
// ports of a controller (Datagrams for the latter).
//
// A Balancer listens on each port that Apply names. A connection that comes in is
// checked against the source ranges, gets a target, by PROXY protocol the target
// learns who the client is, and from then on bytes go both ways until both sides have
// ended. A side that ends its direction only (half-close) ends that direction only.
//
// Apply changes everything while connections run: those that stand go on to the
// target they have, also when their port is gone.
//
// A connection and its target connection live on one loop. While no bytes come, a
// connection holds no buffer, and after a moment no coroutine.
package l4

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// Desired is one port that should be balanced.
type Desired struct {
	Key     string         // names it in errors and numbers: namespace/name:port
	Listen  netip.AddrPort // port 0: one of the system's choice
	Targets []netip.AddrPort
	Options
}

// Options are how the connections of one port are treated. A change counts for new
// connections; Idle also for those that stand, from the next time they are looked at.
type Options struct {
	ProxyV1  bool           // begin with a PROXY protocol v1 header
	Idle     time.Duration  // closed when no byte came from either side for so long; 0: never
	Sources  []netip.Prefix // whose clients are let in; empty: all
	Affinity bool           // a client address keeps its target as long as that is up

	// Find returns the endpoints of this moment, for a connection on a loop, and may
	// wait there. They take the place of targets, in turn and without checks; nil: there
	// are targets.
	Find    func(*loop.Loop) []netip.AddrPort
	Tries   int            // endpoints of Find that are tried for one connection; 0: all
	TryFor  time.Duration  // no further one after that long; 0: no bound
	ProxyIn bool           // clients begin with a PROXY header
	Trusted []netip.Prefix // whose PROXY headers count; empty: nobody's
	Ended   func(*Session) // told of every connection when it has ended; must not wait; nil: nobody
}

// Session is one connection or UDP session that has ended.
type Session struct {
	Client, Local netip.AddrPort
	Told          netip.AddrPort // the client as a PROXY header told it; zero: none did
	Endpoint      netip.AddrPort // zero: none was reached
	Reason        Reason
	Begin, End    time.Time
	In, Out       int64 // bytes from and to the client
}

// Config is how a Balancer treats targets. Zero fields have the values of the
// comments; a negative Interval turns the checks off.
type Config struct {
	Dial      time.Duration // longest wait for a connection to a target: 5 s
	Down      time.Duration // how long a target is avoided after a connection to it failed: 2 s
	Interval  time.Duration // between two checks of a target: 1 s
	Timeout   time.Duration // longest wait of a check: 1 s
	Healthy   int           // checks in a row that bring a target back: 2
	Unhealthy int           // failed checks in a row that take a target out: 6
	Lull      time.Duration // how long a silent connection keeps its coroutines: 1 s
}

// fill puts the usual values where none are.
func (c Config) fill() Config {
	set := func(d *time.Duration, usual time.Duration) {
		if *d == 0 {
			*d = usual
		}
	}
	set(&c.Dial, 5*time.Second)
	set(&c.Down, 2*time.Second)
	set(&c.Interval, time.Second)
	set(&c.Timeout, time.Second)
	set(&c.Lull, time.Second)
	if c.Healthy <= 0 {
		c.Healthy = 2
	}
	if c.Unhealthy <= 0 {
		c.Unhealthy = 6
	}
	return c
}

// PortError says why one port is not balanced. The others are.
type PortError struct {
	Key    string
	Listen netip.AddrPort
	Err    error
}

// Error returns the key and what went wrong.
func (e PortError) Error() string { return fmt.Sprintf("%s: %v", e.Key, e.Err) }

// Unwrap returns what went wrong.
func (e PortError) Unwrap() error { return e.Err }

// Reason is why a connection ended.
type Reason uint8

// The reasons.
const (
	Done     Reason = iota // both sides ended it
	Client                 // the client broke it off
	Server                 // the target broke it off
	Idle                   // silent for too long
	Source                 // the client's address is not let in
	NoTarget               // there is no target
	Connect                // no target could be reached
	Drained                // the Balancer was closed
	Header                 // the PROXY header was missing or wrong
	Evicted                // too many sessions: this one was silent for longest
	reasons
)

// String returns the reason's name, as metrics have it.
func (r Reason) String() string {
	return [...]string{"done", "client", "target", "idle", "source", "no_target", "connect", "drained", "proxy_header", "evicted"}[r]
}

// Stats is what a Balancer does, at one moment.
type Stats struct {
	Open     int64         // connections
	Ports    []PortStats   // sorted by Key
	Passages []PortStats   // likewise; their connections were accepted elsewhere
	Targets  []TargetStats // sorted by Address
}

// PortStats is the numbers of one port since it is listened on.
type PortStats struct {
	Key      string
	Listen   netip.AddrPort // with the port that was taken
	Targets  int
	Open     int64
	Accepted uint64
	In, Out  uint64            // bytes from and to clients, of connections that have ended
	Closed   map[string]uint64 // connections by the Reason they ended for
}

// TargetStats is the state of one target.
type TargetStats struct {
	Address netip.AddrPort
	Up      bool
	Open    int64  // connections
	Failed  uint64 // connections that could not be made
}
