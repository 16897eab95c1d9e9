package upstream

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"

	"github.com/pierhead/pierhead/internal/exchange"
)

// pickSticky chooses by the key of the client's cookie, and tells in x.Affinity what
// the cookie has to be. A client without a key, or whose endpoint is gone, gets a new
// one, away from what x tried already. An endpoint that drains keeps its sessions for as
// long as it answers, and gets no new one.
func (p *Pool) pickSticky(v *view, x *exchange.Exchange) *Endpoint {
	a := &x.Affinity
	if a.Key != "" {
		if e := v.find(a.Key); e != nil && !(v.drains(e) && tried(x, e)) {
			a.Picked, a.Fresh = a.Key, false
			return e
		}
	}
	a.Fresh = true
	if v.digests != nil {
		e := p.next(v, x)
		a.Picked = e.digest
		return e
	}
	const attempts = 20 // nginx's
	var e *Endpoint
	for range attempts {
		b := appendKey(x.Bytes())
		if e = v.ring.find(hashBytes(b)); !tried(x, e) && !v.drains(e) {
			a.Picked = x.Text(b)
			return e
		}
		a.Picked = ""
	}
	return p.keyFor(v, x, e)
}

// drains reports whether e is about to end.
func (v *view) drains(e *Endpoint) bool {
	return len(v.draining) > 0 && slices.Contains(v.draining, e)
}

// keyFor answers when every new key led to an endpoint that was tried already, last:
// an untried one when there is any, although no key leads to it.
func (p *Pool) keyFor(v *view, x *exchange.Exchange, last *Endpoint) *Endpoint {
	if e := p.next(v, x); !tried(x, e) {
		x.Affinity.Fresh = false
		return e
	}
	x.Affinity.Fresh = false
	return last
}

// find returns the endpoint that a key stands for, or nil.
func (v *view) find(key string) *Endpoint {
	if v.digests != nil {
		return v.digests[key]
	}
	return v.ring.find(hashString(key))
}

// appendKey appends 32 random hexadecimal digits.
func appendKey(b []byte) []byte {
	for range 2 {
		for n, i := rand.Uint64(), 0; i < 16; i, n = i+1, n>>4 {
			b = append(b, "0123456789abcdef"[n&15])
		}
	}
	return b
}

// digest is the key of an endpoint in mode "persistent": the same in every process.
func digest(pool string, addr netip.AddrPort) string {
	sum := sha256.Sum256([]byte(pool + " " + addr.String()))
	return hex.EncodeToString(sum[:16])
}

// ring is a consistent hash: each endpoint has points on a circle of numbers, and a
// key belongs to the first point at or after its own number. When one of n endpoints
// comes or goes, one n-th of the keys move.
type ring []point

type point struct {
	at uint64
	e  *Endpoint
}

const pointsPerEndpoint = 160

func newRing(endpoints []*Endpoint) ring {
	r := make(ring, 0, len(endpoints)*pointsPerEndpoint)
	for _, e := range endpoints {
		b := append(e.addr.AppendTo(nil), '#')
		for i := range pointsPerEndpoint {
			r = append(r, point{hashBytes(strconv.AppendInt(b, int64(i), 10)), e})
		}
	}
	slices.SortFunc(r, func(a, b point) int { return cmp.Or(cmp.Compare(a.at, b.at), a.e.addr.Compare(b.e.addr)) })
	return r
}

// find returns the endpoint of a number, or nil on an empty ring.
func (r ring) find(at uint64) *Endpoint {
	if len(r) == 0 {
		return nil
	}
	lo, hi := 0, len(r)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); r[mid].at < at {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(r) {
		lo = 0
	}
	return r[lo].e
}

// hashString and hashBytes are 64-bit FNV-1a with a final mix (that of splitmix64), so
// that close texts lie far apart. Every process gives the same numbers.
func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

func hashBytes(s []byte) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
