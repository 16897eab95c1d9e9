package upgrade

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
	"github.com/pierhead/pierhead/e2e/load"
)

// theirValues are values of a release of ingress-nginx.
const theirValues = `
controller:
  replicaCount: 2
  config: {worker-shutdown-timeout: 5s}
  extraArgs: {post-shutdown-grace-period: 1}
  ingressClassResource: {default: true}
`

// TestReleaseMoves: the release is upgraded and rolled back while requests run. None
// fails; the Service keeps its addresses; Ingresses are checked before, between and after.
func TestReleaseMoves(t *testing.T) {
	s := kube.EmptySpace(t)
	installTheirs(t, s)
	s.Kubectl(bed.App, "apply", "-f", "-")
	s.Kubectl("", "rollout", "status", "deployment/echo", "--timeout=60s")
	host := s.Host("app")
	s.Kubectl(bed.Ingress("app", host, `nginx.ingress.kubernetes.io/ssl-redirect: "false"`), "apply", "-f", "-")
	service := "ingress-nginx-controller." + space + ".svc.cluster.local"
	began := addresses(s)
	judged(s, "before")
	l := load.Start(t.Context(), load.Options{
		Dial: kube.Dial, HTTP: service + ":80", TLS: service + ":443", Host: host, Rate: 200, Sockets: 5, Age: 2 * time.Second, Posts: true,
	})
	defer l.Stop() // when something fails
	sent(t, l, 300)

	// The commands are those of docs/install.md.
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, []byte(runHelm(t, "get", "values", "ingress-nginx", "--namespace", space, "--output", "yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	chart := filepath.Join(bed.Repository, "deploy", "chart", "pierhead")
	t.Log(runHelm(t, "upgrade", "ingress-nginx", chart, "--namespace", space, "--values", values, "--set", "nameOverride=ingress-nginx"))
	rolled(s, ourImage)
	judged(s, "between")
	t.Log(runHelm(t, "rollback", "ingress-nginx", "--namespace", space))
	rolled(s, theirImage)
	judged(s, "after")

	sent(t, l, 300)
	report := l.Stop()
	t.Log(report)
	if len(report.Failures) > 0 {
		t.Errorf("%d of %d requests failed, want none", len(report.Failures), report.Sent())
	}
	if ended := addresses(s); ended != began {
		t.Errorf("the Service has %s, had %s", ended, began)
	}
}

// installTheirs installs ingress-nginx's chart, and does what its jobs do: a certificate
// for the webhook, which the API server is to trust.
func installTheirs(t *testing.T, s *bed.Space) {
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, []byte(theirValues), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Kubectl("", "create", "namespace", space)
	cert, key, _, err := bed.KeyPair("ingress-nginx-controller-admission."+space+".svc", "ingress-nginx-controller-admission")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"ca": cert, "cert": cert, "key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.KubectlIn(space, "", "create", "secret", "generic", "ingress-nginx-admission", "--from-file="+dir)
	runHelm(t, "install", "ingress-nginx", theirChart, "--namespace", space, "--values", values, "--no-hooks")
	trust := fmt.Sprintf(`[{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": %q}]`, base64.StdEncoding.EncodeToString(cert))
	s.KubectlIn(space, "", "patch", "validatingwebhookconfiguration", "ingress-nginx-admission", "--type=json", "--patch", trust)
	rolled(s, theirImage)
}

// runHelm runs Helm and returns what it prints.
func runHelm(t *testing.T, args ...string) string {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{"HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"} {
		t.Setenv(name, home)
	}
	t.Setenv("KUBECONFIG", kube.Kubeconfig())
	out, err := output(t.Context(), "", helm, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rolled waits until all Pods of the controller run an image and no others are left.
func rolled(s *bed.Space, image string) {
	s.Helper()
	s.KubectlIn(space, "", "rollout", "status", "deployment/ingress-nginx-controller", "--timeout=120s")
	s.Eventually(60*time.Second, func() error {
		images := strings.Fields(s.KubectlIn(space, "", "get", "pods", "-o", "jsonpath={.items[*].spec.containers[*].image}"))
		for _, i := range images {
			if !strings.HasPrefix(i, image+":") && !strings.HasPrefix(i, image+"@") {
				return fmt.Errorf("a Pod runs %s, want %s", i, image)
			}
		}
		if len(images) != 2 {
			return fmt.Errorf("%d Pods run, want 2", len(images))
		}
		return nil
	})
}

// addresses returns what clients know of the controller's Service.
func addresses(s *bed.Space) string {
	s.Helper()
	return s.KubectlIn(space, "", "get", "service", "ingress-nginx-controller", "-o", "jsonpath={.metadata.uid} {.spec.clusterIP} {.status.loadBalancer.ingress[0].ip}")
}

// judged: an Ingress that is right is taken, and one that is not is refused by the webhook.
func judged(s *bed.Space, when string) {
	s.Helper()
	s.Kubectl(bed.Ingress(when, s.Host(when), ""), "apply", "-f", "-")
	out, err := kube.RunKubectl(s.Context(), bed.Ingress("wrong-"+when, s.Host("app"), ""), "-n", s.Name, "apply", "-f", "-")
	if err == nil || !strings.Contains(err.Error(), "denied the request") || !strings.Contains(err.Error(), "is already defined") {
		s.Errorf("%s: an Ingress for a taken path: %s%v", when, out, err)
	}
}

// sent waits for so many further requests.
func sent(t *testing.T, l *load.Load, n int) {
	t.Helper()
	if err := l.More(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}
