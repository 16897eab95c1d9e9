package conformance

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/bed"
)

// A scenario is one request and what must come of it.
type scenario struct {
	name   string
	method string // GET unless given
	url    string
	status int    // 200 unless given
	by     string // the Deployment that answers
	check  func(*testing.T, *bed.Reply)
}

// suite counts the scenarios of all features.
type suite struct {
	ran, passed atomic.Int32
}

// TestSuite is the features of the public conformance suite for controllers of Ingresses:
// default backend, rules by host and by path, class, load balancing.
func TestSuite(t *testing.T) {
	s, begin := &suite{}, time.Now()
	t.Run("features", func(t *testing.T) {
		t.Run("host", func(t *testing.T) { t.Parallel(); s.hosts(t) })
		t.Run("path", func(t *testing.T) { t.Parallel(); s.paths(t) })
		t.Run("class", func(t *testing.T) { t.Parallel(); s.class(t) })
		t.Run("load balancing", func(t *testing.T) { t.Parallel(); s.balancing(t) })
	})
	// This one takes requests for all hosts, so it comes alone.
	t.Run("default backend", s.defaultBackend)
	t.Logf("%d scenarios, %d passed, in %s", s.ran.Load(), s.passed.Load(), time.Since(begin).Round(time.Millisecond))
	if s.ran.Load() != 30 || s.passed.Load() != 30 {
		t.Errorf("%d scenarios, %d passed; want 30 of 30", s.ran.Load(), s.passed.Load())
	}
}

// count runs one scenario.
func (s *suite) count(t *testing.T, name string, run func(*testing.T)) {
	s.ran.Add(1)
	if t.Run(name, run) {
		s.passed.Add(1)
	}
}

// each sends the requests of scenarios to the controller's Service.
func (s *suite) each(t *testing.T, roots *x509.CertPool, scenarios []scenario) {
	client := kube.ClientTo(kube.Installed.Host(), roots)
	defer client.CloseIdleConnections()
	for _, c := range scenarios {
		s.count(t, c.name, func(t *testing.T) {
			r := ask(t, client, c.method, c.url)
			if want := max(c.status, 200); r.StatusCode != want || r.Deployment() != c.by {
				t.Fatalf("%s: %s; want %d by %q", c.url, r, want, c.by)
			}
			if c.check != nil {
				c.check(t, r)
			}
		})
	}
}

// ask sends one request.
func ask(t *testing.T, client *http.Client, method, url string, fields ...string) *bed.Reply {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		body = strings.NewReader("some text")
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		request.Header.Add(fields[i], fields[i+1])
	}
	r, err := bed.Do(client, request)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return r
}

// app is the manifest of a Deployment and a Service of this name.
func app(name string, replicas int) string {
	return fmt.Sprintf(`---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers:
      - name: echo
        image: pierhead.dev/echo:latest
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec:
  selector: {app: %[1]s}
  ports: [{port: 8080, targetPort: http}]
`, name, replicas)
}

// rule is a rule of an Ingress: a host, and paths written "type path service".
func rule(host string, paths ...string) string {
	text := "  - http:\n      paths:\n"
	if host != "" {
		text = "  - host: '" + host + "'\n    http:\n      paths:\n"
	}
	for _, p := range paths {
		f := strings.Fields(p)
		text += fmt.Sprintf("      - {path: '%s', pathType: %s, backend: {service: {name: %s, port: {number: 8080}}}}\n", f[1], f[0], f[2])
	}
	return text
}

// ready applies manifests with their applications and waits until the Ingress has its
// address and all Pods of the controller answer for a host.
func ready(s *bed.Space, ingress, host string, manifest string, apps ...string) {
	s.Helper()
	for _, name := range apps {
		manifest += app(name, 1)
	}
	s.Kubectl(manifest, "apply", "-f", "-")
	for _, name := range apps {
		s.Kubectl("", "rollout", "status", "deployment/"+name, "--timeout=60s")
	}
	hasAddress(s, ingress)
	s.Answers(10*time.Second, host, 200)
}

// hasAddress waits until the status of an Ingress shows where it is to be reached.
func hasAddress(s *bed.Space, ingress string) {
	s.Helper()
	s.Eventually(60*time.Second, func() error {
		in, err := kube.Client().NetworkingV1().Ingresses(s.Name).Get(s.Context(), ingress, metav1.GetOptions{})
		if err == nil && len(in.Status.LoadBalancer.Ingress) == 0 {
			err = fmt.Errorf("the Ingress %s has no address", ingress)
		}
		return err
	})
}

