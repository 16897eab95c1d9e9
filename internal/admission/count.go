package admission

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pierhead/pierhead/internal/translate"
)

// Sample is the value of one metric of ingress-nginx, whose name has the prefix
// nginx_ingress_controller_ there.
type Sample struct {
	Name               string
	Counter            bool   // else a gauge
	Namespace, Ingress string // labels of the counters
	Value              float64
}

// counts counts answers. Gauges are those of the last Ingress that was translated.
type counts struct {
	mu     sync.Mutex
	of     map[string]*count // by namespace/name
	looked int
	took   time.Duration
}

type count struct {
	accepted, refused uint64
	last              time.Time
}

// Counters of names that nothing has are kept for a while, and not more than a number of
// them: whoever asks for ever new names must not use up our memory.
const (
	keptFor  = time.Hour
	mostKept = 50_000
)

func newCounts() counts { return counts{of: map[string]*count{}} }

// add counts one answer.
func (c *counts) add(name string, v verdict, now time.Time) {
	if !v.ours && v.denied == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.of[name]
	if n == nil {
		if len(c.of) >= mostKept {
			clear(c.of) // counters begin anew, as after a restart
		}
		n = &count{}
		c.of[name] = n
	}
	n.last = now
	if v.denied != "" {
		n.refused++
	} else {
		n.accepted++
	}
	if v.looked > 0 {
		c.looked, c.took = v.looked, v.took
	}
}

// Snapshot returns the metrics of the webhook. Counters of Ingresses that are long gone
// are forgotten.
func (s *Server) Snapshot() []Sample {
	now := s.opt.Now()
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	s.opt.View(func(o *translate.Objects) {
		maps.DeleteFunc(s.counts.of, func(key string, n *count) bool {
			ns, name, _ := strings.Cut(key, "/")
			return now.Sub(n.last) > keptFor && !o.Stored(ns, name)
		})
	})
	took := s.counts.took.Seconds()
	all := []Sample{
		{Name: "admission_tested_ingresses", Value: float64(s.counts.looked)},
		{Name: "admission_tested_duration", Value: took},
		{Name: "admission_render_ingresses"}, // nothing is rendered
		{Name: "admission_render_duration"},
		{Name: "admission_config_size"},
		{Name: "admission_roundtrip_duration", Value: took},
	}
	for _, key := range slices.Sorted(maps.Keys(s.counts.of)) {
		ns, name, _ := strings.Cut(key, "/")
		n := s.counts.of[key]
		if n.accepted > 0 {
			all = append(all, Sample{"check_success", true, ns, name, float64(n.accepted)})
		}
		if n.refused > 0 {
			all = append(all, Sample{"check_errors", true, ns, name, float64(n.refused)})
		}
	}
	return all
}
