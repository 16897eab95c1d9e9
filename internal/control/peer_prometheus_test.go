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
	"syscall"
	"testing"
	"time"
)

// dashboard is what dashboards and alerts for ingress-nginx ask, in our own words.
var dashboard = []string{
	`round(sum(irate(nginx_ingress_controller_requests{controller_pod=~".*",controller_class=~".*",namespace=~".*"}[1m])), 0.001)`,
	`sum(rate(nginx_ingress_controller_requests{ingress!=""}[1m])) by (ingress)`,
	`sum(rate(nginx_ingress_controller_requests{status!~"[4-5].*"}[1m])) / sum(rate(nginx_ingress_controller_requests[1m]))`,
	`histogram_quantile(0.50, sum(rate(nginx_ingress_controller_request_duration_seconds_bucket{ingress!=""}[1m])) by (le, ingress))`,
	`histogram_quantile(0.99, sum(rate(nginx_ingress_controller_response_duration_seconds_bucket[1m])) by (le, service))`,
	`histogram_quantile(0.90, sum(rate(nginx_ingress_controller_header_duration_seconds_bucket[1m])) by (le))`,
	`sum(rate(nginx_ingress_controller_connect_duration_seconds_count[1m]))`,
	`sum(irate(nginx_ingress_controller_request_size_sum[1m]))`,
	`sum(irate(nginx_ingress_controller_response_size_sum[1m]))`,
	`sum(rate(nginx_ingress_controller_bytes_sent_bucket[1m])) by (le)`,
	`avg(nginx_ingress_controller_nginx_process_connections{state="active"})`,
	`sum(rate(nginx_ingress_controller_nginx_process_connections_total{state="accepted"}[1m]))`,
	`sum(rate(nginx_ingress_controller_nginx_process_requests_total[1m]))`,
	`avg(nginx_ingress_controller_nginx_process_resident_memory_bytes)`,
	`avg(rate(nginx_ingress_controller_nginx_process_cpu_seconds_total[1m]))`,
	`count(nginx_ingress_controller_config_last_reload_successful == 1)`,
	`time() - nginx_ingress_controller_config_last_reload_successful_timestamp_seconds`,
	`sum(nginx_ingress_controller_success) - sum(nginx_ingress_controller_errors)`,
	`avg(nginx_ingress_controller_ssl_expire_time_seconds{host!="_"}) by (host) - time()`,
	`sum(nginx_ingress_controller_leader_election_status)`,
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
	for _, expr := range dashboard {
		for !answers(at, expr) {
			if time.Now().After(deadline) {
				t.Fatalf("%s has no data\n%s", expr, log.String())
			}
			if err := ask(&http.Transport{DisableKeepAlives: true}, c.State().Controllers[0].HTTP); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// answers tells whether Prometheus has a value for an expression.
func answers(at, expr string) bool {
	resp, err := http.Get("http://" + at + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if json.NewDecoder(resp.Body).Decode(&answer) != nil || len(answer.Data.Result) == 0 {
		return false
	}
	return answer.Data.Result[0].Value[1] != "NaN"
}
