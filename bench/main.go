// Command bench measures what a request costs: CPU time of the proxy's process for
// each request, ours beside Go's ReverseProxy and, where it is installed, nginx, in
// one run on one machine. Rounds are interleaved, so that noise of the machine hits
// all alike; the ratio of each round is what counts, not the absolute time.
//
// It starts an origin, every proxy with one core's worth of Go or one worker, and a
// closed loop of keep-alive connections, all on loopback, and ends by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"
)

var (
	conns  = flag.Int("conns", 64, "keep-alive connections of the load")
	slice  = flag.Duration("slice", time.Second, "how long one proxy is loaded in a round")
	rounds = flag.Int("rounds", 7, "rounds; each loads every proxy once")
	limit  = flag.Float64("limit", 0, "fail when ours costs more than this many times Go's ReverseProxy")
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "reverseproxy" {
		reverseProxy(os.Args[2], os.Args[3])
		return
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := bench(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// sample is one proxy under load for one slice.
type sample struct {
	cpu  time.Duration // of the proxy, for each request
	rate float64       // requests per second
	p99  time.Duration
}

func bench(ctx context.Context) error {
	origin, err := startOrigin()
	if err != nil {
		return err
	}
	defer origin.Close()
	dir, err := os.MkdirTemp("", "pierhead-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	proxies, err := startProxies(ctx, dir, origin.Addr().String())
	defer func() {
		for _, p := range proxies {
			p.stop()
		}
	}()
	if err != nil {
		return err
	}
	samples := map[string][]sample{}
	for r := 0; r < *rounds; r++ {
		for _, p := range proxies {
			s, err := measure(ctx, p)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			if r > 0 { // the first round warms up
				samples[p.name] = append(samples[p.name], s)
			}
			fmt.Fprintf(os.Stderr, "round %d/%d %-12s %6.1f us CPU/request %8.0f requests/s\n", r+1, *rounds, p.name, us(s.cpu), s.rate)
		}
	}
	return report(proxies, samples)
}

// measure loads one proxy for a slice.
func measure(ctx context.Context, p *proxy) (sample, error) {
	before, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	res, err := load(ctx, p.addr, *conns, *slice)
	if err != nil {
		return sample{}, err
	}
	after, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	if res.failed > 0 || res.done == 0 {
		return sample{}, fmt.Errorf("%d of %d requests failed", res.failed, res.done+res.failed)
	}
	return sample{(after - before) / time.Duration(res.done), float64(res.done) / res.took.Seconds(), res.p99}, nil
}

// report prints medians and, for each round, the ratio to Go's ReverseProxy.
func report(proxies []*proxy, samples map[string][]sample) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "proxy\tCPU us/request\trequests/s\tp99 ms\tratio to ReverseProxy (median, min-max)\t")
	base := samples["reverseproxy"]
	var ours float64
	for _, p := range proxies {
		s := samples[p.name]
		var ratios, cpu, rate, p99 []float64
		for i := range s {
			ratios = append(ratios, float64(s[i].cpu)/float64(base[i].cpu))
			cpu, rate, p99 = append(cpu, us(s[i].cpu)), append(rate, s[i].rate), append(p99, float64(s[i].p99)/1e6)
		}
		m := median(ratios)
		if p.name == "pierhead" {
			ours = m
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.0f\t%.2f\t%.2f (%.2f-%.2f)\t\n", p.name, median(cpu), median(rate), median(p99), m, slices.Min(ratios), slices.Max(ratios))
	}
	w.Flush()
	if *limit > 0 && ours > *limit {
		return fmt.Errorf("one request costs %.2f of ReverseProxy's CPU, the limit is %.2f", ours, *limit)
	}
	return nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	return s[len(s)/2]
}

func us(d time.Duration) float64 { return float64(d) / 1e3 }