func (s *suite) hosts(t *testing.T) {
	space := kube.EmptySpace(t)
	roots := certificate(space, "conformance-tls", "exact.suite.example", "*.wild.suite.example")
	ready(space, "hosts", "plain.suite.example", `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: hosts}
spec:
  ingressClassName: nginx
  tls: [{hosts: [exact.suite.example, '*.wild.suite.example'], secretName: conformance-tls}]
  rules:
`+rule("exact.suite.example", "Prefix / exact")+rule("*.wild.suite.example", "Prefix / wild")+rule("plain.suite.example", "Prefix / plain"), "exact", "wild", "plain")
	secure := func(host string) func(*testing.T, *bed.Reply) {
		return func(t *testing.T, r *bed.Reply) {
			if r.Seen.Host != host {
				t.Errorf("the application saw the host %q, want %q", r.Seen.Host, host)
			}
			if err := r.TLS.PeerCertificates[0].VerifyHostname(host); err != nil {
				t.Error(err)
			}
		}
	}
	s.each(t, roots, []scenario{
		{name: "a host is served, with its certificate", url: "https://exact.suite.example/", by: "exact", check: secure("exact.suite.example")},
		{name: "a wildcard takes one label, with its certificate", url: "https://bar.wild.suite.example/", by: "wild", check: secure("bar.wild.suite.example")},
		{name: "a wildcard does not take two labels", url: "http://baz.bar.wild.suite.example/", status: 404},
		{name: "a wildcard does not take its parent", url: "http://wild.suite.example/", status: 404},
		{name: "a host does not take hosts below it", url: "http://below.plain.suite.example/", status: 404},
		{name: "a host with a certificate redirects to it", url: "http://exact.suite.example/", status: 308, check: func(t *testing.T, r *bed.Reply) {
			if to := r.Header.Get("Location"); to != "https://exact.suite.example" {
				t.Errorf("redirected to %q", to)
			}
		}},
	})
}

func (s *suite) paths(t *testing.T) {
	space := kube.EmptySpace(t)
	ready(space, "paths", "prefix.suite.example", `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: paths}
spec:
  ingressClassName: nginx
  rules:
`+rule("exact.paths.example", "Exact /foo exact-foo")+
		rule("prefix.paths.example", "Prefix /foo prefix-foo", "Prefix /aaa prefix-aaa", "Prefix /aaa/bbb prefix-aaa-bbb")+
		rule("mixed.paths.example", "Prefix /foo prefix-foo", "Exact /foo exact-foo")+
		rule("slash.paths.example", "Prefix /aaa/bbb/ prefix-aaa-bbb", "Exact /foo/ exact-foo")+
		rule("prefix.suite.example", "Prefix / prefix-foo"),
		"exact-foo", "prefix-foo", "prefix-aaa", "prefix-aaa-bbb")
	s.each(t, nil, []scenario{
		{name: "an exact path takes itself", url: "http://exact.paths.example/foo", by: "exact-foo"},
		{name: "an exact path does not take itself with a slash", url: "http://exact.paths.example/foo/", status: 404},
		{name: "an exact path minds the case", url: "http://exact.paths.example/FOO", status: 404},
		{name: "an exact path does not take others", url: "http://exact.paths.example/bar", status: 404},
		{name: "a prefix takes itself", url: "http://prefix.paths.example/foo", by: "prefix-foo"},
		{name: "a prefix takes itself with a slash", url: "http://prefix.paths.example/foo/", by: "prefix-foo"},
		{name: "a prefix takes what is below", url: "http://prefix.paths.example/foo/bar", by: "prefix-foo"},
		{name: "a prefix minds the case", url: "http://prefix.paths.example/Foo", status: 404},
		{name: "a prefix takes whole elements", url: "http://prefix.paths.example/foobar", status: 404},
		{name: "the longest prefix wins", url: "http://prefix.paths.example/aaa/bbb/ccc", by: "prefix-aaa-bbb"},
		{name: "a shorter prefix takes the rest", url: "http://prefix.paths.example/aaa/ccc", by: "prefix-aaa"},
		{name: "a shorter prefix takes an element that only begins like the longer one", url: "http://prefix.paths.example/aaa/bbbccc", by: "prefix-aaa"},
		{name: "an exact path goes before the same prefix", url: "http://mixed.paths.example/foo", by: "exact-foo"},
		{name: "the prefix takes the rest", url: "http://mixed.paths.example/foo/bar", by: "prefix-foo"},
		{name: "the slash of a prefix does not count", url: "http://slash.paths.example/aaa/bbb", by: "prefix-aaa-bbb"},
		{name: "the slash of an exact path counts", url: "http://slash.paths.example/foo", status: 404},
	})
}

