package policy

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/model"
)

// TestCheckOfGRPC holds that a health check which is not done is told, wherever it was
// asked for.
func TestCheckOfGRPC(t *testing.T) {
	g, _ := ReadGlobal(map[string]string{"health-check-path": "/healthz"}, model.Origin{Kind: "ConfigMap", Name: "c"}, nil)
	for name, in := range map[string]Input{
		"ConfigMap": {Origin: app, Settings: g, Annotations: map[string]string{DefaultPrefix + "/backend-protocol": "GRPC"}},
		"Ingress":   {Origin: app, Annotations: map[string]string{DefaultPrefix + "/backend-protocol": "GRPC", DefaultPrefix + "/health-check-path": "/healthz"}},
	} {
		if r := Route(in); r.Upstream.Check.Path != "" || !strings.Contains(reasons(r), "GRPC are not asked") {
			t.Errorf("%s: check %+v, told %q", name, r.Upstream.Check, reasons(r))
		}
	}
	if r := Route(Input{Origin: app, Settings: g}); r.Upstream.Check.Path != "/healthz" || strings.Contains(reasons(r), "not asked") {
		t.Errorf("over HTTP: check %+v, told %q", r.Upstream.Check, reasons(r))
	}
}
