package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pierhead/pierhead/e2e/node"
)

// build sees to it that all programs are there and returns the path of the sandbox.
func (c *Cluster) build(ctx context.Context) (sandbox string, err error) {
	module, err := moduleDir(ctx)
	if err != nil {
		return "", err
	}
	k8s := exec.CommandContext(ctx, "go", "run", ".")
	k8s.Dir, k8s.Env = filepath.Join(module, "k8s"), append(os.Environ(), "GOWORK=off")
	var tail bytes.Buffer
	k8s.Stderr = &progress{c, &tail}
	out, err := k8s.Output()
	if err != nil {
		return "", fmt.Errorf("build the control plane: %w\n%s", err, tail.Bytes())
	}
	c.Bin = strings.TrimSpace(string(out))
	bin := filepath.Join(c.Dir, "bin")
	if err := compile(ctx, module, bin+"/", "./apps/..."); err != nil {
		return "", err
	}
	images := map[string]node.Image{EchoImage: {Binary: filepath.Join(bin, "echo")}, PauseImage: {Binary: filepath.Join(bin, "sandbox")}}
	for name, image := range c.options.Images {
		images[name] = image
	}
	for name, image := range images {
		if err := c.Images.Set(name, image); err != nil {
			return "", err
		}
	}
	return filepath.Join(bin, "sandbox"), nil
}

// Build compiles a package of the module in dir into a static program and lets it run in
// the place of an image. names are the paths it has in the container; by default / and
// the package's last element.
func (c *Cluster) Build(ctx context.Context, image, dir, pkg string, names ...string) error {
	binary := filepath.Join(c.Dir, "bin", filepath.Base(pkg))
	if err := compile(ctx, dir, binary, pkg); err != nil {
		return err
	}
	return c.Images.Set(image, node.Image{Binary: binary, Names: names})
}

// compile runs go build for a static program.
func compile(ctx context.Context, dir, to, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// moduleDir finds the folder of this module: PIERHEAD_E2E, or where the working directory
// lies in it or in the repository around it.
func moduleDir(ctx context.Context) (string, error) {
	if dir := os.Getenv("PIERHEAD_E2E"); dir != "" {
		return dir, nil
	}
	cmd := exec.CommandContext(ctx, "go", "env", "GOMOD")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	for _, dir := range []string{root, filepath.Join(root, "e2e")} {
		if _, err := os.Stat(filepath.Join(dir, "k8s", "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("folder %s: not of this repository: run it there, or set PIERHEAD_E2E to its folder e2e", root)
}

// progress passes the lines of a build on and keeps the last for an error message.
type progress struct {
	c    *Cluster
	tail *bytes.Buffer
}

func (p *progress) Write(text []byte) (int, error) {
	p.c.options.Progress.Write(text)
	return p.tail.Write(text)
}
