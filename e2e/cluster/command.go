package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Enter returns the arguments of a command line that runs a program inside the cluster's
// namespace, with its DNS.
func (c *Cluster) Enter() []string { return EnterPid(c.Namespace.Pid()) }

// EnterPid is Enter for the namespace that process pid holds.
func EnterPid(pid int) []string {
	return []string{"nsenter", "--target", fmt.Sprint(pid), "--net", "--mount"}
}

// Command is exec.CommandContext for a program that runs inside the cluster's namespace, in
// the current working directory. It dies with us.
func (c *Cluster) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	line := append(append(c.Enter(), "--wd="+dir, "--", name), args...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// RunKubectl runs kubectl from outside, with input, and returns what it prints. An error
// has its complaint.
func (c *Cluster) RunKubectl(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.Kubectl(), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
	cmd.Stdin = strings.NewReader(input)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return string(out), nil
}

// Apply runs "kubectl apply" on a manifest.
func (c *Cluster) Apply(ctx context.Context, manifest string) error {
	_, err := c.RunKubectl(ctx, manifest, "apply", "-f", "-")
	return err
}
