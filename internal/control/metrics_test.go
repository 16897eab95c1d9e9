package control

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/pierhead/pierhead/internal/admission"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy"
)

// nginxMetrics are all of ingress-nginx, without their prefix: name and type.
const nginxMetrics = `
requests counter, request_duration_seconds histogram, connect_duration_seconds histogram, header_duration_seconds histogram,
response_duration_seconds histogram, request_size histogram, response_size histogram, bytes_sent histogram,
build_info gauge, config_hash gauge, config_last_reload_successful gauge, config_last_reload_successful_timestamp_seconds gauge,
success counter, errors counter, check_success counter, check_errors counter, ssl_expire_time_seconds gauge, ssl_certificate_info gauge,
leader_election_status gauge, orphan_ingress gauge,
admission_tested_ingresses gauge, admission_tested_duration gauge, admission_render_ingresses gauge, admission_render_duration gauge,
admission_config_size gauge, admission_roundtrip_duration gauge,
nginx_process_connections_total counter, nginx_process_requests_total counter, nginx_process_connections gauge, nginx_process_num_procs gauge,
nginx_process_cpu_seconds_total counter, nginx_process_read_bytes_total counter, nginx_process_write_bytes_total counter,
nginx_process_resident_memory_bytes gauge, nginx_process_virtual_memory_bytes gauge, nginx_process_oldest_start_time_seconds gauge`

