//go:build linux

package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// panel is an expression of a dashboard or an alert for ingress-nginx, in our own words,
// and what each of its samples has to be.
type panel struct {
	expr        string
	samples     int
	least, most float64
}

const manyBytes = 1e12

// dashboard is what they ask. Requests come all the while, some hundreds in a second at
// most; all of them are for one host and answered 200.
var dashboard = []panel{
	{`round(sum(irate(nginx_ingress_controller_requests{controller_pod=~".*",controller_class=~".*",namespace=~".*"}[1m])), 0.001)`, 1, 0.001, 1e5},
	{`sum(rate(nginx_ingress_controller_requests{ingress!=""}[1m])) by (ingress)`, 1, 0.001, 1e5},
	{`sum(rate(nginx_ingress_controller_requests{status!~"[4-5].*"}[1m])) / sum(rate(nginx_ingress_controller_requests[1m]))`, 1, 1, 1},
	{`histogram_quantile(0.50, sum(rate(nginx_ingress_controller_request_duration_seconds_bucket{ingress!=""}[1m])) by (le, ingress))`, 1, 1e-9, 10},
	{`histogram_quantile(0.99, sum(rate(nginx_ingress_controller_response_duration_seconds_bucket[1m])) by (le, service))`, 1, 1e-9, 10},
	{`histogram_quantile(0.90, sum(rate(nginx_ingress_controller_header_duration_seconds_bucket[1m])) by (le))`, 1, 1e-9, 10},
	{`sum(rate(nginx_ingress_controller_connect_duration_seconds_count[1m]))`, 1, 0.001, 1e5},
	{`sum(irate(nginx_ingress_controller_request_size_sum[1m]))`, 1, 0.001, manyBytes},
	{`sum(irate(nginx_ingress_controller_response_size_sum[1m]))`, 1, 0.001, manyBytes},
	{`sum(rate(nginx_ingress_controller_bytes_sent_bucket[1m])) by (le)`, 8, 0, 1e5},
	{`sum(nginx_ingress_controller_bytes_sent_bucket{le="+Inf"}) / sum(nginx_ingress_controller_requests)`, 1, 1, 1},
	{`avg(nginx_ingress_controller_nginx_process_connections{state="active"})`, 1, 0, 100},
	{`sum(nginx_ingress_controller_nginx_process_connections_total) by (state)`, 2, 1, 1e7},
	{`sum(rate(nginx_ingress_controller_nginx_process_connections_total{state="accepted"}[1m]))`, 1, 0.001, 1e5},
	{`sum(rate(nginx_ingress_controller_nginx_process_requests_total[1m]))`, 1, 0.001, 1e5},
	{`avg(nginx_ingress_controller_nginx_process_resident_memory_bytes)`, 1, 1e6, manyBytes},
	{`avg(rate(nginx_ingress_controller_nginx_process_cpu_seconds_total[1m]))`, 1, 0, 1000},
	{`count(nginx_ingress_controller_config_last_reload_successful == 1)`, 1, 1, 1},
	{`time() - nginx_ingress_controller_config_last_reload_successful_timestamp_seconds`, 1, 0, 300},
	{`sum(nginx_ingress_controller_success) - sum(nginx_ingress_controller_errors)`, 1, 1, 1},
	{`avg(nginx_ingress_controller_ssl_expire_time_seconds{host!="_"}) by (host) - time()`, 1, 3000, 3600}, // the certificate is good for an hour
	{`sum(nginx_ingress_controller_leader_election_status)`, 1, 1, 1},
}

// TestPrometheus has a real Prometheus scrape a process and asks what dashboards ask.
func TestPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is not installed: run .ci/tools")
	}
	c := metered(t, inCluster)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().String()
	ln.Close()
	dir := t.TempDir()
	writeFile(t, dir+"/prometheus.yml", fmt.Sprintf("global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs: [{job_name: pierhead, static_configs: [{targets: [%q]}]}]\n", c.AdminAddr()))
	cmd := exec.Command(program, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+at)
	var log bytes.Buffer
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	deadline := time.Now().Add(60 * time.Second)
	asked := 1.0 // by metered
	until := func(p panel, meanwhile func()) {
		t.Helper()
		for err := p.right(at); err != nil; err = p.right(at) {
			if time.Now().After(deadline) {
				t.Fatalf("%v\n%s", err, log.String())
			}
			meanwhile()
		}
	}
	for _, p := range dashboard {
		until(p, func() {
			if err := ask(&http.Transport{DisableKeepAlives: true}, c.State().Controllers[0].HTTP); err != nil {
				t.Fatal(err)
			}
			asked++
		})
	}
	until(panel{`sum(nginx_ingress_controller_requests{status="200",method="GET",host="app.example.com",ingress="app"})`, 1, asked, asked}, func() {})
	until(panel{`sum(nginx_ingress_controller_request_duration_seconds_count)`, 1, asked, asked}, func() {})
	until(panel{`sum(nginx_ingress_controller_nginx_process_requests_total)`, 1, asked, asked}, func() {})
}

// right tells what is wrong with the samples that Prometheus answers; nil: each is a number
// that it may be.
func (p *panel) right(at string) error {
	resp, err := http.Get("http://" + at + "/api/v1/query?query=" + url.QueryEscape(p.expr))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if n := len(answer.Data.Result); n != p.samples {
		return fmt.Errorf("%s has %d samples, want %d", p.expr, n, p.samples)
	}
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || !(v >= p.least && v <= p.most) { // NaN is neither
			return fmt.Errorf("%s is %q, want from %v to %v", p.expr, text, p.least, p.most)
		}
	}
	return nil
}
