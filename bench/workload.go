//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// hostName is the host that every load asks for.
const hostName = "bench.example.com"

// contestant is a proxy with what it is asked to do.
type contestant struct {
	name  string
	start func(*bench, string, setup) (*target, error)
	setup setup
}

// workload is one thing that is measured, for each of some contestants.
type workload struct {
	name, what string
	unit       string // of the figure
	base       string // the contestant whose figure the others' are divided by
	goal       float64
	absolute   bool // the goal is a figure and not a ratio
	who        []contestant
	load       func(*bench, *target, time.Duration) (result, error)
	figure     func(*bench, *target, time.Duration) (sample, error) // instead of CPU per load
}

const perRequest = "µs CPU/request"

// all returns contestants that are asked the same.
func all(s setup) []contestant {
	return []contestant{
		{"pierhead", (*bench).pierhead, s}, {"nginx", (*bench).nginx, s}, {"haproxy", (*bench).haproxy, s},
		{"caddy", (*bench).caddy, s}, {"reverseproxy", (*bench).reverseProxy, s},
	}
}

// without leaves contestants out that cannot do it.
func without(who []contestant, names ...string) (left []contestant) {
	for _, c := range who {
		if !strings.Contains(strings.Join(names, " "), c.name) {
			left = append(left, c)
		}
	}
	return left
}

func plain(path string, conns int) func(*bench, *target, time.Duration) (result, error) {
	return func(b *bench, t *target, d time.Duration) (result, error) {
		return b.wrk("http://"+t.plain+path, conns, "", d)
	}
}

func overTLS(path string, conns int) func(*bench, *target, time.Duration) (result, error) {
	return func(b *bench, t *target, d time.Duration) (result, error) {
		return b.wrk("https://"+t.tls+path, conns, "", d)
	}
}

func post(b *bench, t *target, d time.Duration) (result, error) {
	return b.wrk("http://"+t.plain+"/b/128", 64, `wrk.method = "POST"; wrk.body = string.rep("x", 10240)`, d)
}

func closing(b *bench, t *target, d time.Duration) (result, error) {
	return b.wrk("http://"+t.plain+"/b/128", 16, `wrk.headers["Connection"] = "close"`, d)
}

func h2(b *bench, t *target, d time.Duration) (result, error) {
	return b.h2load(t.tls, "/b/128", 64, 10, d)
}

func h3(b *bench, t *target, d time.Duration) (result, error) {
	return b.own("http3", t.tls, "16", d.String())
}

func handshake(kind string) func(*bench, *target, time.Duration) (result, error) {
	return func(b *bench, t *target, d time.Duration) (result, error) {
		return b.own("handshake", t.tls, "16", d.String(), kind)
	}
}

func websocket(b *bench, t *target, d time.Duration) (result, error) {
	return b.own("websocket", t.plain, "64", d.String())
}

// grpcUnary sends a message of 100 bytes in each request.
func grpcUnary(b *bench, t *target, d time.Duration) (result, error) {
	file := filepath.Join(b.dir, "message")
	message := append([]byte{0, 0, 0, 0, 100}, strings.Repeat("x", 100)...)
	if err := os.WriteFile(file, message, 0o600); err != nil {
		return result{}, err
	}
	return b.h2load(t.tls, "/bench.Echo/Unary", 16, 10, d, "-d", file, "-H", "content-type: application/grpc", "-H", "te: trailers")
}

func grpcStream(b *bench, t *target, d time.Duration) (result, error) {
	return b.own("grpcstream", t.tls, "64", d.String())
}

func idle(kind string) func(*bench, *target, time.Duration) (sample, error) {
	return func(b *bench, t *target, _ time.Duration) (sample, error) {
		bytes, err := b.idle(t, kind)
		return sample{figure: bytes, resident: t.resident()}, err
	}
}

// atShare measures the latency at a share of nginx's peak, which is found first.
func atShare(share float64) func(*bench, *target, time.Duration) (sample, error) {
	return func(b *bench, t *target, d time.Duration) (sample, error) {
		if b.peak == 0 {
			ng, err := b.nginx("nginx", setup{})
			if err != nil {
				return sample{}, err
			}
			defer ng.stop()
			for range 3 {
				r, err := b.wrk("http://"+ng.plain+"/b/128", 64, "", 2*time.Second)
				if err != nil {
					return sample{}, err
				}
				b.peak = max(b.peak, float64(r.Done)/r.Took.Seconds())
			}
			fmt.Fprintf(os.Stderr, "nginx's peak: %.0f requests/s\n", b.peak)
		}
		r, err := b.own("rate", t.plain, "256", d.String(), fmt.Sprint(share*b.peak))
		return sample{figure: float64(r.P99) / 1e3, result: r, resident: t.resident()}, err
	}
}