// TestNginxMetrics: the names and types are those of ingress-nginx, no more and no less.
func TestNginxMetrics(t *testing.T) {
	var got, want []string
	for _, m := range metricTable {
		if name, ok := strings.CutPrefix(m.name, nginxPrefix); ok {
			got = append(got, name+" "+m.kind)
		}
	}
	for m := range strings.SplitSeq(nginxMetrics, ",") {
		want = append(want, strings.TrimSpace(m))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(want) != 36 {
		t.Errorf("metrics are\n%q, want\n%q", got, want)
	}
}

// TestAlertsAskForMetrics: the chart's alerts ask for metrics that exist.
func TestAlertsAskForMetrics(t *testing.T) {
	text, err := os.ReadFile("../../deploy/chart/pierhead/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\b(nginx_ingress_controller|pierhead)_\w+`).FindAllString(string(text), -1)
	if len(names) < 4 {
		t.Errorf("the alerts name %q", names)
	}
	for _, name := range names {
		if !slices.ContainsFunc(metricTable, func(m *metric) bool { return m.name == name }) {
			t.Errorf("there is no metric %s", name)
		}
	}
}

// inCluster makes the process what it is in a cluster.
func inCluster(o *Options) {
	o.Metrics = Metrics{
		Pod: "ns/pod", Lease: "lease", Revision: "abc", Leads: func() bool { return true },
		Webhook: func() []admission.Sample {
			return []admission.Sample{
				{Name: "check_success", Counter: true, Namespace: "a", Ingress: "good", Value: 2}, {Name: "check_errors", Counter: true, Namespace: "a", Ingress: "bad", Value: 1},
				{Name: "admission_tested_ingresses", Value: 3},
			}
		},
	}
}

// metered serves one host, with a certificate, and asks it once.
func metered(t *testing.T, more ...func(*Options)) *Control {
	t.Helper()
	dir := t.TempDir()
	o := newOrigin(t)
	for name, text := range changingManifests(1) {
		writeFile(t, dir+"/"+name, text)
	}
	writeFile(t, dir+"/endpoints.yaml", endpointSlices([]*origin{o}))
	writeFile(t, dir+"/orphan.yaml", `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: orphan, namespace: default}
spec:
  tls: [{hosts: [orphan.test], secretName: pair}]
  rules: [{host: orphan.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: nobody, port: {number: 80}}}}]}}]
`)
	writeFile(t, dir+"/guarded.yaml", serviceAt("guarded", o.addr.String())+`
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: guarded, namespace: default, annotations: {kubernetes.io/ingress.class: nginx, pierhead.dev/eject-after: "5", pierhead.dev/health-check-path: /, pierhead.dev/retry-budget: "20"}}
spec:
  rules: [{host: guarded.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: guarded, port: {number: 80}}}}]}}]
`)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/pair.yaml", newAuthority(t).secret("pair", "orphan.test", key, 7))
	c := startControl(t, dir, loop.DefaultKind(), more...)
	if err := ask(&http.Transport{DisableKeepAlives: true}, c.State().Controllers[0].HTTP); err != nil {
		t.Fatal(err)
	}
	// A request is counted after its answer went out, as nginx logs: ask until it is.
	counted := func() bool {
		for _, s := range c.serving() {
			if m := s.Metrics(); m.Requests > 0 && m.InFlight == 0 {
				return true
			}
		}
		return false
	}
	for end := time.Now().Add(5 * time.Second); !counted(); {
		if time.Now().After(end) {
			t.Fatal("the request is not counted")
		}
	}
	return c
}

// line prints one metric with its labels, without its value where that is of the moment.
func lines(f *dto.MetricFamily) (list []string) {
	for _, m := range f.GetMetric() {
		var b strings.Builder
		fmt.Fprintf(&b, "%s{", strings.TrimPrefix(f.GetName(), nginxPrefix))
		for i, l := range m.Label {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%s=%s", l.GetName(), l.GetValue())
		}
		b.WriteByte('}')
		if h := m.Histogram; h != nil {
			fmt.Fprintf(&b, " of %d", h.GetSampleCount())
		}
		list = append(list, b.String())
	}
	return list
}

// TestMetricsAreServed asks a running process for its metrics and reads them as
// Prometheus does: every metric of the table with a value must be there.
func TestMetricsAreServed(t *testing.T) {
	families := scrape(t, metered(t, inCluster))
	for _, m := range metricTable {
		if strings.Contains(m.name, "load_balancer") || strings.Contains(m.name, "dns") || strings.Contains(m.name, "_stream_") {
			continue // there is none in this folder
		}
		if families[m.name] == nil {
			t.Errorf("metric %s is not served", m.name)
		}
	}
	for name, want := range map[string]string{
		"requests":                      "requests{canary= controller_class=k8s.io/ingress-nginx controller_namespace=ns controller_pod=pod host=app.example.com ingress=app method=GET namespace=default path=/ service=app status=200}",
		"request_duration_seconds":      "request_duration_seconds{canary= controller_class=k8s.io/ingress-nginx controller_namespace=ns controller_pod=pod host=app.example.com ingress=app method=GET namespace=default path=/ service=app status=200} of 1",
		"build_info":                    "build_info{build=abc controller_class=k8s.io/ingress-nginx controller_namespace=ns controller_pod=pod release=test repository=https://github.com/pierhead/pierhead}",
		"orphan_ingress":                "orphan_ingress{controller_class=k8s.io/ingress-nginx controller_namespace=ns controller_pod=pod ingress=orphan namespace=default type=no-service}",
		"check_errors":                  "check_errors{controller_class=k8s.io/ingress-nginx controller_namespace=ns controller_pod=pod ingress=bad namespace=a}",
		"leader_election_status":        "leader_election_status{controller_class=k8s.io/ingress-nginx controller_namespace=ns controller_pod=pod name=lease}",
		"config_last_reload_successful": "config_last_reload_successful{controller_class=k8s.io/ingress-nginx controller_namespace=ns controller_pod=pod}",
	} {
		got := lines(families[nginxPrefix+name])
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s is\n%s, want\n%s", name, strings.Join(got, "\n"), want)
		}
	}
	for name, want := range map[string]float64{
		"config_last_reload_successful": 1, "success": 1, "errors": 0, "leader_election_status": 1, "admission_tested_ingresses": 3, "nginx_process_num_procs": 1, "requests": 1,
	} {
		m := families[nginxPrefix+name].GetMetric()
		if len(m) != 1 || m[0].GetGauge().GetValue()+m[0].GetCounter().GetValue() != want {
			t.Errorf("%s is %v, want %v", name, m, want)
		}
	}
	cert := families[nginxPrefix+"ssl_certificate_info"].GetMetric()
	if len(cert) != 1 || labelOf(cert[0], "host") != "orphan.test" || labelOf(cert[0], "namespace") != "default" || labelOf(cert[0], "secret_name") != "pair" ||
		labelOf(cert[0], "class") != "k8s.io/ingress-nginx" || labelOf(cert[0], "identifier") != "-"+labelOf(cert[0], "serial_number") {
		t.Errorf("certificates are %v", cert)
	}
	if b := families[nginxPrefix+"request_duration_seconds"].Metric[0].Histogram.Bucket; len(b) != 12 || b[0].GetUpperBound() != 0.005 || b[10].GetUpperBound() != 10 {
		t.Errorf("buckets are %v", b)
	}
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.Label {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// TestMetricsOfFiles: without a cluster there is nothing that only an ingress controller
// in a cluster has; controllers are named by their Deployments.
func TestMetricsOfFiles(t *testing.T) {
	families := scrape(t, metered(t))
	for name := range families {
		if strings.HasPrefix(name, nginxPrefix+"nginx_process") || strings.HasPrefix(name, nginxPrefix+"config") || strings.HasPrefix(name, nginxPrefix+"admission") {
			t.Errorf("%s is served", name)
		}
	}
	if got := families[nginxPrefix+"requests"].GetMetric(); len(got) != 1 || labelOf(got[0], "controller_pod") != "default" || labelOf(got[0], "controller_namespace") != "default" {
		t.Errorf("requests are %v", got)
	}
	if families[nginxPrefix+"ssl_expire_time_seconds"] == nil {
		t.Error("the end of certificates is not told")
	}
}

// TestMetricsByFlags: what is counted and told follows the flags.
func TestMetricsByFlags(t *testing.T) {
	c := metered(t, inCluster, func(o *Options) {
		o.Metrics.Count = proxy.Counting{HostsTogether: true, Classes: true, Time: []float64{1, 2}}
		o.Metrics.Exclude = []string{"bytes_sent", "nginx_ingress_controller_request_size"}
		o.Metrics.Leads = func() bool { return false }
	})
	families := scrape(t, c)
	for _, name := range []string{"bytes_sent", "request_size", "ssl_expire_time_seconds", "ssl_certificate_info"} {
		if families[nginxPrefix+name] != nil {
			t.Errorf("%s is served", name)
		}
	}
	m := families[nginxPrefix+"requests"].GetMetric()
	if len(m) != 1 || labelOf(m[0], "status") != "2xx" || strings.Contains(fmt.Sprint(m[0].Label), `"host"`) {
		t.Errorf("requests are %v", m)
	}
	if b := families[nginxPrefix+"request_duration_seconds"].Metric[0].Histogram.Bucket; len(b) != 3 {
		t.Errorf("buckets are %v", b)
	}
	families = scrape(t, metered(t, inCluster, func(o *Options) { o.Metrics.Count.Off = true }))
	if families[nginxPrefix+"requests"] != nil || families["pierhead_requests_total"] != nil || families[nginxPrefix+"config_hash"] == nil {
		t.Error("requests are counted by route, or something else is missing")
	}
}

// TestOpenMetrics: exemplars, and the names that dashboards ask for.
func TestOpenMetrics(t *testing.T) {
	c := metered(t, inCluster)
	get := func(accept string) (string, []byte) {
		req, _ := http.NewRequest("GET", "http://"+c.AdminAddr().String()+"/metrics", nil)
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Header.Get("Content-Type"), body
	}
	const accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
	get(accept) // exemplars are kept from now on
	if err := ask(&http.Transport{DisableKeepAlives: true}, c.State().Controllers[0].HTTP); err != nil {
		t.Fatal(err)
	}
	exemplar := []byte(` # {request_id="`)
	deadline := time.Now().Add(5 * time.Second)
	var kind string
	var body []byte
	for kind, body = get(accept); !bytes.Contains(body, exemplar); kind, body = get(accept) {
		if time.Now().After(deadline) {
			t.Fatalf("there is no exemplar:\n%s", body)
		}
	}
	if !strings.HasPrefix(kind, "application/openmetrics-text") || !bytes.HasSuffix(body, []byte("# EOF\n")) {
		t.Errorf("the answer is %s", kind)
	}
	for _, want := range []string{"\nnginx_ingress_controller_requests{", "# TYPE nginx_ingress_controller_requests unknown\n", "\nnginx_ingress_controller_success{", "\nnginx_ingress_controller_nginx_process_requests_total{"} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("OpenMetrics lacks %q", want)
		}
	}
	if _, text := get("text/plain"); bytes.Contains(text, exemplar) || !bytes.Contains(text, []byte("# TYPE nginx_ingress_controller_requests counter\n")) {
		t.Error("the text format is not what it was")
	}
}

// TestNativeHistograms: in protobuf, beside the usual buckets and with exemplars.
func TestNativeHistograms(t *testing.T) {
	c := metered(t, inCluster, func(o *Options) { o.Metrics.Count.Factor, o.Metrics.Count.MostBuckets = 1.1, 100 })
	req, _ := http.NewRequest("GET", "http://"+c.AdminAddr().String()+"/metrics", nil)
	req.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	dec := expfmt.NewDecoder(resp.Body, expfmt.ResponseFormat(resp.Header))
	for {
		var f dto.MetricFamily
		if err := dec.Decode(&f); err != nil {
			t.Fatalf("no histogram: %v", err)
		}
		if f.GetName() == mDuration.name {
			h := f.Metric[0].Histogram
			if h.GetSchema() != 3 || len(h.PositiveSpan) != 1 || len(h.Bucket) != 11 || h.GetSampleCount() != 1 || f.GetType() != dto.MetricType_HISTOGRAM {
				t.Errorf("histogram is %v", h)
			}
			return
		}
	}
}

// TestOwnMetricsLint: our own metrics are named as Prometheus recommends.
func TestOwnMetricsLint(t *testing.T) {
	var own []*dto.MetricFamily
	for name, f := range scrape(t, metered(t)) {
		if strings.HasPrefix(name, "pierhead_") {
			own = append(own, f)
		}
	}
	if len(own) < 15 {
		t.Errorf("%d metrics of our own", len(own))
	}
	problems, err := promlint.NewWithMetricFamilies(own).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

// TestConfigHash: the same for what is the same, another one for every change that counts.
func TestConfigHash(t *testing.T) {
	config := func(change func(*model.Config)) *model.Config {
		c := &model.Config{
			Controllers: []model.Controller{{Name: "c", Hosts: []*model.Host{{Name: "h", Routes: []model.Route{{ID: "1", Upstream: "u"}}}, {Name: "i"}}}},
			Upstreams:   []model.Upstream{{Name: "u"}}, Certificates: []model.Certificate{{Name: "a/b", Digest: "1"}},
		}
		change(c)
		return c
	}
	same := func(*model.Config) {}
	var kept, fresh configHash
	first := config(same)
	seen := map[float64]bool{kept.of(first, &first.Controllers[0]): true}
	again := config(same)
	if n := fresh.of(again, &again.Controllers[0]); !seen[n] || n != float64(uint64(n)) || n == 0 {
		t.Errorf("another process says %v", n)
	}
	for i, change := range []func(*model.Config){
		func(c *model.Config) { c.Controllers[0].Hosts[0].Routes[0].Upstream = "v" },
		func(c *model.Config) { c.Controllers[0].Hosts[0].Aliases = []string{"x"} },
		func(c *model.Config) { c.Controllers[0].Hosts = c.Controllers[0].Hosts[:1] },
		func(c *model.Config) { c.Certificates[0].Digest = "2" },
		func(c *model.Config) { c.Upstreams[0].Protocol = "HTTPS" },
		func(c *model.Config) { c.Controllers[0].Settings.HTTP2 = true },
	} {
		c := config(change)
		n := kept.of(c, &c.Controllers[0])
		if seen[n] {
			t.Errorf("change %d gives the same number", i)
		}
		seen[n] = true
	}
	last := config(same)
	if n := kept.of(last, &last.Controllers[0]); n != fresh.of(again, &again.Controllers[0]) {
		t.Error("back at the beginning the number is another one")
	}
}
