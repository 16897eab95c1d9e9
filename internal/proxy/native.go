package proxy

import (
	"math"
	"slices"
)

// Native is the buckets of a native histogram of Prometheus: bucket i counts what is at
// most base^i and more than base^(i-1), with base = 2^(2^-Schema).
type Native struct {
	Schema  int32 // from -4 to 8
	Zero    uint64
	Buckets []NativeBucket // those that count something, by index

	most  int     // buckets; 0: any number
	scale float64 // 2^Schema
}

// NativeBucket is one bucket of Native.
type NativeBucket struct {
	Index int32
	N     uint64
}

// The bounds of Schema.
const (
	coarsest = -4
	finest   = 8
)

// newNative returns an empty histogram whose buckets grow by a factor, or by less, until
// there are more than so many of them: then neighbours become one.
func newNative(factor float64, most int) *Native {
	schema := -math.Floor(math.Log2(math.Log2(factor)))
	n := &Native{most: most}
	n.coarse(int32(min(max(schema, coarsest), finest)))
	return n
}

func (n *Native) empty() *Native {
	return &Native{Schema: n.Schema, scale: n.scale, most: n.most}
}

func (n *Native) coarse(schema int32) { n.Schema, n.scale = schema, math.Ldexp(1, int(schema)) }

// NativeZero is the bound of what counts as zero: Prometheus' usual one.
const NativeZero = 2.938735877055719e-39

func (n *Native) observe(v float64) {
	if v <= NativeZero {
		n.Zero++
		return
	}
	n.count(int32(math.Ceil(math.Log2(v)*n.scale)), 1)
	n.limit()
}

func (n *Native) count(index int32, by uint64) {
	i, found := slices.BinarySearchFunc(n.Buckets, index, func(b NativeBucket, index int32) int { return int(b.Index - index) })
	if !found {
		n.Buckets = slices.Insert(n.Buckets, i, NativeBucket{Index: index})
	}
	n.Buckets[i].N += by
}

// limit makes buckets wider while there are too many.
func (n *Native) limit() {
	for n.most > 0 && len(n.Buckets) > n.most && n.Schema > coarsest {
		n.widen()
	}
}

// widen makes two buckets one.
func (n *Native) widen() {
	n.coarse(n.Schema - 1)
	kept := n.Buckets[:0]
	for _, b := range n.Buckets {
		b.Index = (b.Index + 1) >> 1
		if last := len(kept) - 1; last >= 0 && kept[last].Index == b.Index {
			kept[last].N += b.N
			continue
		}
		kept = append(kept, b)
	}
	n.Buckets = kept
}

// add adds another one, whose buckets may be wider or narrower.
func (n *Native) add(o *Native) {
	for n.Schema > o.Schema {
		n.widen()
	}
	n.Zero += o.Zero
	for _, b := range o.Buckets {
		for s := o.Schema; s > n.Schema; s-- {
			b.Index = (b.Index + 1) >> 1
		}
		n.count(b.Index, b.N)
	}
	n.limit()
}