// workloads are all of them, in the order of the table.
func workloads() []workload {
	none, ours := setup{}, (*bench).pierhead
	grpc := without(all(setup{grpc: true}), "none")
	return []workload{
		{name: "h1", what: "GET, 128 bytes, 64 keep-alive connections", goal: 0.90, load: plain("/b/128", 64), who: all(none)},
		{name: "h1-2", what: "the same over 2 connections", goal: 0.95, load: plain("/b/128", 2), who: all(none)},
		{name: "tls", what: "the same over TLS 1.3, 64 connections", goal: 0.80, load: overTLS("/b/128", 64), who: all(none)},
		{name: "h2", what: "GET, 128 bytes, HTTP/2 over TLS, 64 connections of 10 streams", goal: 0.45, load: h2, who: all(none)},
		{name: "h3", what: "GET, 128 bytes, HTTP/3, 16 connections of 10 streams", base: "caddy", load: h3, who: []contestant{{"pierhead", ours, setup{http3: true}}, {"caddy", (*bench).caddy, none}}},
		{name: "close", what: "GET, 128 bytes, a connection for each request, 16 at once", load: closing, who: all(none)},
		{name: "handshake", what: "a full TLS 1.3 handshake for each request, 16 at once", goal: 0.80, load: handshake("full"), who: all(none)},
		{name: "resumed", what: "a resumed TLS 1.3 handshake for each request, 16 at once", load: handshake("resumed"), who: all(setup{tickets: true})},
		{name: "post", what: "POST of 10 KiB, 64 connections", goal: 0.90, load: post, who: all(none)},
		{name: "1k", what: "GET, 1 KiB", goal: 0.95, load: plain("/b/1024", 64), who: all(none)},
		{name: "100k", what: "GET, 100 KiB", goal: 0.90, load: plain("/b/102400", 64), who: all(none)},
		{name: "1m", what: "GET, 1 MiB", goal: 0.85, load: plain("/b/1048576", 64), who: all(none)},
		{name: "tls-1k", what: "GET, 1 KiB, TLS", load: overTLS("/b/1024", 64), who: all(none)},
		{name: "tls-100k", what: "GET, 100 KiB, TLS", load: overTLS("/b/102400", 64), who: all(none)},
		{name: "tls-1m", what: "GET, 1 MiB, TLS", goal: 0.75, load: overTLS("/b/1048576", 64), who: all(none)},
		{name: "log", what: "GET, 128 bytes, access log on", goal: 0.90, load: plain("/b/128", 64), who: without(all(setup{log: true}), "reverseproxy")},
		{name: "websocket", what: "messages of 128 bytes there and back, 64 connections", unit: "µs CPU/message", load: websocket, who: all(none)},
		{name: "grpc", what: "unary gRPC, 100 bytes, TLS, 16 connections of 10 streams", load: grpcUnary, who: grpc},
		{name: "grpc-stream", what: "gRPC messages of 100 bytes there and back, 64 streams", unit: "µs CPU/message", load: grpcStream, who: grpc},
		{name: "routes", what: "one host, 1,000 and 10,000 more, GET of 128 bytes", base: "pierhead", goal: 1.05, load: plain("/b/128", 64), who: []contestant{
			{"pierhead", ours, none}, {"pierhead 1,000", ours, setup{routes: 1000}}, {"pierhead 10,000", ours, setup{routes: 10000}}, {"nginx 1,000", (*bench).nginx, setup{routes: 1000}}}},
		{name: "policies", what: "20 policies on the route, GET of 128 bytes", base: "pierhead", goal: 1.15, load: plain("/b/128", 64), who: []contestant{
			{"pierhead", ours, none}, {"pierhead 20 policies", ours, setup{policies: true}}}},
		{name: "rate-50", what: "p99 at a steady rate of half of nginx's peak", unit: "µs p99", figure: atShare(0.5), who: all(none)[:3]},
		{name: "rate-80", what: "p99 at 80% of nginx's peak", unit: "µs p99", goal: 1, figure: atShare(0.8), who: all(none)[:3]},
		{name: "rate-80-objects", what: "p99 at 80% of nginx's peak, 10,000 Ingresses in the same process", unit: "µs p99", base: "pierhead", goal: 1.2, figure: atShare(0.8), who: []contestant{
			{"pierhead", ours, none}, {"pierhead 10,000", ours, setup{routes: 10000}}}},
		{name: "idle", what: "a keep-alive connection that waits", unit: "bytes", goal: 600, absolute: true, figure: idle("plain"), who: all(none)},
		{name: "idle-tls", what: "the same over TLS", unit: "bytes", goal: 16 << 10, absolute: true, figure: idle("tls"), who: all(none)},
		{name: "idle-h2", what: "the same over HTTP/2", unit: "bytes", figure: idle("h2"), who: all(none)},
		{name: "idle-h3", what: "the same over HTTP/3", unit: "bytes", base: "caddy", figure: idle("h3"), who: []contestant{{"pierhead", ours, setup{http3: true}}, {"caddy", (*bench).caddy, none}}},
	}
}
