//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The slow clients of each kind, the honest requests beside them, and what is wanted: the
// honest p99 beside the slow ones by that in calm, and bytes of memory for each slow one.
const (
	slowRate  = 1000
	slowConns = 64
	slowRatio = 2.0
)

// slowBench measures what slow clients cost the others, and the memory.
type slowBench struct {
	b       *bench
	ours    *target
	clients []*slowClients
}

func runSlow(args []string) error {
	flags := flag.NewFlagSet("slow", flag.ExitOnError)
	n := flags.Int("clients", 1000, "slow clients of each kind")
	rounds := flags.Int("rounds", 3, "rounds of honest requests in calm, beside the slow clients, and in calm again")
	flags.StringVar(binary, "binary", "", "the pierhead to measure; empty: build it")
	d := flags.Duration("slice", 3*time.Second, "how long each lasts")
	flags.Parse(args)
	b, err := newBench(context.Background())
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	o, err := b.startOrigin()
	if err != nil {
		return err
	}
	defer o.stop()
	var faults []error
	fmt.Printf("%d clients of each kind, each with a Pierhead of its own; growth of resident memory by client:\n", *n)
	for i, k := range slowKinds {
		s := &slowBench{b: b}
		var bytes float64
		err := s.with(func() (err error) {
			bytes, err = s.hold(i, *n)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		fmt.Printf("  %-16s %7.0f bytes (goal ≤ %d)\n", k.name, bytes, k.most)
		if bytes > float64(k.most) {
			faults = append(faults, fmt.Errorf("%s: %.0f bytes for each client", k.name, bytes))
		}
	}
	s := &slowBench{b: b}
	return errors.Join(append(faults, s.with(func() error { return s.run(*n, *rounds, *d) }))...)
}

// with runs f beside a Pierhead that has answered some requests.
func (s *slowBench) with(f func() error) (err error) {
	if s.ours, err = s.b.pierhead("pierhead", setup{}); err != nil {
		return err
	}
	defer s.ours.stop()
	if _, err := s.honest(1, time.Second); err != nil { // what is made once is made
		return fmt.Errorf("warming up: %w", err)
	}
	return errors.Join(f(), s.stop())
}

// run measures honest requests beside all kinds of slow clients.
func (s *slowBench) run(n, rounds int, d time.Duration) error {
	calm, err := s.honest(rounds, d)
	if err != nil {
		return err
	}
	for i := range slowKinds {
		if _, err := s.hold(i, n); err != nil {
			return fmt.Errorf("%s: %w", slowKinds[i].name, err)
		}
	}
	if err := s.told(n * len(slowKinds)); err != nil {
		return err
	}
	beside, err := s.honest(rounds, d)
	if err != nil {
		return fmt.Errorf("beside the slow clients: %w", err)
	}
	if err := s.stop(); err != nil {
		return err
	}
	after, err := s.honest(rounds, d)
	if err != nil {
		return err
	}
	calm = append(calm, after...)
	slices.Sort(calm)
	slices.Sort(beside)
	was, is := calm[len(calm)/2], beside[len(beside)/2]
	ratio := float64(is) / float64(was)
	fmt.Printf("p99 of %d honest requests a second: %v in calm (%v to %v), %v beside %d slow clients (%v to %v): %.2f times (goal ≤ %.1f)\n",
		slowRate, was, calm[0], calm[len(calm)-1], is, n*len(slowKinds), beside[0], beside[len(beside)-1], ratio, slowRatio)
	if ratio > slowRatio {
		return fmt.Errorf("honest requests take %.2f times as long", ratio)
	}
	return nil
}

// honest sends requests at a steady rate and returns the p99 of each round.
func (s *slowBench) honest(rounds int, d time.Duration) (p99 []time.Duration, err error) {
	for range rounds {
		r, err := s.b.own("rate", s.ours.plain, strconv.Itoa(slowConns), d.String(), strconv.Itoa(slowRate))
		if err != nil {
			return nil, err
		}
		p99 = append(p99, r.P99)
	}
	return p99, nil
}

// hold starts the clients of a kind and returns what each of them takes.
func (s *slowBench) hold(kind, n int) (float64, error) {
	before := s.ours.settled()
	c, err := startSlow(s.b, kind, s.ours.plain, n)
	if err != nil {
		return 0, err
	}
	s.clients = append(s.clients, c)
	return float64(s.ours.settled()-before) / float64(n), nil
}

// stop ends the slow clients. One whose connection was closed before is an error: then
// less was measured than is told.
func (s *slowBench) stop() (err error) {
	for _, c := range s.clients {
		err = errors.Join(err, c.stop())
	}
	s.clients = nil
	return err
}

// told looks whether the metrics tell of the slow clients.
func (s *slowBench) told(n int) error {
	resp, err := http.Get("http://" + s.ours.admin + "/metrics")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	open := gaugeOf(text, "pierhead_connections")
	fmt.Printf("with all kinds: %.1f MiB resident; told in the metrics: %.0f connections, %.1f MiB of memory used, stage %.0f\n",
		float64(s.ours.resident())/(1<<20), open, gaugeOf(text, "pierhead_memory_used_bytes")/(1<<20), gaugeOf(text, "pierhead_overload_stage"))
	if open < float64(n) {
		return fmt.Errorf("the metrics tell of %.0f connections, fewer than the %d slow clients", open, n)
	}
	return nil
}

// gaugeOf finds a metric without labels in the text format; 0: it is not there.
func gaugeOf(text []byte, name string) float64 {
	_, rest, _ := strings.Cut("\n"+string(text), "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	f, _ := strconv.ParseFloat(value, 64)
	return f
}

// slowClients is a process of clients of one kind.
type slowClients struct {
	cmd  *exec.Cmd
	in   io.Closer
	said *bufio.Scanner
}

// startSlow returns when all of them hold their connections. They give way to the honest
// load, with which they share a core: it is the proxy that they may hinder.
func startSlow(b *bench, kind int, addr string, n int) (*slowClients, error) {
	c := &slowClients{cmd: exec.CommandContext(b.ctx, "nice", "-n", "19", b.self, "slowclients", addr, strconv.Itoa(n), strconv.Itoa(kind))}
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in, c.said = in, bufio.NewScanner(out)
	if err := startOn(loadCore, c.cmd); err != nil {
		return nil, err
	}
	if !c.said.Scan() || c.said.Text() != "ready" {
		return nil, errors.Join(fmt.Errorf("the slow clients say %q", c.said.Text()), c.stop())
	}
	return c, nil
}

// stop ends the clients; their last word is how many connections they lost.
func (c *slowClients) stop() error {
	c.in.Close()
	c.said.Scan()
	lost := c.said.Text()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("slow clients: %w", err)
	}
	if lost != "lost 0" {
		return fmt.Errorf("slow clients %s of their connections", lost)
	}
	return nil
}
