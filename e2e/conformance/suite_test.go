package conformance

import (
	"context"
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
	first  int    // the status of a redirect that the client follows; 0: there is none
	status int    // 200 unless given
	by     string // the Deployment that answers
	check  func(*testing.T, *bed.Reply)
}

// suite counts the scenarios of all features.
type suite struct {
	ran, passed atomic.Int32
}

// TestSuite is the 30 scenarios of the public conformance suite for controllers of Ingresses:
// default backend, rules by host and by path, class, load balancing. Its Ingresses name no
// class, so that they get the default one; it asks hosts with a certificate over http, and
// wants a Server field, which the ConfigMap allows. One of its requests is answered as
// ingress-nginx does, by a redirect that a client follows: a path that lacks the final slash
// of its Prefix.
func TestSuite(t *testing.T) {
	kubectl := func(args ...string) {
		if _, err := kube.RunKubectl(context.Background(), "", args...); err != nil {
			t.Fatal(err)
		}
	}
	set := func(class, redirect, tokens string) {
		kubectl("annotate", "ingressclass", "nginx", "ingressclass.kubernetes.io/is-default-class"+class)
		kubectl("-n", kube.Installed.Namespace, "patch", "configmap", "ingress-nginx-controller", "--type=merge",
			"--patch", `{"data":{"ssl-redirect":`+redirect+`,"server-tokens":`+tokens+`}}`)
	}
	set("=true", `"false"`, `"true"`)
	defer set("-", "null", "null")
	s, begin := &suite{}, time.Now()
	t.Run("features", func(t *testing.T) {
		t.Run("host rules", func(t *testing.T) { t.Parallel(); s.hosts(t) })
		t.Run("path rules", func(t *testing.T) { t.Parallel(); s.paths(t) })
		t.Run("class", func(t *testing.T) { t.Parallel(); s.class(t) })
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
			if c.first != 0 {
				if r.StatusCode != c.first {
					t.Fatalf("%s: %s; want %d", c.url, r, c.first)
				}
				r = ask(t, client, c.method, r.Header.Get("Location"))
			}
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
	roots := certificate(space, "conformance-tls", "foo.bar.example")
	ready(space, "hosts", "any.foo.example", `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: hosts}
spec:
  tls: [{hosts: [foo.bar.example], secretName: conformance-tls}]
  rules:
`+rule("*.foo.example", "Prefix / wildcard-foo")+rule("foo.bar.example", "Prefix / foo-bar"), "wildcard-foo", "foo-bar")
	host := func(want string) func(*testing.T, *bed.Reply) {
		return func(t *testing.T, r *bed.Reply) {
			if r.Seen.Host != want {
				t.Errorf("the application saw the host %q, want %q", r.Seen.Host, want)
			}
		}
	}
	s.each(t, roots, []scenario{
		// That the certificate is right for the host is what the client checks.
		{name: "a host is served over TLS", url: "https://foo.bar.example/", by: "foo-bar", check: host("foo.bar.example")},
		{name: "a host is served", url: "http://foo.bar.example/", by: "foo-bar", check: host("foo.bar.example")},
		{name: "a host beside it is not", url: "http://subdomain.bar.example/", status: 404},
		{name: "a wildcard takes one label", url: "http://bar.foo.example/", by: "wildcard-foo", check: host("bar.foo.example")},
		{name: "a wildcard does not take two labels", url: "http://baz.bar.foo.example/", status: 404},
		{name: "a wildcard does not take no label", url: "http://foo.example/", status: 404},
	})
}

func (s *suite) paths(t *testing.T) {
	space := kube.EmptySpace(t)
	ready(space, "paths", "live.paths.example", `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: paths}
spec:
  rules:
`+rule("exact.paths.example", "Exact /foo foo-exact")+
		rule("prefix.paths.example", "Prefix /foo foo-prefix", "Prefix /aaa/bbb aaa-bbb-prefix", "Prefix /aaa aaa-prefix")+
		rule("mixed.paths.example", "Prefix /foo foo-prefix", "Exact /foo foo-exact")+
		rule("slash.paths.example", "Prefix /aaa/bbb/ aaa-bbb-slash-prefix", "Exact /foo/ foo-slash-exact")+
		rule("live.paths.example", "Prefix / foo-prefix"),
		"foo-exact", "foo-prefix", "aaa-prefix", "aaa-bbb-prefix", "aaa-bbb-slash-prefix", "foo-slash-exact")
	path := func(want string) func(*testing.T, *bed.Reply) {
		return func(t *testing.T, r *bed.Reply) {
			if r.Seen.URI != want {
				t.Errorf("the application saw the path %q, want %q", r.Seen.URI, want)
			}
		}
	}
	s.each(t, nil, []scenario{
		{name: "an exact path takes itself", url: "http://exact.paths.example/foo", by: "foo-exact", check: path("/foo")},
		{name: "an exact path does not take itself with a slash", url: "http://exact.paths.example/foo/", status: 404},
		{name: "an exact path minds the case", url: "http://exact.paths.example/FOO", status: 404},
		{name: "an exact path does not take others", url: "http://exact.paths.example/bar", status: 404},
		{name: "a prefix takes itself", url: "http://prefix.paths.example/foo", by: "foo-prefix", check: path("/foo")},
		{name: "a prefix takes itself with a slash", url: "http://prefix.paths.example/foo/", by: "foo-prefix", check: path("/foo/")},
		{name: "a prefix minds the case", url: "http://prefix.paths.example/FOO", status: 404},
		{name: "the longest prefix wins", url: "http://prefix.paths.example/aaa/bbb", by: "aaa-bbb-prefix", check: path("/aaa/bbb")},
		{name: "the longest prefix takes what is below", url: "http://prefix.paths.example/aaa/bbb/ccc", by: "aaa-bbb-prefix", check: path("/aaa/bbb/ccc")},
		{name: "a shorter prefix takes the rest", url: "http://prefix.paths.example/aaa/ccc", by: "aaa-prefix", check: path("/aaa/ccc")},
		{name: "a prefix takes whole elements", url: "http://prefix.paths.example/aaaccc", status: 404},
		{name: "so does the longest prefix", url: "http://prefix.paths.example/aaa/bbbccc", by: "aaa-prefix", check: path("/aaa/bbbccc")},
		{name: "an exact path goes before the same prefix", url: "http://mixed.paths.example/foo", by: "foo-exact", check: path("/foo")},
		{name: "a prefix with a slash takes itself without", url: "http://slash.paths.example/aaa/bbb", first: 301, by: "aaa-bbb-slash-prefix", check: path("/aaa/bbb/")},
		{name: "a prefix with a slash takes itself", url: "http://slash.paths.example/aaa/bbb/", by: "aaa-bbb-slash-prefix", check: path("/aaa/bbb/")},
		{name: "an exact path with a slash does not take itself without", url: "http://slash.paths.example/foo", status: 404},
	})
}

// class: an Ingress of a class that is not there is not served and has no address.
func (s *suite) class(t *testing.T) {
	space := kube.EmptySpace(t)
	ingress := func(name, class string) string {
		return "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " + name + "}\nspec:\n  ingressClassName: " + class + "\n  rules:\n" +
			rule(name+".class.example", "Prefix / app")
	}
	// The other one is applied later: when it has its address, the first one would have it.
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

// defaultBackend: an Ingress without rules takes every request, and when its Deployment
// has grown to ten Pods all of them get some.
func (s *suite) defaultBackend(t *testing.T) {
	space := kube.EmptySpace(t)
	ready(space, "all", "whatever.example", `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: all}
spec:
  defaultBackend: {service: {name: echo-service, port: {number: 8080}}}
`, "echo-service")
	var scenarios []scenario
	for _, c := range []struct{ method, host, path string }{
		{"GET", "my-host", "/"}, {"GET", "my-host", "/sub-path"}, {"POST", "some-host", "/"},
		{"PUT", kube.Installed.Host(), "/resource"}, {"DELETE", "some-host", "/resource"}, {"PATCH", "my-host", "/resource"},
	} {
		scenarios = append(scenarios, scenario{name: c.method + " " + c.path, method: c.method, url: "http://" + c.host + c.path, by: "echo-service", check: func(t *testing.T, r *bed.Reply) {
			for _, name := range []string{"Content-Length", "Content-Type", "Date", "Server"} {
				if r.Header.Get(name) == "" {
					t.Errorf("the answer has no %s: %v", name, r.Header)
				}
			}
			if e := r.Seen; r.Proto != "HTTP/1.1" || e.Proto != "HTTP/1.1" || e.Method != c.method || e.URI != c.path || e.Header.Get("User-Agent") != "Go-http-client/1.1" {
				t.Errorf("answered by %s; the application saw %+v", r.Proto, e)
			}
		}})
	}
	s.each(t, nil, scenarios)
	s.count(t, "load balancing", func(t *testing.T) { balanced(t, space) })
	space.Kubectl("", "delete", "ingress", "all")
	space.Answers(10*time.Second, "whatever.example", 404)
}

// balanced: a Deployment has grown to ten Pods, and each of them gets its share.
func balanced(t *testing.T, space *bed.Space) {
	space.Kubectl("", "scale", "deployment/echo-service", "--replicas=10")
	space.Kubectl("", "rollout", "status", "deployment/echo-service", "--timeout=60s")
	client := kube.ClientTo(kube.Installed.Host(), nil)
	defer client.CloseIdleConnections()
	within(t, 20*time.Second, func() error {
		pods := map[string]int{}
		for range 100 {
			r := ask(t, client, "GET", "http://load-balancing/")
			if r.StatusCode != 200 {
				t.Fatalf("after it has grown: %s", r)
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
}
