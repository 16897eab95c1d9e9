//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report prints the table and leaves it, with a chart, in a folder.
func report(outcomes []outcome, folder string) error {
	text := goals(outcomes) + "\n" + details(outcomes)
	fmt.Print(text)
	if folder == "" {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "bench.md"), []byte("# Cost beside the peers\n\n"+machine()+"\n"+text), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "bench.svg"), []byte(chart(outcomes)), 0o644)
}

// goals is a row for each workload: the figure of the base, the goal, and for each
// contestant the ratio to the base.
func goals(outcomes []outcome) string {
	names := []string{"pierhead", "haproxy", "caddy", "reverseproxy"}
	var w strings.Builder
	fmt.Fprintln(&w, "| workload | what | nginx | goal | pierhead | haproxy | caddy | ReverseProxy |\n|---|---|---|---|---|---|---|---|")
	for _, o := range outcomes {
		if o.base != "nginx" {
			continue
		}
		fmt.Fprintf(&w, "| %s | %s | %s %s | %s |", o.name, o.what, figure(o.median("nginx")), o.unit, o.goalText())
		for _, name := range names {
			fmt.Fprintf(&w, " %s |", o.cell(name))
		}
		fmt.Fprintln(&w)
	}
	for _, o := range outcomes {
		if o.base == "nginx" {
			continue
		}
		goal := ""
		if o.goal > 0 {
			goal = ", goal " + o.goalText()
		}
		fmt.Fprintf(&w, "\n%s (%s), beside %s with %s %s%s:\n\n", o.name, o.what, o.base, figure(o.median(o.base)), o.unit, goal)
		for _, c := range o.who {
			if c.name != o.base {
				fmt.Fprintf(&w, "- %s: %s\n", c.name, o.cell(c.name))
			}
		}
	}
	return w.String()
}

func (o *outcome) goalText() string {
	switch {
	case o.goal == 0:
		return ""
	case o.absolute:
		return fmt.Sprintf("≤ %.0f %s", o.goal, o.unit)
	}
	return fmt.Sprintf("≤ %.2f", o.goal)
}

// cell is the ratio of a contestant with its spread; in bold where Pierhead misses the
// goal.
func (o *outcome) cell(name string) string {
	if o.failed[name] != "" {
		return "failed"
	}
	ratios := o.ratios(name)
	if len(ratios) == 0 {
		return ""
	}
	text, missed := "", false
	if o.absolute {
		text = fmt.Sprintf("%s (%.2f)", figure(o.median(name)), median(ratios))
		missed = o.median(name) > o.goal
	} else {
		text = fmt.Sprintf("%.2f (%.2f–%.2f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
		missed = o.goal > 0 && median(ratios) > o.goal
	}
	if missed && strings.HasPrefix(name, "pierhead") {
		return "**" + text + "**"
	}
	return text
}

// ratios returns, for each round, the figure of a contestant by that of the base.
func (o *outcome) ratios(name string) (ratios []float64) {
	base := o.samples[o.base]
	for i, s := range o.samples[name] {
		if i < len(base) && base[i].figure > 0 {
			ratios = append(ratios, s.figure/base[i].figure)
		}
	}
	return ratios
}

func (o *outcome) median(name string) float64 {
	return o.of(name, func(s sample) float64 { return s.figure })
}

// of returns the median of one number of a contestant's samples.
func (o *outcome) of(name string, f func(sample) float64) float64 {
	var v []float64
	for _, s := range o.samples[name] {
		v = append(v, f(s))
	}
	return median(v)
}

// details has all that was measured.
func details(outcomes []outcome) string {
	var w strings.Builder
	fmt.Fprintln(&w, "| workload | proxy | figure | per second | p50 ms | p99 ms | p99.9 ms | busy | MiB |\n|---|---|---|---|---|---|---|---|---|")
	for _, o := range outcomes {
		for _, c := range o.who {
			if len(o.samples[c.name]) == 0 {
				continue
			}
			ms := func(f func(result) time.Duration) string {
				return figure(o.of(c.name, func(s sample) float64 { return float64(f(s.result)) / 1e6 }))
			}
			rate := o.of(c.name, func(s sample) float64 { return float64(s.result.Done) / max(s.result.Took.Seconds(), 1e-9) })
			fmt.Fprintf(&w, "| %s | %s | %s %s | %.0f | %s | %s | %s | %.0f%% | %.0f |\n", o.name, c.name, figure(o.median(c.name)), o.unit, rate,
				ms(func(r result) time.Duration { return r.P50 }), ms(func(r result) time.Duration { return r.P99 }), ms(func(r result) time.Duration { return r.P999 }),
				100*o.of(c.name, func(s sample) float64 { return s.busy }), o.of(c.name, func(s sample) float64 { return float64(s.resident) })/(1<<20))
		}
	}
	return w.String()
}

// figure prints a number with three digits that count.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// machine tells what was measured where.
func machine() string {
	first := func(bin string, args ...string) string {
		out, _ := exec.Command(bin, args...).CombinedOutput()
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return line
	}
	cpu := "unknown processor"
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			cpu = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
			break
		}
	}
	version, _, _ := strings.Cut(first("haproxy", "-v"), " - ")
	return fmt.Sprintf("Made by `make bench` on %s, %d cores of %s, %s, beside %s and %s. %d rounds of %s; the ratio is the median over the rounds, with the least and the greatest. CPU is that of the proxy's processes, user and system.\n",
		time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), cpu, runtime.Version(), first("nginx", "-v"), version, *rounds, *slice)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	if len(s)%2 == 0 {
		return (s[len(s)/2-1] + s[len(s)/2]) / 2
	}
	return s[len(s)/2]
}