// class: an Ingress of a class that is not there is not served and has no address.
func (s *suite) class(t *testing.T) {
	space := kube.EmptySpace(t)
	ingress := func(name, class string) string {
		return "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " + name + "}\nspec:\n  ingressClassName: " + class + "\n  rules:\n" +
			rule(name+".class.example", "Prefix / app")
	}
	// The other one is applied later: when it is served, the first one would be.
	ready(space, "right", "right.class.example", ingress("wrong", "some-invalid-class-name")+ingress("right", "nginx"), "app")
	client := kube.ClientTo(kube.Installed.Host(), nil)
	defer client.CloseIdleConnections()
	s.count(t, "a class that is not there", func(t *testing.T) {
		if r := ask(t, client, "GET", "http://wrong.class.example/"); r.StatusCode != 404 {
			t.Errorf("an Ingress of another class is served: %s", r)
		}
		if got := space.Kubectl("", "get", "ingress", "wrong", "-o", "jsonpath={.status.loadBalancer.ingress}"); got != "" {
			t.Errorf("an Ingress of another class has the address %s", got)
		}
	})
}

// balancing: all of ten endpoints get requests after a Deployment has grown to ten.
func (s *suite) balancing(t *testing.T) {
	space := kube.EmptySpace(t)
	ready(space, "balanced", "balanced.example", "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: balanced}\nspec:\n  ingressClassName: nginx\n  rules:\n"+
		rule("balanced.example", "Prefix / app"), "app")
	s.count(t, "over ten endpoints", func(t *testing.T) {
		space.Kubectl("", "scale", "deployment/app", "--replicas=10")
		space.Kubectl("", "rollout", "status", "deployment/app", "--timeout=60s")
		client := kube.ClientTo(kube.Installed.Host(), nil)
		defer client.CloseIdleConnections()
		space.Eventually(20*time.Second, func() error {
			pods := map[string]int{}
			for range 100 {
				r := ask(t, client, "GET", "http://balanced.example/")
				if r.StatusCode != 200 {
					t.Fatalf("while it grows: %s", r)
				}
				pods[r.Seen.Pod]++
			}
			for pod, n := range pods {
				if n < 5 || n > 20 {
					return fmt.Errorf("%s had %d of 100 requests", pod, n)
				}
			}
			if len(pods) != 10 {
				return fmt.Errorf("%d Pods had requests", len(pods))
			}
			return nil
		})
	})
}

// defaultBackend: an Ingress without rules takes every request.
func (s *suite) defaultBackend(t *testing.T) {
	space := kube.EmptySpace(t)
	ready(space, "all", "whatever.example", `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: all}
spec:
  ingressClassName: nginx
  defaultBackend: {service: {name: app, port: {number: 8080}}}
`, "app")
	var scenarios []scenario
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"} {
		host, path := strings.ToLower(method)+".default.example", "/some/path/"+strings.ToLower(method)
		c := scenario{name: method, method: method, url: "http://" + host + path, by: "app"}
		if method == "HEAD" {
			c.by = ""
		}
		c.check = func(t *testing.T, r *bed.Reply) {
			for _, name := range []string{"Content-Type", "Date", "Server", "Content-Length"} {
				if r.Header.Get(name) == "" && !(name == "Content-Length" && r.ContentLength >= 0) {
					t.Errorf("the answer has no %s: %v", name, r.Header)
				}
			}
			if r.Proto != "HTTP/1.1" {
				t.Errorf("answered by %s", r.Proto)
			}
			if e := r.Seen; method != "HEAD" && (e.Method != method || e.URI != path || e.Host != host || e.Proto != "HTTP/1.1" || e.Header.Get("User-Agent") != "Go-http-client/1.1") {
				t.Errorf("the application saw %+v", e)
			}
		}
		scenarios = append(scenarios, c)
	}
	s.each(t, nil, scenarios)
	space.Kubectl("", "delete", "ingress", "all")
	space.Answers(10*time.Second, "whatever.example", 404)
}
