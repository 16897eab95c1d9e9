package policy

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/model"
)

// TestCheckOfGRPC holds which health checks are done and how, and that one that is not
// done is told, wherever it was asked for.
func TestCheckOfGRPC(t *testing.T) {
	g, _ := ReadGlobal(map[string]string{"health-check-path": "/healthz", "health-check-grpc-service": "all", "health-check-status": "200"}, model.Origin{Kind: "ConfigMap", Name: "c"}, nil)
	path := map[string]string{"health-check-path": "/healthz"}
	for name, c := range map[string]struct {
		protocol string
		settings *Global
		own      map[string]string
		service  string
		told     string // "": nothing
		off      bool
	}{
		"ConfigMap":           {"GRPC", g, nil, "all", "", false},
		"Ingress":             {"GRPCS", nil, path, "", "", false},
		"one service":         {"GRPC", g, map[string]string{"health-check-grpc-service": "my.v1.Service"}, "my.v1.Service", "", false},
		"status":              {"GRPC", nil, map[string]string{"health-check-path": "/", "health-check-status": "200"}, "", "SERVING", false},
		"HTTP":                {"HTTP", g, nil, "", "", false},
		"HTTPS and a service": {"HTTPS", nil, map[string]string{"health-check-path": "/", "health-check-grpc-service": "a"}, "", "asked for the path", false},
		"service, no path":    {"GRPC", nil, map[string]string{"health-check-grpc-service": "a"}, "", "nothing is asked", true},
		"FCGI":                {"FCGI", g, nil, "", "FCGI are not asked", true},
		"a bad name":          {"GRPC", nil, map[string]string{"health-check-path": "/", "health-check-grpc-service": "a b"}, "", "health-check-grpc-service", false},
	} {
		in := Input{Origin: app, Settings: c.settings, Annotations: map[string]string{DefaultPrefix + "/backend-protocol": c.protocol}}
		for k, v := range c.own {
			in.Annotations[DefaultPrefix+"/"+k] = v
		}
		r := Route(in)
		got := r.Upstream.Check
		if (got.Path == "") != c.off || got.Service != c.service || c.told != "" && !strings.Contains(reasons(r), c.told) || c.told == "" && reasons(r) != "" {
			t.Errorf("%s: check %+v, told %q", name, got, reasons(r))
		}
	}
}
