// Package admission tests the validating webhook of Pierhead as its own manifests install
// it, by kubectl and a real API server, and the roles that they have. It runs with E2E=1
// and as root; see make e2e.
package admission

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

// kube is the cluster that the tests share, with Pierhead installed.
var kube *bed.Bed

func TestMain(m *testing.M) {
	bed.Main(m, bed.Own(), func(_ context.Context, b *bed.Bed) error { kube = b; return nil })
}

const notes = "nginx.ingress.kubernetes.io/"

// said is what kubectl did.
type said struct {
	done     bool
	warnings []string // in the order it printed them
	errors   string
}

// kubectl runs kubectl in the namespace and returns what it said besides its output.
func kubectl(s *bed.Space, input string, args ...string) said {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), kube.Kubectl(), append([]string{"-n", s.Name}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kube.Kubeconfig())
	cmd.Stdin = strings.NewReader(input)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out := said{done: cmd.Run() == nil}
	for line := range strings.Lines(complaints.String()) {
		if w, ok := strings.CutPrefix(line, "Warning: "); ok {
			out.warnings = append(out.warnings, strings.TrimSpace(w))
		} else {
			out.errors += line
		}
	}
	return out
}

func apply(s *bed.Space, manifest string) said {
	s.Helper()
	return kubectl(s, manifest, "apply", "-f", "-")
}

// refused fails unless kubectl was told by the webhook that an object is refused, and why.
func (o said) refused(s *bed.Space, why string) {
	s.Helper()
	const by = `admission webhook "validate.nginx.ingress.kubernetes.io" denied the request: `
	if o.done || !strings.Contains(o.errors, by) || !strings.Contains(o.errors, why) {
		s.Errorf("done: %v, kubectl says %q; want a refusal because %q", o.done, o.errors, why)
	}
}

// taken fails unless the object was stored.
func (o said) taken(s *bed.Space) {
	s.Helper()
	if !o.done {
		s.Errorf("kubectl says %q", o.errors)
	}
}

// settings changes the controller's ConfigMap until the end of the test and waits until
// proof is answered by the new settings.
func settings(s *bed.Space, change string, proof func() error) {
	s.Helper()
	const name = "configmap/pierhead-controller"
	patch := func(text string) {
		s.KubectlIn(kube.Installed.Namespace, "", "patch", name, "--type=merge", "-p", `{"data":`+text+`}`)
	}
	s.Cleanup(func() {
		if _, err := kube.RunKubectl(context.Background(), "", "-n", kube.Installed.Namespace, "patch", name, "--type=json", "-p", `[{"op":"add","path":"/data","value":{}}]`); err != nil {
			s.Error(err)
		}
	})
	patch(change)
	s.Eventually(20*time.Second, proof)
}
