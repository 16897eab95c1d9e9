package workflow

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

// TestWorkflow performs the transcript of the document and goes on from there.
func TestWorkflow(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(bed.Repository, "examples", "cluster", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	perform(t, transcript(string(text)))
	w := &world{external: address(t, "ingress-nginx-external"), internal: address(t, "ingress-nginx-internal")}
	for _, part := range []struct {
		name string
		run  func(*world, *testing.T)
	}{
		{"2017", (*world).old}, {"addresses", (*world).addresses}, {"clients", (*world).clients}, {"limits", (*world).limits}, {"ranges", (*world).ranges},
		{"another host", (*world).anotherHost}, {"PROXY protocol", (*world).proxyProtocol}, {"names", (*world).names}, {"apart", (*world).apart},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(w, t) }) {
			return
		}
	}
}

// A world is what stands after the transcript.
type world struct{ external, internal string }

// here is the namespace of the workflow.
func here(t *testing.T) *bed.Space { return &bed.Space{TB: t, Bed: kube, Name: "default"} }

func address(t *testing.T, service string) string {
	return here(t).Kubectl("", "get", "service", service, "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
}

// curl runs curl in the cluster's network and returns what it prints.
func curl(ctx context.Context, args ...string) (string, error) {
	out, err := kube.Command(ctx, "curl", append([]string{"-sS", "--max-time", "20"}, args...)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("curl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// at are the arguments for a request to a host at an address over TLS, from a source
// address, without a look at the certificate: the transcript has looked.
func at(address, host, path, from string) []string {
	return []string{"-k", "--resolve", host + ":443:" + address, "--interface", from, "https://" + host + path}
}

const (
	app    = "nodejs-app-external.encompasshost.com"
	client = "10.244.0.1" // addresses that a client in the cluster's network may have
	other  = "10.96.0.10"
)

// old: the API server takes the manifests of 2017 no more, so they had to change.
func (w *world) old(t *testing.T) {
	for _, file := range []string{"nodejs-app_ingress_external.yml", "nginx-ingress-controller-external.yml"} {
		_, err := kube.RunKubectl(t.Context(), "", "apply", "--dry-run=server", "-f", filepath.Join(bed.Repository, "examples", "external-services", file))
		if err == nil || !strings.Contains(err.Error(), "extensions/v1beta1") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// addresses: each Ingress has the address of its own controller's load balancer, the
// internal one being inside.
func (w *world) addresses(t *testing.T) {
	s := here(t)
	for ingress, want := range map[string]string{"test-ingress-external": w.external, "nodejs-app-password": w.external, "test-ingress": w.internal} {
		s.Prints(30*time.Second, want, "get", "ingress", ingress, "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")
	}
	upper := netip.MustParsePrefix("10.97.0.128/25")
	if upper.Contains(netip.MustParseAddr(w.external)) || !upper.Contains(netip.MustParseAddr(w.internal)) {
		t.Errorf("the addresses are %s outside and %s inside", w.external, w.internal)
	}
}

// clients: by the PROXY protocol the application learns who its clients are.
func (w *world) clients(t *testing.T) {
	for _, from := range []string{client, other} {
		out, err := curl(t.Context(), at(w.external, app, "/whoami", from)...)
		if err != nil {
			t.Fatal(err)
		}
		var seen bed.Seen
		if err := json.Unmarshal([]byte(out), &seen); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for name, want := range map[string]string{"X-Real-Ip": from, "X-Forwarded-For": from, "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"} {
			if got := seen.Header.Get(name); got != want {
				t.Errorf("from %s: the application sees %s: %q, want %q", from, name, got, want)
			}
		}
	}
}

// limits: 5 requests a second from one client, with a burst of 25 and one more; others are
// not concerned.
func (w *world) limits(t *testing.T) {
	begin := time.Now()
	out, err := curl(t.Context(), append([]string{"-o", "/dev/null", "-w", "%{http_code}\n"}, at(w.external, app, "/?[1-80]", client)...)...)
	if err != nil {
		t.Fatal(err)
	}
	passed, stopped := strings.Count(out, "200\n"), strings.Count(out, "503\n")
	if most := 26 + 5*time.Since(begin).Seconds() + 1; passed < 20 || float64(passed) > most || passed+stopped != 80 {
		t.Errorf("%d requests passed and %d did not; want some 26 to %.0f of 80 to pass", passed, stopped, most)
	}
	if out, err := curl(t.Context(), at(w.external, app, "/", other)...); err != nil || !strings.HasPrefix(out, "I am: ") {
		t.Errorf("another client gets %q, %v", out, err)
	}
}

// ranges: the load balancer lets in whom the Service names.
func (w *world) ranges(t *testing.T) {
	s := here(t)
	allow := func(ranges string) {
		s.Kubectl("", "patch", "service", "ingress-nginx-external", "--type=merge", "--patch", `{"spec":{"loadBalancerSourceRanges":`+ranges+`}}`)
	}
	defer allow("null")
	allow(`["` + other + `/32"]`)
	s.Eventually(10*time.Second, func() error {
		if out, err := curl(t.Context(), at(w.external, app, "/", client)...); err == nil {
			return fmt.Errorf("a client of no range gets %q", out)
		}
		return nil
	})
	if _, err := curl(t.Context(), at(w.external, app, "/", other)...); err != nil {
		t.Error(err)
	}
}

// anotherHost: one more host on the same controller, by the annotation of 2017 instead of
// the class.
func (w *world) anotherHost(t *testing.T) {
	s := here(t)
	s.Kubectl(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: another, annotations: {kubernetes.io/ingress.class: nginx-external}}
spec:
  rules:
  - host: another-app.encompasshost.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: nodejs-app-svc, port: {number: 80}}}}]}
`, "apply", "-f", "-")
	s.Eventually(10*time.Second, func() error {
		out, err := curl(t.Context(), "-H", "Host: another-app.encompasshost.com", "http://"+w.external)
		if err == nil && !strings.HasPrefix(out, "I am: ") {
			err = fmt.Errorf("answered %q", out)
		}
		return err
	})
	s.Kubectl("", "delete", "ingress", "another")
}

// proxyProtocol: who comes by the Service's cluster IP sends no header, and is refused; when
// the ConfigMap no longer asks for it the Service is told.
func (w *world) proxyProtocol(t *testing.T) {
	s := here(t)
	inside := func() (string, error) {
		conn, err := kube.Dial(t.Context(), "tcp", "ingress-nginx-internal.default.svc.cluster.local:80")
		if err != nil {
			return "", err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: nodejs-app.encompasshost.com\r\nConnection: close\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return "", err
		}
		return r.Status, r.Body.Close()
	}
	if status, err := inside(); err == nil && status != "400 Bad Request" {
		t.Errorf("a connection without a PROXY header is answered %s", status)
	}
	use := func(value string) {
		s.Kubectl("", "patch", "configmap", "ingress-nginx-internal", "--type=merge", "--patch", `{"data":{"use-proxy-protocol":"`+value+`"}}`)
	}
	use("false")
	s.Eventually(10*time.Second, func() error {
		status, err := inside()
		if err == nil && status != "200 OK" {
			err = fmt.Errorf("answered %s", status)
		}
		return err
	})
	told(s, "ingress-nginx-internal", "does not expect the PROXY protocol")
	use("true")
	s.Eventually(10*time.Second, func() error {
		_, err := curl(t.Context(), "--fail", "-H", "Host: nodejs-app.encompasshost.com", "http://"+w.internal)
		return err
	})
}

// names: the annotation of the route53-mapper is told to lead nowhere.
func (w *world) names(t *testing.T) {
	s := here(t)
	if got := s.Kubectl("", "get", "events", "--field-selector", "involvedObject.name=ingress-nginx-external,involvedObject.kind=Service", "-o", "jsonpath={.items[*].message}"); got != "" {
		t.Errorf("the Service as it is has the Events %q", got)
	}
	s.Kubectl("", "label", "service", "ingress-nginx-external", "dns=route53")
	s.Kubectl("", "annotate", "service", "ingress-nginx-external", "domainName="+app)
	told(s, "ingress-nginx-external", "Pierhead writes no DNS records in a cluster")
}

// told waits for an Event of a Service.
func told(s *bed.Space, service, text string) {
	s.Helper()
	s.Eventually(30*time.Second, func() error {
		got := s.Kubectl("", "get", "events", "--field-selector", "involvedObject.kind=Service,involvedObject.name="+service, "-o", "jsonpath={.items[*].message}")
		if !strings.Contains(got, text) {
			return fmt.Errorf("the Events of the Service are %q, want %q in them", got, text)
		}
		return nil
	})
}

// apart: each controller has its leader, and one goes on without the other.
func (w *world) apart(t *testing.T) {
	s := here(t)
	for _, name := range []string{"ingress-nginx-external", "ingress-nginx-internal"} {
		if got := s.Kubectl("", "get", "lease", name, "-o", "jsonpath={.spec.holderIdentity}"); !strings.HasPrefix(got, name+"-") {
			t.Errorf("%s is led by %q", name, got)
		}
	}
	s.Kubectl("", "scale", "deployment/ingress-nginx-internal", "--replicas=0")
	s.Eventually(60*time.Second, func() error {
		if out, err := curl(t.Context(), "-H", "Host: nodejs-app.encompasshost.com", "http://"+w.internal); err == nil {
			return fmt.Errorf("answered %q", out)
		}
		return nil
	})
	if out, err := curl(t.Context(), at(w.external, app, "/", other)...); err != nil || !strings.HasPrefix(out, "I am: ") {
		t.Errorf("outside: %q, %v", out, err)
	}
	s.Prints(60*time.Second, "", "get", "ingress", "test-ingress", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")
	s.Prints(time.Second, w.external, "get", "ingress", "test-ingress-external", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")
}
