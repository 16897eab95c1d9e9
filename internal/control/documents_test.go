package control

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	prommodel "github.com/prometheus/common/model"

	"github.com/pierhead/pierhead/internal/manual"
)

// TestMetricsAreTold holds that docs/metrics.md lists the metrics as they are.
func TestMetricsAreTold(t *testing.T) {
	const head = "\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
	var own, nginx strings.Builder
	own.WriteString(head)
	nginx.WriteString(head)
	for _, m := range metricTable {
		b := &own
		if strings.HasPrefix(m.name, nginxPrefix) {
			b = &nginx
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, strings.ReplaceAll(m.labels, " ", ", "), m.doc)
	}
	manual.Compare(t, "metrics.md", "nginx-metrics", nginx.String()+"\n")
	manual.Compare(t, "metrics.md", "metrics", own.String()+"\n")
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
