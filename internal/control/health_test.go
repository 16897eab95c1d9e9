package control

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
)

// TestHealthIsTold: an endpoint that fails its check is told in the log and in the metrics.
func TestHealthIsTold(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	defer srv.Close()
	at := netip.MustParseAddrPort(srv.Listener.Addr().String())
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.yaml"), fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {ports: [{port: 80, targetPort: %d}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: app}
subsets: [{addresses: [{ip: %s}], ports: [{port: %d}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: app
  annotations: {kubernetes.io/ingress.class: nginx, pierhead.dev/health-check-path: /, pierhead.dev/health-check-interval: 1s, pierhead.dev/health-check-unhealthy: "1", pierhead.dev/eject-after: "5"}
spec:
  rules:
  - host: app.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}]}
`, at.Port(), at.Addr(), at.Port()))
	log := &proxytest.Buffer{}
	c := startControl(t, dir, loop.DefaultKind(), func(o *Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
	log.Wait(t, fmt.Sprintf("endpoint %s of default-app-80 is unhealthy: status 500; no endpoint is left, so that all are used", at))
	for _, u := range c.Current().Upstreams {
		if want := at.String() + ": unhealthy: status 500"; u.Name == "default-app-80" && (len(u.Out) != 1 || u.Out[0] != want || u.Health == "") {
			t.Errorf("the state is %+v, want %q out", u, want)
		}
	}
	got := scrape(t, c)
	for name, want := range map[string]float64{"pierhead_upstream_endpoint_in_use": 0, "pierhead_upstream_all_used": 1, "pierhead_upstream_ejections_total": 0} {
		f := got[name]
		if f == nil || len(f.Metric) != 1 {
			t.Errorf("%s is %v, want one value", name, f)
		} else if v := f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue(); v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	for _, m := range got["pierhead_upstream_checks_total"].GetMetric() {
		for _, l := range m.Label {
			if l.GetName() == "result" && (l.GetValue() == "failed") != (m.GetCounter().GetValue() > 0) {
				t.Errorf("checks: %v", m)
			}
		}
	}
}
