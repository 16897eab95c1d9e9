package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/e2e/bed"
)

// A flagged is a controller of one Pod, and what a flag does to it.
type flagged struct {
	name     string // also its class and its Deployment
	args     []string
	manifest string // further objects in the first namespace
	check    func(*flagCase)
}

// A flagCase is a flagged while it is checked.
type flagCase struct {
	*testing.T
	flagged
	client       *http.Client
	pod          *corev1.Pod
	first, other *bed.Space
	roots        *x509.CertPool
}

// ingress is an Ingress of a class, or of none, for a host, or for all.
func ingress(name, class, notes, host string) string {
	text := "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " + name + ", annotations: {" + notes + "}}\nspec:\n"
	if class != "" {
		text += "  ingressClassName: " + class + "\n"
	}
	return text + "  rules:\n" + rule(host, "Prefix / echo")
}

// asks waits until a host is answered with a status.
func (f *flagCase) asks(host string, status int) *bed.Reply {
	f.Helper()
	var r *bed.Reply
	within(f.T, 30*time.Second, func() error {
		if r = ask(f.T, f.client, "GET", "http://"+host+"/"); r.StatusCode != status {
			return fmt.Errorf("%s: %s; want %d", host, r, status)
		}
		return nil
	})
	return r
}

// has waits until the status of an Ingress in the first namespace shows addresses.
func (f *flagCase) has(ingress, want string) {
	f.Helper()
	f.first.Prints(30*time.Second, want, "get", "ingress", ingress, "-o", "jsonpath={.status.loadBalancer.ingress[*].ip} {.status.loadBalancer.ingress[*].hostname}")
}

// TestFlags: flags of ingress-nginx's program, each given to a controller of its own. Every
// one of them has an Ingress NAME of its class for the host NAME.first.example in the first
// namespace, and for NAME.other.example in the other one.
func TestFlags(t *testing.T) {
	first, other := kube.EmptySpace(t), kube.EmptySpace(t)
	first.Kubectl("", "label", "namespace", first.Name, "team=blue")
	roots := certificate(first, "default-cert", "*.fallback.example")
	first.Kubectl(app("echo", 1)+app("fallback", 1), "apply", "-f", "-")
	other.Kubectl(app("echo", 1), "apply", "-f", "-")
	controllers, all, others := "", "", ""
	cases := flags(first.Name)
	if n := len(cases[0].args); n < 70 {
		t.Errorf("the manual has %d flags", n)
	}
	for i := range cases {
		f := &cases[i]
		controllers += controller(f.name, f.args...)
		all += f.manifest + ingress(f.name, f.name, "", f.name+".first.example")
		others += ingress(f.name, f.name, "", f.name+".other.example")
	}
	first.KubectlIn(kube.Installed.Namespace, controllers, "apply", "-f", "-")
	first.Kubectl(all, "apply", "-f", "-")
	other.Kubectl(others, "apply", "-f", "-")
	for i := range cases {
		t.Run(cases[i].name, func(t *testing.T) {
			t.Parallel()
			in := func(s *bed.Space) *bed.Space { return &bed.Space{TB: t, Bed: kube, Name: s.Name} }
			f := &flagCase{T: t, flagged: cases[i], first: in(first), other: in(other), roots: roots}
			f.pod = podOf(t, kube.Installed.Namespace, f.name)
			f.client = kube.ClientTo(f.pod.Status.PodIP, roots)
			t.Cleanup(f.client.CloseIdleConnections)
			f.check(f)
		})
	}
}

