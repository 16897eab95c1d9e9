package proxy

import "time"

// DurationBounds are the upper bounds, in seconds, of the duration histograms:
// Prometheus' customary ones, which dashboards for ingress-nginx expect.
var DurationBounds = [...]float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// Histogram counts durations by bucket. Bucket i counts what is at most
// DurationBounds[i] and more than the bound before; the last one counts the rest.
type Histogram struct {
	Buckets [len(DurationBounds) + 1]uint64
	Count   uint64
	Sum     float64 // seconds
}

func (h *Histogram) observe(d time.Duration) {
	s := d.Seconds()
	i := 0
	for i < len(DurationBounds) && s > DurationBounds[i] {
		i++
	}
	h.Buckets[i]++
	h.Count++
	h.Sum += s
}

func (h *Histogram) add(o *Histogram) {
	for i, n := range o.Buckets {
		h.Buckets[i] += n
	}
	h.Count += o.Count
	h.Sum += o.Sum
}
