package control

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	prommodel "github.com/prometheus/common/model"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/manual"
)

// TestMetricsAreTold holds that docs/metrics.md lists the metrics as they are.
func TestMetricsAreTold(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range metricTable {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, strings.ReplaceAll(m.labels, " ", ", "), m.doc)
	}
	manual.Compare(t, "metrics.md", "metrics", b.String()+"\n")
}

// TestMetricsAreServed asks a running process for its metrics and reads them as
// Prometheus does; every metric of the table with a value must be there.
func TestMetricsAreServed(t *testing.T) {
	dir := t.TempDir()
	o := newOrigin(t)
	for name, text := range changingManifests(1) {
		writeFile(t, dir+"/"+name, text)
	}
	writeFile(t, dir+"/endpoints.yaml", endpointSlices([]*origin{o}))
	c := startControl(t, dir, loop.DefaultKind())
	if err := ask(&http.Transport{DisableKeepAlives: true}, c.State().Controllers[0].HTTP); err != nil {
		t.Fatal(err)
	}
	// A request is counted after its answer went out, as nginx logs: ask until it is.
	requests := func() float64 {
		f := scrape(t, c)["nginx_ingress_controller_requests"]
		if f == nil || len(f.Metric) != 1 {
			return 0
		}
		return f.Metric[0].GetCounter().GetValue()
	}
	for end := time.Now().Add(5 * time.Second); requests() != 1; {
		if time.Now().After(end) {
			t.Fatalf("requests: %v, want 1", requests())
		}
	}
	families := scrape(t, c)
	for _, m := range metricTable {
		if strings.Contains(m.name, "load_balancer") || strings.Contains(m.name, "dns") {
			continue // there is none in this folder
		}
		if families[m.name] == nil {
			t.Errorf("metric %s is not served", m.name)
		}
	}
}

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, c *Control) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := http.Get("http://" + c.AdminAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(prommodel.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}
