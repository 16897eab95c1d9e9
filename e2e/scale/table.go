package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// table is what was found.
type table struct {
	about []string // lines before the rows
	rows  []row
}

// row is one finding.
type row struct{ what, goal, figure, verdict string }

// add adds a finding without a goal.
func (t *table) add(what, figure string, args ...any) {
	t.rows = append(t.rows, row{what, "", fmt.Sprintf(figure, args...), ""})
}

// most adds a finding that must be less than a goal.
func (t *table) most(what string, goal, got float64, unit string, args ...any) {
	verdict := "met"
	if got >= goal {
		verdict = "missed"
	}
	t.rows = append(t.rows, row{what, fmt.Sprintf("< %.4g %s", goal, unit), fmt.Sprintf("%.3g %s%s", got, unit, fmt.Sprint(args...)), verdict})
}

// none adds a finding that must be nothing.
func (t *table) none(what string, got int, rest string) {
	verdict := "met"
	if got > 0 {
		verdict = "missed"
	}
	t.rows = append(t.rows, row{what, "0", fmt.Sprintf("%d%s", got, rest), verdict})
}

// text is the table in Markdown.
func (t *table) text() string {
	var b strings.Builder
	for _, line := range t.about {
		fmt.Fprintln(&b, line)
	}
	b.WriteString("\n| measured | goal | figure | |\n|---|---|---|---|\n")
	for _, r := range t.rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.what, r.goal, r.figure, r.verdict)
	}
	return b.String()
}

// times are durations of the same thing.
type times []time.Duration

// at returns the one that so large a share is not above.
func (ts times) at(share float64) time.Duration {
	if len(ts) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(ts))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// ms is a duration in milliseconds.
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// mib is a number of bytes in MiB.
func mib(n int64) float64 { return float64(n) / (1 << 20) }

// spread adds the median and the p99 of times, of which the latter has a goal.
func (t *table) spread(what string, goal float64, ts times) {
	t.add(what+", median", "%.3g ms", ms(ts.at(0.5)))
	if goal == 0 {
		t.add(what+", p99", "%.3g ms (%d times)", ms(ts.at(0.99)), len(ts))
		return
	}
	t.most(what+", p99", goal, ms(ts.at(0.99)), "ms", fmt.Sprintf(" (%d times)", len(ts)))
}