func flags(first string) []flagged {
	return []flagged{
		{name: "all-flags", args: allFlags(), check: func(f *flagCase) { f.asks("all-flags.first.example", 200) }},
		{name: "watch-namespace", args: []string{"--watch-namespace=" + first}, check: func(f *flagCase) {
			f.asks("watch-namespace.first.example", 200)
			f.asks("watch-namespace.other.example", 404)
		}},
		{name: "watch-namespace-selector", args: []string{"--watch-namespace-selector=team=blue"}, check: func(f *flagCase) {
			f.asks("watch-namespace-selector.first.example", 200)
			f.asks("watch-namespace-selector.other.example", 404)
			f.other.Kubectl("", "label", "namespace", f.other.Name, "team=blue")
			f.asks("watch-namespace-selector.other.example", 200)
		}},
		{name: "watch-ingress-without-class", args: []string{"--watch-ingress-without-class"}, manifest: ingress("classless", "", "", "classless.example"), check: func(f *flagCase) {
			f.asks("classless.example", 200)
			f.asks("watch-ingress-without-class.first.example", 200)
			if got, err := kube.Status(f.Context(), "classless.example"); err != nil || got != 404 {
				f.Errorf("a controller without the flag answers %d, %v", got, err)
			}
		}},
		{name: "ingress-class-by-name", args: []string{"--ingress-class-by-name", "--controller-class=example.com/nobody"}, check: func(f *flagCase) {
			f.asks("ingress-class-by-name.first.example", 200)
		}},
		{name: "controller-class", args: []string{"--controller-class=example.com/nobody"}, check: func(f *flagCase) {
			f.asks("controller-class.first.example", 404) // its class names another controller
		}},
		{name: "default-backend-service", args: []string{"--default-backend-service=" + first + "/fallback"}, check: func(f *flagCase) {
			if r := f.asks("nobody.example", 200); r.Deployment() != "fallback" {
				f.Errorf("what no rule takes is answered by %s", r)
			}
			if r := f.asks("default-backend-service.first.example", 200); r.Deployment() != "echo" {
				f.Errorf("what a rule takes is answered by %s", r)
			}
		}},
		{name: "default-ssl-certificate", args: []string{"--default-ssl-certificate=" + first + "/default-cert"}, check: func(f *flagCase) {
			within(f.T, 30*time.Second, func() error {
				raw, err := kube.Dial(f.Context(), "tcp", f.pod.Status.PodIP+":443")
				if err != nil {
					return err
				}
				defer raw.Close()
				return tls.Client(raw, &tls.Config{RootCAs: f.roots, ServerName: "any.fallback.example"}).HandshakeContext(f.Context())
			})
		}},
		{name: "publish-status-address", args: []string{"--publish-status-address=192.0.2.7,lb.example.com"}, check: func(f *flagCase) {
			f.has("publish-status-address", "192.0.2.7 lb.example.com")
		}},
		{name: "update-status", args: []string{"--update-status=false", "--publish-status-address=192.0.2.8"}, check: func(f *flagCase) {
			f.asks("update-status.first.example", 200)
			// Two more get their Sync events, one after the other: the first would have its
			// address by then.
			for _, name := range []string{"update-status-1", "update-status-2"} {
				f.first.Kubectl(ingress(name, "update-status", "", name+".example"), "apply", "-f", "-")
				hasEvent(f.T, f.first, name, "Scheduled for sync")
			}
			f.has("update-status-1", "")
			f.has("update-status", "")
		}},
		{name: "disable-catch-all", args: []string{"--disable-catch-all"}, manifest: ingress("hostless", "disable-catch-all", "", ""), check: func(f *flagCase) {
			f.asks("disable-catch-all.first.example", 200)
			f.asks("nobody.example", 404)
		}},
		{name: "annotations-prefix", args: []string{"--annotations-prefix=example.com"},
			manifest: ingress("prefixed", "annotations-prefix", "example.com/permanent-redirect: 'https://www.example.com/'", "prefixed.example") +
				ingress("unprefixed", "annotations-prefix", "nginx.ingress.kubernetes.io/permanent-redirect: 'https://www.example.com/'", "unprefixed.example"),
			check: func(f *flagCase) {
				f.asks("prefixed.example", 301)
				f.asks("unprefixed.example", 200)
			}},
	}
}

// allFlags gives every flag that the manual lists, also those that ingress-nginx has
// removed, with its default where it has one. Those that say which API server is meant are
// left out, and --version.
func allFlags() (args []string) {
	text, err := os.ReadFile(filepath.Join(bed.Repository, "docs", "flags.md"))
	if err != nil {
		panic(err)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| `?([^|`]*)`? \\| ([a-z ]+) \\|").FindAllStringSubmatch(string(text), -1) {
		name, value, state := row[1], strings.TrimSpace(row[2]), row[3]
		switch {
		case slices.Contains([]string{"apiserver-host", "kubeconfig", "certificate-authority", "version", "controller-class", "ingress-class", "disable-leader-election"}, name):
			continue
		case state == "removed" && strings.HasSuffix(name, "-port"):
			value = "442"
		case state == "removed":
			value = "true"
		}
		args = append(args, "--"+name+"="+value)
	}
	return args
}
