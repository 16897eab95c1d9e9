//go:build linux

// Command bench measures what a request costs: CPU time of the proxy's processes for each
// request, Pierhead beside nginx, HAProxy, Caddy and Go's ReverseProxy, in one run on one
// machine. Rounds are interleaved, so that noise of the machine hits all alike, and the
// ratio of each round is what counts, not the absolute time.
//
// Every proxy has one core to itself, the load and the origin share another; all of it is
// on loopback and ends by itself. docs/performance.md tells how to read the table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	slice   = flag.Duration("slice", time.Second, "how long one proxy is loaded in a round, in whole seconds")
	rounds  = flag.Int("rounds", 7, "rounds that count; each loads every proxy once")
	only    = flag.String("only", "", "run only these workloads, by name, with commas between")
	against = flag.String("against", "", "run only the contestants whose names match this regular expression, beside the one that ratios are to")
	results = flag.String("results", "bench/results", "folder for the table and the chart; empty: print only")
	binary  = flag.String("binary", "", "the pierhead to measure; empty: build it")
	list    = flag.Bool("list", false, "list the workloads")
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	raiseFiles()
	if len(os.Args) > 1 {
		switch args := os.Args[2:]; os.Args[1] {
		case "origin":
			return serveOrigin(args)
		case "soak":
			return runSoak(args)
		case "slow":
			return runSlow(args)
		case "slowclients":
			return serveSlow(args)
		case "reverseproxy":
			return serveReverseProxy(args)
		default:
			if f := loads[os.Args[1]]; f != nil {
				return runLoad(f, args)
			}
		}
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	names := strings.Split(*only, ",")
	var chosen []workload
	for _, w := range workloads() {
		if *only == "" || slices.Contains(names, w.name) {
			chosen = append(chosen, w)
		}
	}
	if *list {
		for _, w := range chosen {
			fmt.Printf("%-16s %s\n", w.name, w.what)
		}
		return nil
	}
	if len(chosen) == 0 {
		return fmt.Errorf("-only %q names no workload; -list tells their names", *only)
	}
	return measure(ctx, chosen)
}

// bench is one run.
type bench struct {
	ctx         context.Context
	dir         string // temporary
	cache       string // for what is built once
	self        string
	binary      string // of Pierhead
	caddyBinary string
	cert        *certificate
	origin      origins
	output      *os.File // where the next process prints, if not to its log
	peak        float64  // requests per second that nginx can do
}

// sample is one contestant under one load for one slice.
type sample struct {
	figure   float64
	resident int64
	busy     float64 // share of the slice that the proxy ran
	result   result
}

// outcome is what a workload came to: samples of the same index are of the same round.
type outcome struct {
	workload
	samples map[string][]sample
	failed  map[string]string // why a contestant has none
}

func measure(ctx context.Context, chosen []workload) error {
	b, err := newBench(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	o, err := b.startOrigin()
	if err != nil {
		return err
	}
	defer o.stop()
	var outcomes []outcome
	for i, w := range chosen {
		fmt.Fprintf(os.Stderr, "%d/%d %s: %s\n", i+1, len(chosen), w.name, w.what)
		out, err := b.measure(w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		outcomes = append(outcomes, out)
	}
	return report(outcomes, *results)
}

func newBench(ctx context.Context) (*bench, error) {
	for _, tool := range []string{"wrk", "h2load", "nginx", "haproxy"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%s is not installed; make bench installs it", tool)
		}
	}
	b := &bench{ctx: ctx, binary: *binary}
	var err error
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	b.cache = filepath.Join(cache, "pierhead", "bench")
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "pierhead-bench-"); err != nil {
		return nil, err
	}
	if b.binary == "" {
		b.binary = filepath.Join(b.dir, "pierhead")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.binary, "github.com/pierhead/pierhead/cmd/pierhead").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	b.cert, err = makeCertificate(b.dir)
	return b, err
}

// measure runs one workload: all contestants are up at once, and take turns.
func (b *bench) measure(w workload) (outcome, error) {
	if w.unit == "" {
		w.unit = perRequest
	}
	if w.base == "" {
		w.base = "nginx"
	}
	out := outcome{w, map[string][]sample{}, map[string]string{}}
	targets := map[string]*target{}
	defer func() {
		for _, t := range targets {
			t.stop()
		}
	}()
	wanted := regexp.MustCompile(*against)
	for _, c := range w.who {
		if c.name != w.base && !wanted.MatchString(c.name) {
			continue
		}
		t, err := c.start(b, c.name, c.setup)
		if err != nil {
			return out, err
		}
		targets[c.name] = t
	}
	n := *rounds
	if w.absolute || strings.HasPrefix(w.name, "idle") {
		n = 1
	}
	for r := -1; r < n; r++ { // the first round warms up
		for _, c := range w.who {
			t := targets[c.name]
			if t == nil || out.failed[c.name] != "" || r < 0 && n == 1 {
				continue
			}
			s, err := b.sample(w, t)
			for again := 0; err != nil && again < 2 && b.ctx.Err() == nil; again++ {
				fmt.Fprintf(os.Stderr, "  %s: %.300s: once more\n", c.name, err.Error())
				s, err = b.sample(w, t)
			}
			if b.ctx.Err() != nil {
				return out, errors.New("interrupted")
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "  %s: %v\n", c.name, err)
				out.failed[c.name] = err.Error()
				continue
			}
			if r >= 0 {
				out.samples[c.name] = append(out.samples[c.name], s)
				fmt.Fprintf(os.Stderr, "  round %d/%d %-20s %8.1f %s\n", r+1, n, c.name, s.figure, w.unit)
			}
		}
	}
	return out, nil
}

// sample loads one contestant for a slice.
func (b *bench) sample(w workload, t *target) (sample, error) {
	if w.figure != nil {
		return w.figure(b, t, *slice)
	}
	before, err := t.cpu()
	if err != nil {
		return sample{}, err
	}
	r, err := w.load(b, t, *slice)
	if err != nil {
		return sample{}, err
	}
	after, err := t.cpu()
	if err != nil {
		return sample{}, err
	}
	if r.Failed > 0 || r.Done == 0 {
		return sample{}, fmt.Errorf("%d of %d failed", r.Failed, r.Done+r.Failed)
	}
	spent := after - before
	return sample{float64(spent) / 1e3 / float64(r.Done), t.resident(), spent.Seconds() / r.Took.Seconds(), r}, nil
}
