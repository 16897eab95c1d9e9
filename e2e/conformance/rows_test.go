package conformance

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/e2e/bed"
)

// A row is one Ingress with annotations, and what they do.
type row struct {
	name  string
	notes string // "name: value", one a line; without a prefix they get ingress-nginx's
	paths []string
	host  string // NAME.rows.example unless given
	tls   bool   // with a certificate for *.rows.example
	more  string // manifests of further objects
	at    string // is asked for until it is answered with status; / and 200 unless given
	first int
	event string // an Event of the Ingress holds it
	check func(*testing.T, *caller)
}

// manifest is the row's objects, for a class.
func (r *row) manifest(class string) string {
	var b strings.Builder
	b.WriteString(r.more)
	fmt.Fprintf(&b, "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: %s\n", r.name)
	if r.notes != "" {
		b.WriteString("  annotations:\n")
	}
	for line := range strings.Lines(r.notes) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if !strings.Contains(name, "/") {
			name = "nginx.ingress.kubernetes.io/" + name
		}
		fmt.Fprintf(&b, "    %s: %q\n", name, value)
	}
	fmt.Fprintf(&b, "spec:\n  ingressClassName: %s\n", class)
	if r.tls {
		fmt.Fprintf(&b, "  tls: [{hosts: [%s], secretName: rows}]\n", r.hostname())
	}
	paths := r.paths
	if paths == nil {
		paths = []string{"Prefix / echo"}
	}
	b.WriteString("  rules:\n" + rule(r.hostname(), paths...))
	return b.String()
}

func (r *row) hostname() string {
	if r.host != "" {
		return r.host
	}
	return r.name + ".rows.example"
}

// A caller sends a row's requests to one Pod of the controller.
type caller struct {
	*testing.T
	client *http.Client
	host   string
	space  *bed.Space
	pod    string // namespace/name of the controller's Pod
}

// get asks for a path of the row's host, or for a URL.
func (c *caller) get(path string, fields ...string) *bed.Reply {
	c.Helper()
	return c.send("GET", path, fields...)
}

func (c *caller) send(method, path string, fields ...string) *bed.Reply {
	c.Helper()
	if strings.HasPrefix(path, "/") {
		path = "http://" + c.host + path
	}
	return ask(c.T, c.client, method, path, fields...)
}

// answers checks the status of an answer, and fields of it as name and value; a value of
// "" means that it is not there.
func (c *caller) answers(r *bed.Reply, status int, fields ...string) *bed.Reply {
	c.Helper()
	if r.StatusCode != status {
		c.Fatalf("%s %s: %s; want %d", r.Request.Method, r.Request.URL, r, status)
	}
	hasFields(c.T, "the answer", r.Header, fields)
	return r
}

// sees checks fields of the request as the application saw it.
func (c *caller) sees(r *bed.Reply, fields ...string) {
	c.Helper()
	hasFields(c.T, "the application", r.Seen.Header, fields)
}

func hasFields(t *testing.T, who string, h http.Header, fields []string) {
	t.Helper()
	for i := 0; i < len(fields); i += 2 {
		if got := strings.Join(h.Values(fields[i]), ", "); got != fields[i+1] {
			t.Errorf("%s has %s: %q, want %q", who, fields[i], got, fields[i+1])
		}
	}
}

// runRows applies the rows and checks all of them at once, at one Pod of a controller.
func runRows(t *testing.T, s *bed.Space, class string, pod *corev1.Pod, roots *x509.CertPool, rows []row) {
	manifest := ""
	for i := range rows {
		manifest += rows[i].manifest(class)
	}
	s.Kubectl(manifest, "apply", "-f", "-")
	t.Run("rows", func(t *testing.T) {
		for i := range rows {
			r := &rows[i]
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				c := &caller{t, kube.ClientTo(pod.Status.PodIP, roots), r.hostname(), s, pod.Namespace + "/" + pod.Name}
				t.Cleanup(c.client.CloseIdleConnections)
				c.until(r.at, max(r.first, 200))
				if r.event != "" {
					hasEvent(t, s, r.name, r.event)
				}
				if r.check != nil {
					r.check(t, c)
				}
			})
		}
	})
}

// until asks for a path until it is answered with a status.
func (c *caller) until(path string, status int) {
	c.Helper()
	if path == "" {
		path = "/"
	}
	within(c.T, 30*time.Second, func() error {
		if r := c.get(path); r.StatusCode != status {
			return fmt.Errorf("%s%s: %s; want %d", c.host, path, r, status)
		}
		return nil
	})
}

// hasEvent waits for an Event of an Ingress that holds a text.
func hasEvent(t *testing.T, s *bed.Space, ingress, text string) {
	t.Helper()
	within(t, 60*time.Second, func() error {
		list, err := kube.Client().CoreV1().Events(s.Name).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=Ingress,involvedObject.name=" + ingress})
		if err != nil {
			return err
		}
		var all []string
		for _, e := range list.Items {
			if strings.Contains(e.Message, text) {
				return nil
			}
			all = append(all, e.Message)
		}
		return fmt.Errorf("no Event of %s holds %q: %q", ingress, text, all)
	})
}

// within repeats check until it returns nil. It is bed.Space.Eventually for a test of its
// own.
func within(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	(&bed.Space{TB: t, Bed: kube}).Eventually(limit, check)
}
