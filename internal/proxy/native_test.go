package proxy

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TestNative compares native histograms with those of client_golang: the same values give
// the same buckets, also where there are too many of them.
func TestNative(t *testing.T) {
	for _, c := range []struct {
		factor float64
		most   int
	}{{1.1, 100}, {1.01, 20}, {2, 100}, {4, 0}, {1.0001, 160}, {65536, 10}, {1e9, 4}} {
		theirs := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", NativeHistogramBucketFactor: c.factor, NativeHistogramMaxBucketNumber: uint32(c.most)})
		ours := newNative(c.factor, c.most)
		r := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			v := math.Exp(r.NormFloat64()*2 - 4)
			switch r.IntN(20) {
			case 0:
				v = 0
			case 1:
				v = math.Ldexp(1, r.IntN(12)-6) // a bound itself
			}
			theirs.Observe(v)
			ours.observe(v)
			if c.most > 0 && len(ours.Buckets) > c.most && ours.Schema > coarsest {
				t.Fatalf("%+v: %d buckets", c, len(ours.Buckets))
			}
		}
		var m dto.Metric
		if err := theirs.Write(&m); err != nil {
			t.Fatal(err)
		}
		h := m.Histogram
		want := map[int32]uint64{}
		index, n := int32(0), int64(0)
		deltas := h.PositiveDelta
		for _, span := range h.PositiveSpan {
			index += span.GetOffset()
			for range span.GetLength() {
				n += deltas[0]
				deltas = deltas[1:]
				if n > 0 {
					want[index] = uint64(n)
				}
				index++
			}
		}
		got := map[int32]uint64{}
		for _, b := range ours.Buckets {
			got[b.Index] = b.N
		}
		if ours.Schema != h.GetSchema() || ours.Zero != h.GetZeroCount() || len(got) != len(want) {
			t.Fatalf("%+v: schema %d, zero %d, %d buckets; client_golang has %d, %d, %d", c, ours.Schema, ours.Zero, len(got), h.GetSchema(), h.GetZeroCount(), len(want))
		}
		for i, n := range want {
			if got[i] != n {
				t.Errorf("%+v: bucket %d counts %d, client_golang's %d", c, i, got[i], n)
			}
		}
	}
}

// TestNativeAdd: the sum of two is what one of both would be, whatever their resolution.
func TestNativeAdd(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		a, b, both := newNative(1.05, 30), newNative(1.05, 30), newNative(1.05, 30)
		for range 1 + r.IntN(200) {
			v := math.Exp(r.NormFloat64())
			a.observe(v)
			both.observe(v)
		}
		for range r.IntN(200) {
			v := math.Exp(r.NormFloat64()*5 + 3)
			b.observe(v)
			both.observe(v)
		}
		a.add(b)
		for a.Schema > both.Schema {
			a.widen()
		}
		for both.Schema > a.Schema {
			both.widen()
		}
		if len(a.Buckets) != len(both.Buckets) {
			t.Fatalf("%v\n%v", a, both)
		}
		for i := range a.Buckets {
			if a.Buckets[i] != both.Buckets[i] {
				t.Fatalf("%v\n%v", a, both)
			}
		}
	}
}
