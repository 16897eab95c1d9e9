// Package upgrade tests that a release of ingress-nginx becomes one of Pierhead by the
// commands of docs/install.md, and goes back, by Helm itself and under load. nginx does not
// run here: before the move too the program is Pierhead's, under ingress-nginx's name, with
// the objects and flags of its chart. It runs with E2E=1 and as root; see make e2e.
package upgrade

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/e2e/bed"
	"github.com/pierhead/pierhead/e2e/node"
)

// kube is the cluster, in which nothing is installed yet.
var kube *bed.Bed

// The programs and files that the test needs.
var (
	helm       string // Helm
	theirChart string // the folder of ingress-nginx's chart
)

const (
	space      = "ingress-nginx"
	ourImage   = "ghcr.io/pierhead/pierhead"
	theirImage = "registry.k8s.io/ingress-nginx/controller"
)

func TestMain(m *testing.M) {
	bed.Main(m, bed.Installation{Namespace: space, Selector: "app.kubernetes.io/name=ingress-nginx"}, func(ctx context.Context, b *bed.Bed) error {
		kube = b
		return prepare(ctx, b)
	})
}

// prepare builds Helm and the images.
func prepare(ctx context.Context, b *bed.Bed) error {
	tools, err := filepath.Abs("../tools/helm")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "building Helm, which takes some minutes the first time")
	helm = filepath.Join(b.Dir, "bin", "helm")
	if _, err := output(ctx, tools, "go", "build", "-o", helm, "helm.sh/helm/v4/cmd/helm"); err != nil {
		return err
	}
	if _, err := output(ctx, tools, "go", "mod", "download", "k8s.io/ingress-nginx"); err != nil {
		return err
	}
	dir, err := output(ctx, tools, "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/ingress-nginx")
	if err != nil {
		return err
	}
	theirChart = filepath.Join(dir, "charts", "ingress-nginx")
	// Both images hold the same programs, as Pierhead's does under ingress-nginx's names.
	root := filepath.Join(b.Dir, "image")
	if _, err := output(ctx, filepath.Join(bed.Repository, "deploy", "image"), "go", "build", "-o", filepath.Join(root, "wait-shutdown"), "./launch"); err != nil {
		return err
	}
	if err := b.Build(ctx, ourImage, bed.Repository, "./cmd/pierhead"); err != nil {
		return err
	}
	for _, name := range []string{ourImage, theirImage} {
		image := node.Image{Binary: filepath.Join(b.Dir, "bin", "pierhead"), Names: []string{"/pierhead", "/nginx-ingress-controller"}, Root: root}
		if err := b.Images.Set(name, image); err != nil {
			return err
		}
	}
	return nil
}

// output runs a program in a folder and returns what it prints.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
