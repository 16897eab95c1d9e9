// Package plugin tests "kubectl pierhead" with a real kubectl in a real cluster, under
// accounts that have exactly the rights that docs/plugin.md tells. It runs with E2E=1 and
// as root; see make e2e.
package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/e2e/bed"
)

// kube is the cluster that the tests share, with the controller installed.
var kube *bed.Bed

// path is PATH with the plugin on it.
var path string

func TestMain(m *testing.M) {
	bed.Main(m, bed.Own(), func(ctx context.Context, b *bed.Bed) error {
		kube = b
		dir := filepath.Join(b.Dir, "plugin")
		path = dir + string(os.PathListSeparator) + os.Getenv("PATH")
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		// The program that serves, under another name.
		if err := os.Symlink(filepath.Join(b.Dir, "bin", "pierhead"), filepath.Join(dir, "kubectl-pierhead")); err != nil {
			return err
		}
		_, err := b.RunKubectl(ctx, "", "apply", "-f", filepath.Join(bed.Repository, "deploy", "kubectl", "roles.yaml"))
		return err
	})
}

// account makes a ServiceAccount with roles, in the namespace of the controller or, as
// "cluster:NAME", everywhere, and returns its kubeconfig file.
func account(t *testing.T, name string, roles ...string) string {
	t.Helper()
	ns := kube.Installed.Namespace
	run := func(args ...string) string {
		t.Helper()
		out, err := kube.RunKubectl(t.Context(), "", args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	run("-n", ns, "create", "serviceaccount", name)
	for _, role := range roles {
		if everywhere, ok := strings.CutPrefix(role, "cluster:"); ok {
			run("create", "clusterrolebinding", name+"-"+everywhere, "--clusterrole="+everywhere, "--serviceaccount="+ns+":"+name)
		} else {
			run("-n", ns, "create", "rolebinding", name+"-"+role, "--role="+role, "--serviceaccount="+ns+":"+name)
		}
	}
	token := run("-n", ns, "create", "token", name)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := run("config", "view", "--raw", "--minify", "-o", "jsonpath={.clusters[0].cluster.server} {.clusters[0].cluster.certificate-authority-data}")
	server, authority, _ := strings.Cut(text, " ")
	text = fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %q}}], users: [{name: u, user: {token: %q}}]}`, server, authority, token)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// said is what a run of the plugin ended with.
type said struct {
	out, notes string
	code       int
}

// plugin runs "kubectl pierhead" under an account.
func plugin(ctx context.Context, kubeconfig string, args ...string) (said, error) {
	cmd := exec.CommandContext(ctx, kube.Kubectl(), append([]string{"pierhead"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+path, "KUBECONFIG="+kubeconfig)
	var out, notes bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &notes
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	return said{out.String(), notes.String(), cmd.ProcessState.ExitCode()}, err
}
