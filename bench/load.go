//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// result is what a load saw.
type result struct {
	Done, Failed   int
	Took           time.Duration
	P50, P99, P999 time.Duration
}

// Load is done by wrk and h2load where they can do it, so that nothing of ours measures
// ourselves, and by programs of our own (loaders.go) for what they cannot. Every load
// runs in a process of its own on the load's core.

// wrk loads plain HTTP/1.1 or TLS with keep-alive connections.
func (b *bench) wrk(url string, conns int, script string, d time.Duration) (result, error) {
	return b.wrkAs("load", url, conns, script, d)
}

// wrkAs is wrk beside others, each with a name of its own.
func (b *bench) wrkAs(name, url string, conns int, script string, d time.Duration) (result, error) {
	file := filepath.Join(b.dir, name+".lua")
	if err := os.WriteFile(file, []byte(script+wrkReport), 0o600); err != nil {
		return result{}, err
	}
	out, err := b.runOn(loadCore, "wrk", "-t1", "-c"+strconv.Itoa(conns), "-d"+strconv.Itoa(max(1, int(d.Seconds())))+"s", "-H", "Host: "+hostName, "-s", file, url)
	if err != nil {
		return result{}, err
	}
	return parseWrk(out)
}

const wrkReport = `
done = function(s, latency, requests)
  local failed = s.errors.connect + s.errors.read + s.errors.write + s.errors.status + s.errors.timeout
  io.write(string.format('\nREPORT {"Done":%d,"Failed":%d,"Took":%d,"P50":%d,"P99":%d,"P999":%d}\n', s.requests, failed, s.duration*1000,
    latency:percentile(50)*1000, latency:percentile(99)*1000, latency:percentile(99.9)*1000))
end
`

func parseWrk(out []byte) (r result, err error) {
	_, report, ok := bytes.Cut(out, []byte("\nREPORT "))
	if !ok {
		return r, fmt.Errorf("wrk made no report: %s", out)
	}
	line, _, _ := bytes.Cut(report, []byte("\n"))
	return r, json.Unmarshal(line, &r)
}

// h2load loads HTTP/2 over TLS, each connection with some streams at once.
func (b *bench) h2load(addr, path string, conns, streams int, d time.Duration, more ...string) (result, error) {
	log := filepath.Join(b.dir, "h2load.log")
	os.Remove(log)
	args := append([]string{"-t1", "-c" + strconv.Itoa(conns), "-m" + strconv.Itoa(streams), "-D", strconv.Itoa(max(1, int(d.Seconds()))), "--warm-up-time=0",
		"--log-file=" + log, "--connect-to=" + addr}, more...)
	out, err := b.runOn(loadCore, "h2load", append(args, "https://"+hostName+path)...)
	if err != nil {
		return result{}, err
	}
	r, err := parseH2load(out)
	if err != nil {
		return result{}, err
	}
	f, err := os.Open(log)
	if err != nil {
		return result{}, err
	}
	defer f.Close()
	r.P50, r.P99, r.P999 = percentiles(h2loadTimes(bufio.NewScanner(f)))
	return r, nil
}

// parseH2load reads the summary. What was under way at the end counts neither as done
// nor as failed.
func parseH2load(out []byte) (r result, err error) {
	for line := range strings.Lines(string(out)) {
		switch f := strings.Fields(strings.ReplaceAll(line, ",", "")); {
		case strings.HasPrefix(line, "finished in "):
			r.Took, err = time.ParseDuration(f[2])
		case strings.HasPrefix(line, "status codes: "):
			r.Done, err = strconv.Atoi(f[2])
			for _, i := range []int{4, 6, 8} {
				n, _ := strconv.Atoi(f[i])
				r.Failed += n
			}
		case strings.HasPrefix(line, "Application protocol: ") && f[2] != "h2":
			err = fmt.Errorf("h2load spoke %s", f[2])
		}
		if err != nil {
			return r, err
		}
	}
	if r.Took == 0 || r.Done == 0 {
		return r, fmt.Errorf("h2load made no request: %s", out)
	}
	return r, nil
}

// h2loadTimes reads a log of h2load: start, status, microseconds.
func h2loadTimes(lines *bufio.Scanner) (times []time.Duration) {
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 3 {
			if us, err := strconv.Atoi(f[2]); err == nil {
				times = append(times, time.Duration(us)*time.Microsecond)
			}
		}
	}
	return times
}

// own runs one of our own loads, which prints its result.
func (b *bench) own(kind string, args ...string) (r result, err error) {
	out, err := b.runOn(loadCore, b.self, append([]string{kind}, args...)...)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

// runOn runs a command to its end on one core and returns what it printed.
func (b *bench) runOn(core int, bin string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second) // h2load may wait for ever for a client that it had no time to connect
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := startOn(core, cmd); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s%s", filepath.Base(bin), strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.Bytes(), nil
}

func percentiles(times []time.Duration) (p50, p99, p999 time.Duration) {
	if len(times) == 0 {
		return 0, 0, 0
	}
	slices.Sort(times)
	at := func(share float64) time.Duration { return times[min(len(times)-1, int(share*float64(len(times))))] }
	return at(0.5), at(0.99), at(0.999)
}
