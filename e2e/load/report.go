package load

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Row is what became of the requests of one kind.
type Row struct {
	Sent, Failed int
	Slowest      time.Duration
}

// Failure is one request that failed.
type Failure struct {
	Kind   string
	After  time.Duration // since the begin of the load, when it was sent
	Reason string
}

// Report is what became of a load.
type Report struct {
	Rows       map[string]Row
	Failures   []Failure // in the order in which they were sent
	Reconnects int       // WebSockets that the server ended in good order
	Took       time.Duration
}

type record struct {
	begin time.Time

	mu       sync.Mutex
	rows     map[string]*Row
	failures []Failure
	anew     int
}

// add counts a request that was sent at a time.
func (r *record) add(kind string, sent time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row := r.rows[kind]
	if row == nil {
		row = &Row{}
		r.rows[kind] = row
	}
	row.Sent++
	row.Slowest = max(row.Slowest, time.Since(sent))
	if err != nil {
		row.Failed++
		r.failures = append(r.failures, Failure{kind, sent.Sub(r.begin), err.Error()})
	}
}

func (r *record) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.anew++
}

func (r *record) sum() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range r.rows {
		n += row.Sent
	}
	return n
}

func (r *record) report() *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &Report{Rows: map[string]Row{}, Failures: slices.Clone(r.failures), Reconnects: r.anew, Took: time.Since(r.begin)}
	for kind, row := range r.rows {
		out.Rows[kind] = *row
	}
	slices.SortStableFunc(out.Failures, func(a, b Failure) int { return cmp.Compare(a.After, b.After) })
	return out
}

// Sent returns the number of all requests and messages.
func (r *Report) Sent() (n int) {
	for _, row := range r.Rows {
		n += row.Sent
	}
	return n
}

// String is a table, with the first failures below.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests and messages in %.1f s, %d failed, %d WebSockets ended by the server\n", r.Sent(), r.Took.Seconds(), len(r.Failures), r.Reconnects)
	for _, kind := range slices.Sorted(maps.Keys(r.Rows)) {
		row := r.Rows[kind]
		fmt.Fprintf(&b, "  %-14s %6d sent %4d failed, slowest %s\n", kind, row.Sent, row.Failed, row.Slowest.Round(time.Millisecond))
	}
	for i, f := range r.Failures {
		if i == 40 {
			fmt.Fprintf(&b, "  and %d more\n", len(r.Failures)-i)
			break
		}
		fmt.Fprintf(&b, "  after %.3f s, %s: %s\n", f.After.Seconds(), f.Kind, f.Reason)
	}
	return b.String()
}
