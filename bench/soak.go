//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// soak sends many requests of several kinds while everything behind and around Pierhead
// changes: an origin is killed each second, the endpoints change each 100 ms, and an
// Ingress each second. A GET must not fail, since another endpoint can answer it; a POST
// may fail as it would with nginx, which does not send it twice: by 502. At the end no
// goroutine, descriptor or memory may be left.
type soak struct {
	b       *bench
	origins [3]*process
	addrs   [3]string
	spare   [3]string // the gRPC side of the origins, which nobody asks
	dir     string
	admin   string
	ours    *target
	swaps   int
}

func runSoak(args []string) error {
	flags := flag.NewFlagSet("soak", flag.ExitOnError)
	total := flags.Int("requests", 24_000_000, "requests to send")
	flags.Parse(args)
	b, err := newBench(context.Background())
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	s := &soak{b: b, dir: filepath.Join(b.dir, "soak"), admin: freeAddr()}
	defer s.stop()
	if err := s.start(); err != nil {
		return err
	}
	if err := s.round(time.Second, nil); err != nil { // what is made once is made
		return fmt.Errorf("warming up: %w", err)
	}
	before, err := s.traces()
	if err != nil {
		return err
	}
	fmt.Println("before:", before)
	var sum soakCount
	began := time.Now()
	for next := time.Now(); sum.gets+sum.posts < *total; {
		if err := s.round(10*time.Second, &sum); err != nil {
			return err
		}
		if time.Now().After(next) {
			fmt.Fprintf(os.Stderr, "%s: %s\n", time.Since(began).Round(time.Second), &sum)
			next = time.Now().Add(30 * time.Second)
		}
	}
	after, err := s.settled(before)
	fmt.Printf("%s in %s, endpoints changed %d times\nafter:  %s\n", &sum, time.Since(began).Round(time.Second), s.swaps, after)
	switch {
	case err != nil:
		return err
	case sum.failed > 0:
		return fmt.Errorf("%d GETs failed", sum.failed)
	}
	return nil
}

func (s *soak) start() (err error) {
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return err
	}
	for i := range s.origins {
		s.addrs[i], s.spare[i] = freeAddr(), freeAddr()
		if err := s.startOrigin(i); err != nil {
			return err
		}
	}
	s.b.origin.plain = s.addrs[0]
	text := s.b.manifests(setup{})
	parts := strings.Split(text, "---\n")
	for i, p := range parts {
		if strings.Contains(p, "kind: EndpointSlice") {
			continue
		}
		if err := s.write(fmt.Sprintf("object-%d.yml", i), p); err != nil {
			return err
		}
	}
	if err := s.endpoints(0, 1, 2); err != nil {
		return err
	}
	t := &target{plain: freeAddr(), tls: freeAddr()}
	t.process, err = s.b.start("pierhead", proxyCore, t.tls, s.b.binary, "up", "--listen-address", "127.0.0.1", "--http-port", portOf(t.plain), "--https-port", portOf(t.tls),
		"--configmap", "default/settings", "--default-ssl-certificate", "default/bench", "--admin-listen", s.admin, "--dns-listen", "off", s.dir)
	s.ours = t
	return err
}

func (s *soak) startOrigin(i int) (err error) {
	s.origins[i], err = s.b.start("origin", loadCore, s.addrs[i], s.b.self, "origin", s.addrs[i], s.spare[i])
	return err
}

func (s *soak) stop() {
	for _, o := range s.origins {
		o.stop()
	}
	if s.ours != nil {
		s.ours.stop()
	}
}

// write puts a file in its place in one step.
func (s *soak) write(name, text string) error {
	tmp := filepath.Join(s.b.dir, name+".new")
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(s.dir, name))
}

// endpoints makes these origins the endpoints.
func (s *soak) endpoints(which ...int) error {
	var w strings.Builder
	for _, i := range which {
		fmt.Fprintf(&w, `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: origin-%d, namespace: default, labels: {kubernetes.io/service-name: origin}}
addressType: IPv4
endpoints: [{addresses: ["127.0.0.1"]}]
ports: [{port: %s}]
`, i, portOf(s.addrs[i]))
	}
	s.swaps++
	return s.write("endpoints.yml", w.String())
}

