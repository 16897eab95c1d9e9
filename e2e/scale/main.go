// Command scale measures Pierhead in a real cluster that holds many objects, and prints
// what it found beside what is asked for: make bench-scale.
//
// It fills a cluster of its own (objects.go says with what, fill.go how), starts the
// controller (start.go), changes things and looks how long that takes and what it costs
// (ingress.go, endpoints.go, cost.go, webhook.go), and writes a table (table.go). The cluster is
// thrown away at the end.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
	"github.com/pierhead/pierhead/e2e/cluster"
)

// size says how much there is.
type size struct {
	ingresses, namespaces, changes, starts int
	perSecond                              int // requests beside the changes
	idle                                   time.Duration
	published                              bool // the Ingresses have their address from the beginning
}

func main() {
	var s size
	flag.IntVar(&s.ingresses, "ingresses", 10000, "Ingresses, each with a Service and an EndpointSlice of five endpoints")
	flag.IntVar(&s.namespaces, "namespaces", 2000, "namespaces they are in")
	flag.IntVar(&s.changes, "changes", 100, "how often each change is measured")
	flag.IntVar(&s.starts, "starts", 3, "how often the controller is started")
	flag.IntVar(&s.perSecond, "requests", 300, "requests a second beside the changes")
	flag.DurationVar(&s.idle, "idle", 30*time.Second, "how long the idle controller is looked at")
	flag.BoolVar(&s.published, "published", false, "give Ingresses their address before the controller does, which takes minutes")
	out := flag.String("o", "", "`file` that gets the table too")
	profiles := flag.String("profiles", "", "`folder` that gets heap and CPU profiles")
	again := flag.Bool("again", false, "build the controller and measure it again whenever a line comes on standard input")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, s, *out, *profiles, *again); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		cancel()
		os.Exit(1)
	}
}

// measure is one run.
type measure struct {
	*bed.Bed
	size
	pod      *bed.Pod // of the controller
	idleCPU  float64  // cores
	loadCPU  float64  // cores, with requests
	profiles string
	address  string // that Ingresses have from the beginning; "": none
	table    table
	round    int // of measuring
}

// named makes a name of its own in each round.
func (m *measure) named(name string) string { return fmt.Sprintf("%s-%d", name, m.round) }

func run(ctx context.Context, s size, out, profiles string, again bool) (err error) {
	b, err := bed.Start(ctx, bed.IngressNginx(), cluster.Options{})
	if b != nil {
		defer func() {
			if e := b.Close(); err == nil {
				err = e
			}
		}()
	}
	if err != nil {
		return err
	}
	m := &measure{Bed: b, size: s, profiles: profiles}
	if err := m.do(ctx, []step{
		{"no controller runs while the cluster is filled", func(ctx context.Context) error { return m.replicas(ctx, 0) }},
		{"the controller gets a webhook", m.withWebhook},
		{"fill the cluster", m.fill},
	}); err != nil {
		return err
	}
	for line := bufio.NewScanner(os.Stdin); ; {
		if err := m.all(ctx, out); err != nil || !again {
			return err
		}
		fmt.Fprintln(os.Stderr, "measures again when a line comes")
		if !line.Scan() {
			return line.Err()
		}
		if err := m.Rebuild(ctx); err != nil {
			return err
		}
	}
}

// step is a part of a run.
type step struct {
	what string
	do   func(context.Context) error
}

func (m *measure) do(ctx context.Context, steps []step) error {
	for _, s := range steps {
		begun := time.Now()
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %s\n", s.what, time.Since(begun).Round(100*time.Millisecond))
	}
	return nil
}

// all measures everything and prints the table.
func (m *measure) all(ctx context.Context, out string) error {
	m.table.rows = nil
	m.round++
	if err := m.do(ctx, []step{
		{"start the controller", m.start},
		{"settle", m.settle},
		{"new Ingresses", m.newIngresses},
		{"new Ingresses by kubectl", m.byKubectl},
		{"other endpoints", m.otherEndpoints},
		{"CPU per change", m.cost},
		{"changes under load", m.underLoad},
		{"the webhook", m.webhook},
		{"memory at the end", m.atEnd},
	}); err != nil {
		return err
	}
	text := m.table.text()
	fmt.Print(text)
	if out != "" {
		return os.WriteFile(out, []byte(text), 0o644)
	}
	return nil
}

// profile stores a profile, when that is asked for.
func (m *measure) profile(ctx context.Context, kind, name string) error {
	if m.profiles == "" {
		return nil
	}
	return m.pod.Profile(ctx, kind, filepath.Join(m.profiles, name))
}

// sleep waits, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
