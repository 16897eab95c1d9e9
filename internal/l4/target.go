package l4

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// target is one address that connections go to. All ports that name it share it, so
// what one learns of its health the others know.
type target struct {
	addr      netip.AddrPort
	seed      uint64       // of the affinity hash
	avoid     atomic.Int64 // until when, in Unix nanoseconds, after a failed connection
	unhealthy atomic.Bool  // the checks say so
	open      atomic.Int64
	failed    atomic.Uint64

	// Of the checks alone, which run on one loop.
	checking  bool
	good, bad int
}

func newTarget(addr netip.AddrPort) *target {
	b := addr.Addr().As16()
	seed := mix(binary.BigEndian.Uint64(b[:8]))
	seed = mix(seed ^ binary.BigEndian.Uint64(b[8:]))
	return &target{addr: addr, seed: mix(seed ^ uint64(addr.Port()))}
}

// up reports whether connections should go to the target.
func (t *target) up(now time.Time) bool {
	return !t.unhealthy.Load() && t.avoid.Load() <= now.UnixNano()
}

// lost notes that a connection to the target failed.
func (t *target) lost(now time.Time, avoid time.Duration) {
	t.failed.Add(1)
	t.avoid.Store(now.Add(avoid).UnixNano())
}

// checked notes the result of a check.
func (t *target) checked(ok bool, healthy, unhealthy int) {
	if ok {
		t.good, t.bad = t.good+1, 0
		if t.good >= healthy && t.unhealthy.Load() {
			t.unhealthy.Store(false)
			t.avoid.Store(0)
		}
		return
	}
	t.good, t.bad = 0, t.bad+1
	if t.bad >= unhealthy {
		t.unhealthy.Store(true)
	}
}

// route is where the connections of a port go and how. It is replaced, not changed.
type route struct {
	key     string
	targets []*target
	Options
}

// admits reports whether a client may connect.
func (r *route) admits(client netip.Addr) bool {
	if len(r.Sources) == 0 {
		return true
	}
	client = client.WithZone("")
	return slices.ContainsFunc(r.Sources, func(p netip.Prefix) bool { return p.Contains(client) })
}

// attempts is a set of the targets that were tried for one connection, by number. A
// number that it has no room for counts as never tried.
type attempts [4]uint64

func (a *attempts) has(i int) bool { return i/64 < len(a) && a[i/64]&(1<<(i%64)) != 0 }

func (a *attempts) add(i int) {
	if i/64 < len(a) {
		a[i/64] |= 1 << (i % 64)
	}
}

// pick returns the number of the target that is tried next: the first one in the
// client's order that is up, or if none is, the first one that was not tried. Better
// a target that is said to be down than no answer at all.
func (r *route) pick(tried *attempts, client netip.Addr, turn uint32, now time.Time) int {
	up, any := -1, -1
	var upRank, anyRank uint64
	n := uint64(len(r.targets))
	from := hashAddr(client)
	for i, t := range r.targets {
		if tried.has(i) {
			continue
		}
		// The highest rank is first.
		rank := n - (uint64(i)+n-uint64(turn)%n)%n
		if r.Affinity {
			rank = mix(from ^ t.seed)
		}
		if any < 0 || rank > anyRank {
			any, anyRank = i, rank
		}
		if t.up(now) && (up < 0 || rank > upRank) {
			up, upRank = i, rank
		}
	}
	if up >= 0 {
		return up
	}
	return any
}

// hashAddr returns a number that only depends on the address.
func hashAddr(a netip.Addr) uint64 {
	b := a.As16()
	return mix(mix(binary.BigEndian.Uint64(b[:8])) ^ binary.BigEndian.Uint64(b[8:]))
}

// mix spreads the bits of x over the whole number (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