// soakCount counts requests; failed are GETs.
type soakCount struct {
	mu                       sync.Mutex
	gets, failed, posts, bad int
}

func (c *soakCount) String() string {
	return fmt.Sprintf("%d GETs, %d failed; %d POSTs, %d failed by 502", c.gets, c.failed, c.posts, c.bad)
}

// round loads for a while with everything moving.
func (s *soak) round(d time.Duration, sum *soakCount) error {
	ctx, stop := context.WithTimeout(s.b.ctx, d)
	defer stop()
	moved := make(chan error, 1)
	go func() { moved <- s.move(ctx) }()
	errs := make([]error, 4)
	var wg sync.WaitGroup
	load := func(i int, post bool, f func() (result, error)) {
		wg.Go(func() {
			r, err := f()
			if err != nil {
				errs[i] = err
				return
			}
			if sum == nil {
				return
			}
			sum.mu.Lock()
			defer sum.mu.Unlock()
			if post {
				sum.posts, sum.bad = sum.posts+r.Done, sum.bad+r.Failed
			} else {
				sum.gets, sum.failed = sum.gets+r.Done, sum.failed+r.Failed
			}
		})
	}
	at := func(path string) string { return "http://" + s.ours.plain + path }
	load(0, false, func() (result, error) { return s.b.wrkAs("a", at("/b/128"), 48, "", d) })
	load(1, false, func() (result, error) { return s.b.wrkAs("b", "https://"+s.ours.tls+"/b/1024", 16, "", d) })
	load(2, false, func() (result, error) { return s.b.h2load(s.ours.tls, "/b/128", 8, 10, d) })
	load(3, true, func() (result, error) {
		return s.b.wrkAs("c", at("/b/128"), 8, `wrk.method = "POST"; wrk.body = string.rep("x", 10240)`, d)
	})
	wg.Wait()
	stop()
	return errors.Join(append(errs, <-moved)...)
}

// move changes endpoints each 100 ms, and kills an origin and changes an Ingress each
// second, until the round is over; then all origins run again.
func (s *soak) move(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return s.endpoints(0, 1, 2)
		case <-tick.C:
		}
		if err := s.endpoints(n%3, (n+1)%3); err != nil { // each time another one is missing
			return err
		}
		if n%10 != 0 {
			continue
		}
		i := n / 10 % 3
		syscall.Kill(-s.origins[i].cmd.Process.Pid, syscall.SIGKILL)
		if err := s.startOrigin(i); err != nil {
			return err
		}
		var w strings.Builder
		ingress(&w, "bench", hostName, fmt.Sprintf("    kubernetes.io/ingress.class: nginx\n    nginx.ingress.kubernetes.io/limit-connections: \"%d\"\n", 100000+n))
		if err := s.write("object-4.yml", strings.TrimPrefix(w.String(), "---\n")); err != nil {
			return err
		}
	}
}

// traces is what a process holds.
type traces struct {
	goroutines, descriptors, heap int
}

func (t traces) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %.1f MiB of heap", t.goroutines, t.descriptors, float64(t.heap)/(1<<20))
}

// settled waits until nothing is left of the load, and compares.
func (s *soak) settled(before traces) (after traces, err error) {
	for range 90 {
		if after, err = s.traces(); err != nil {
			return after, err
		}
		if after.goroutines <= before.goroutines+8 && after.descriptors <= before.descriptors+8 && after.heap <= before.heap+before.heap/10+4<<20 {
			return after, nil
		}
		time.Sleep(time.Second)
	}
	return after, errors.New("more is held than before")
}

// traces asks the metrics.
func (s *soak) traces() (t traces, err error) {
	resp, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		return t, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return t, err
	}
	read := func(name string) int {
		_, rest, _ := strings.Cut(string(text), "\n"+name+" ")
		value, _, _ := strings.Cut(rest, "\n")
		f, _ := strconv.ParseFloat(value, 64)
		return int(f)
	}
	t = traces{read("go_goroutines"), read("process_open_fds"), read("go_memstats_heap_alloc_bytes")}
	if t.goroutines == 0 || t.descriptors == 0 || t.heap == 0 {
		return t, errors.New("/metrics does not tell what the process holds")
	}
	return t, nil
}
