// Package rolling tests that nothing is lost while everything around a request is
// replaced: the application, the controller, the control plane. It runs with E2E=1 and
// as root; see make e2e. ROLLS and OUTAGE in the environment make it longer.
package rolling

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
	"github.com/pierhead/pierhead/e2e/load"
)

// kube is the cluster that the tests share, with the controller installed.
var kube *bed.Bed

// drainLimit is the controller's worker-shutdown-timeout.
const drainLimit = 6 * time.Second

func TestMain(m *testing.M) {
	in := bed.IngressNginx()
	bed.Main(m, in, func(ctx context.Context, b *bed.Bed) error {
		kube = b
		_, err := b.RunKubectl(ctx, "", "-n", in.Namespace, "patch", "configmap", in.Deployment, "--type=merge",
			"-p", `{"data":{"worker-shutdown-timeout":"`+drainLimit.String()+`"}}`)
		return err
	})
}

// application starts the application with three replicas and serves it under a host.
func application(t *testing.T) (*bed.Space, string) {
	t.Helper()
	s := kube.EmptySpace(t)
	app := strings.Replace(bed.App, "replicas: 2", "replicas: 3", 1)
	app = strings.Replace(app, "      containers:", "      terminationGracePeriodSeconds: 10\n      containers:", 1)
	s.Kubectl(app, "apply", "-f", "-")
	s.Kubectl("", "rollout", "status", "deployment/echo", "--timeout=120s")
	host := s.Host("app")
	s.Kubectl(bed.Ingress("app", host, `nginx.ingress.kubernetes.io/ssl-redirect: "false"`), "apply", "-f", "-")
	s.Answers(10*time.Second, host, 200)
	return s, host
}

// under runs f under load and returns what became of the load, which goes on until
// everything that f did has come to rest.
func under(t *testing.T, host string, change func(*load.Options), f func()) *load.Report {
	t.Helper()
	service := kube.Installed.Host()
	o := load.Options{Dial: kube.Dial, HTTP: service + ":80", TLS: service + ":443", Host: host, Rate: 200, Sockets: 10}
	if change != nil {
		change(&o)
	}
	l := load.Start(t.Context(), o)
	defer l.Stop() // when f fails
	answered(t, l, 300)
	f()
	answered(t, l, 500)
	r := l.Stop()
	t.Log(r)
	for _, kind := range []string{load.Kept, load.Fresh, load.H2, load.H2C, load.Socket} {
		if r.Rows[kind].Sent == 0 {
			t.Errorf("nothing was sent over %s", kind)
		}
	}
	return r
}

// answered waits for so many further answers.
func answered(t *testing.T, l *load.Load, n int) {
	t.Helper()
	if err := l.More(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

// lossless fails when a request did.
func lossless(t *testing.T, r *load.Report) {
	t.Helper()
	if len(r.Failures) > 0 {
		t.Errorf("%d of %d requests failed, want none", len(r.Failures), r.Sent())
	}
}
