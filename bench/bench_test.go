//go:build linux

package main

import (
	"bufio"
	"strings"
	"testing"
	"time"
)

func TestParseWrk(t *testing.T) {
	got, err := parseWrk([]byte("Running 1s test\n  1 threads\n\nREPORT {\"Done\":100,\"Failed\":2,\"Took\":1000000000,\"P50\":1000,\"P99\":2000,\"P999\":3000}\nmore\n"))
	if want := (result{100, 2, time.Second, 1000, 2000, 3000}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseWrk([]byte("unable to connect")); err == nil || !strings.Contains(err.Error(), "unable to connect") {
		t.Errorf("without a report: %v", err)
	}
}

const h2loadOutput = `Application protocol: h2

finished in 1.50s, 8553.00 req/s, 2.13MB/s
requests: 8553 total, 8713 started, 8553 done, 8550 succeeded, 3 failed, 0 errored, 0 timeout
status codes: 8550 2xx, 0 3xx, 1 4xx, 2 5xx
`

func TestParseH2load(t *testing.T) {
	got, err := parseH2load([]byte(h2loadOutput))
	if want := (result{Done: 8550, Failed: 3, Took: 1500 * time.Millisecond}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseH2load([]byte(strings.Replace(h2loadOutput, ": h2", ": http/1.1", 1))); err == nil {
		t.Error("a load over HTTP/1.1 counts as one over HTTP/2")
	}
	if _, err := parseH2load([]byte("usage")); err == nil {
		t.Error("an output without a summary is taken")
	}
	times := h2loadTimes(bufio.NewScanner(strings.NewReader("1 200 5\n2 200 3\nrubbish\n3 200 4\n")))
	if p50, p99, p999 := percentiles(times); p50 != 4*time.Microsecond || p99 != 5*time.Microsecond || p999 != 5*time.Microsecond {
		t.Error(p50, p99, p999)
	}
}

// outcomeOf has a sample of every contestant in each of three rounds.
func outcomeOf(w workload, figures map[string][]float64) outcome {
	o := outcome{w, map[string][]sample{}, map[string]string{}}
	for name, fs := range figures {
		for _, f := range fs {
			o.samples[name] = append(o.samples[name], sample{figure: f})
		}
	}
	return o
}

func TestReport(t *testing.T) {
	o := outcomeOf(workload{name: "h1", what: "GET", unit: perRequest, base: "nginx", goal: 0.9, who: all(setup{})},
		map[string][]float64{"nginx": {10, 20, 40}, "pierhead": {8, 18, 40}, "haproxy": {15, 24, 44}})
	o.failed["caddy"] = "no answer"
	if got, want := goals([]outcome{o}), "| h1 | GET | 20.0 µs CPU/request | ≤ 0.90 | 0.90 (0.80–1.00) | 1.20 (1.10–1.50) | failed |  |\n"; !strings.Contains(got, want) {
		t.Errorf("the table is\n%s\nand has no row\n%s", got, want)
	}
	o.samples["pierhead"][1].figure = 19
	if got := goals([]outcome{o}); !strings.Contains(got, "**0.95 (0.80–1.00)**") {
		t.Errorf("a missed goal is not in bold:\n%s", got)
	}
	idle := outcomeOf(workload{name: "idle", unit: "bytes", base: "nginx", goal: 600, absolute: true, who: all(setup{})},
		map[string][]float64{"nginx": {500}, "pierhead": {250}, "haproxy": {1000}})
	if got := goals([]outcome{idle}); !strings.Contains(got, "| ≤ 600 bytes | 250 (0.50) | 1000 (2.00) |") {
		t.Errorf("bytes:\n%s", got)
	}
	if got := chart([]outcome{o, idle}); strings.Count(got, "<rect") < 6 || !strings.Contains(got, ">0.95</text>") || !strings.HasSuffix(got, "</svg>\n") {
		t.Errorf("the chart is\n%s", got)
	}
}

// TestWorkloads holds that every one can be run and read: named once, with a base among
// its contestants.
func TestWorkloads(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range workloads() {
		if seen[w.name] {
			t.Errorf("%s is there twice", w.name)
		}
		seen[w.name] = true
		base := w.base
		if base == "" {
			base = "nginx"
		}
		found := false
		for _, c := range w.who {
			found = found || c.name == base
		}
		if !found || w.what == "" || (w.load == nil) == (w.figure == nil) {
			t.Errorf("%s: base %q, load %v, figure %v", w.name, base, w.load != nil, w.figure != nil)
		}
	}
}

func TestOriginHeads(t *testing.T) {
	head := []byte("POST /b/128?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n")
	if p, n := path(head), contentLength(head); p != "/b/128" || n != 17 {
		t.Errorf("path %q, length %d", p, n)
	}
}

func TestGaugeOf(t *testing.T) {
	text := []byte("# HELP a b\na 1\nab 2.5\nabc{d=\"e\"} 3\n")
	for name, want := range map[string]float64{"a": 1, "ab": 2.5, "abc": 0, "b": 0} {
		if got := gaugeOf(text, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}
