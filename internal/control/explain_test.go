package control

import (
	"bytes"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/admin"
)

// TestExplainBalance: what is explained says how the endpoint is chosen, unless in turn.
func TestExplainBalance(t *testing.T) {
	for notes, want := range map[string]string{
		"": "",
		"nginx.ingress.kubernetes.io/load-balance: ewma":             "ewma",
		"nginx.ingress.kubernetes.io/upstream-hash-by: $remote_addr": "by the text of $remote_addr",
		"pierhead.dev/eject-after: '3'":                              "",
		"nginx.ingress.kubernetes.io/affinity: cookie":               "by the cookie INGRESSCOOKIE",
	} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "a.yaml"), `
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: app, annotations: {kubernetes.io/ingress.class: nginx, `+notes+`}}
spec:
  rules:
  - host: app.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}]}
`)
		plan, err := Load([]string{dir}, Rules{Translate: testOptions()})
		if err != nil {
			t.Fatal(err)
		}
		u := &url.URL{Scheme: "http", Host: "app.example.com", Path: "/"}
		got := Explain(plan, "", &admin.Request{URL: u})
		if len(got) != 1 || got[0].Balance != want {
			t.Fatalf("%s: %+v, want balance %q", notes, got, want)
		}
		var text bytes.Buffer
		got[0].WriteText(&text, u)
		if h := got[0].Health; (h == "ejected after 3 failed tries in a row, for 10s at first") != strings.Contains(notes, "eject") {
			t.Errorf("%s: health is %q", notes, h)
		}
		if told := strings.Contains(text.String(), "  balance     "+want+"\n"); told != (want != "") {
			t.Errorf("%s: the text is\n%s", notes, &text)
		}
	}
}
