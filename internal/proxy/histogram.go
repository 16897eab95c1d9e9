package proxy

import "time"

// The upper bounds of buckets that ingress-nginx has by default, and dashboards expect:
// of durations in seconds, of requests and of answers in bytes.
var (
	durationBounds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	lengthBounds   = []float64{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}
	sizeBounds     = []float64{10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000}
)

// Histogram counts values by bucket. Bucket i counts what is at most Bounds[i] and more
// than the bound before; the last one counts the rest.
type Histogram struct {
	Bounds    []float64 // ascending
	Buckets   []uint64  // one more than Bounds
	Count     uint64
	Sum       float64
	Native    *Native    // nil: there is none
	Exemplars []Exemplar // the last one by bucket; nil: none are kept
}

func (h *Histogram) observe(v float64) (bucket int) {
	i := 0
	for i < len(h.Bounds) && v > h.Bounds[i] {
		i++
	}
	h.Buckets[i]++
	h.Count++
	h.Sum += v
	if h.Native != nil {
		h.Native.observe(v)
	}
	return i
}

// add adds a histogram with the same bounds.
func (h *Histogram) add(o *Histogram) {
	for i, n := range o.Buckets {
		h.Buckets[i] += n
	}
	h.Count += o.Count
	h.Sum += o.Sum
	if h.Native != nil {
		h.Native.add(o.Native)
	}
	if h.Exemplars == nil {
		h.Exemplars = append(h.Exemplars, o.Exemplars...)
		return
	}
	for i := range o.Exemplars {
		if o.Exemplars[i].At > h.Exemplars[i].At {
			h.Exemplars[i] = o.Exemplars[i]
		}
	}
}

// clone returns a copy that shares nothing that changes.
func (h *Histogram) clone() Histogram {
	c := Histogram{Bounds: h.Bounds, Buckets: make([]uint64, len(h.Buckets))}
	if h.Native != nil {
		c.Native = h.Native.empty()
	}
	c.add(h)
	return c
}

// Exemplar is the request that fell into a bucket last.
type Exemplar struct {
	Value float64
	At    int64 // Unix time in nanoseconds; 0: there is none
	id    [39]byte
	n     uint8
}

// RequestID returns the ID of the request.
func (e *Exemplar) RequestID() string { return string(e.id[:e.n]) }

// keepExemplar notes a request for its bucket. An ID that is longer than a UUID, or
// holds other than letters, digits, "-", "_", "." and ":", is a client's own and is left
// out.
func (h *Histogram) keepExemplar(bucket int, v float64, id string, at time.Time) {
	var e Exemplar
	if id == "" || len(id) > len(e.id) {
		return
	}
	for i := 0; i < len(id); i++ {
		if !idBytes[id[i]] {
			return
		}
	}
	if h.Exemplars == nil {
		h.Exemplars = make([]Exemplar, len(h.Buckets))
	}
	e.Value, e.At, e.n = v, at.UnixNano(), uint8(len(id))
	copy(e.id[:], id)
	h.Exemplars[bucket] = e
}

var idBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == ':'
	}
	return t
}()
