package upstream

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
)

// ring is a consistent hash: each endpoint has points on a circle of numbers, and a
// key belongs to the first point at or after its own number. When one of n endpoints
// comes or goes, one n-th of the keys move.
type ring []point

type point struct {
	at uint64
	i  int // of what the point stands for
}

const pointsPerEndpoint = 160

// newRing makes the ring of n things. Name appends what a thing is known by.
func newRing(n int, name func(b []byte, i int) []byte) ring {
	r := make(ring, 0, n*pointsPerEndpoint)
	var b []byte
	for i := range n {
		b = append(name(b[:0], i), '#')
		for k := range pointsPerEndpoint {
			r = append(r, point{hashBytes(strconv.AppendInt(b, int64(k), 10)), i})
		}
	}
	slices.SortFunc(r, func(a, b point) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.i, b.i)) })
	return r
}

func ringOf(endpoints []*Endpoint) ring {
	return newRing(len(endpoints), func(b []byte, i int) []byte { return endpoints[i].addr.AppendTo(b) })
}

// find returns the place in r of the point that a number belongs to. The ring is not empty.
func (r ring) find(at uint64) int {
	lo, hi := 0, len(r)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); r[mid].at < at {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(r) {
		return 0
	}
	return lo
}

// at returns the endpoint of a number, or nil on an empty ring.
func (v *view) at(number uint64) *Endpoint {
	if len(v.ring) == 0 {
		return nil
	}
	return v.all[v.ring[v.ring.find(number)].i]
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

// hashed chooses by the text of upstream-hash-by: the endpoint that it belongs to or, while
// that is not taken, the next one on the ring. An empty text is a text as any other.
func (s *search) hashed() *Endpoint {
	v := s.v
	at := v.ring.find(hashBytes(v.key.Append(s.x.Bytes(), s.x)))
	for range v.ring {
		if v.sets == nil {
			if e := v.all[v.ring[at].i]; s.takes(e) {
				return e
			}
		} else if e := s.anyOf(v.sets[v.ring[at].i]); e != nil {
			return e
		}
		if at++; at == len(v.ring) {
			at = 0
		}
	}
	return nil
}

// anyOf chooses by chance among those that are taken.
func (s *search) anyOf(set []*Endpoint) *Endpoint {
	at := rand.IntN(len(set))
	for range set {
		if e := set[at]; s.takes(e) {
			return e
		}
		if at++; at == len(set) {
			at = 0
		}
	}
	return nil
}

// subsets divides endpoints, in their order, into sets of one size. The last one is filled
// up from the beginning.
func subsets(endpoints []*Endpoint, size int) [][]*Endpoint {
	n := len(endpoints)
	size = min(size, n)
	var sets [][]*Endpoint
	for from := 0; from < n; from += size {
		set := slices.Clone(endpoints[from:min(from+size, n)])
		sets = append(sets, append(set, endpoints[:size-len(set)]...))
	}
	return sets
}
