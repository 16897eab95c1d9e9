package suite

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/cluster"
)

// traces are what a cluster could leave on the machine.
type traces struct{ links, mounts, names, processes []string }

// lookAround collects them; processes are those whose command line mentions dir.
func lookAround(t *testing.T, dir string) traces {
	t.Helper()
	var out traces
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		out.links = append(out.links, l.Name)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, dir) {
			out.mounts = append(out.mounts, line)
		}
	}
	names, err := os.ReadDir("/run/netns")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, n := range names {
		out.names = append(out.names, n.Name())
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range commands {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte(dir)) {
			out.processes = append(out.processes, string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
		}
	}
	return out
}

// mustBeGone fails unless the machine is as it was before the cluster in dir.
func mustBeGone(t *testing.T, before traces, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder %s: %v, want it gone", dir, err)
	}
	after := lookAround(t, dir)
	if len(after.processes) > 0 {
		t.Errorf("processes left: %q", after.processes)
	}
	if len(after.mounts) > 0 {
		t.Errorf("mounts left: %q", after.mounts)
	}
	if !slices.Equal(after.links, before.links) {
		t.Errorf("links %q, want %q as before", after.links, before.links)
	}
	if !slices.Equal(after.names, before.names) {
		t.Errorf("named namespaces %q, want %q as before", after.names, before.names)
	}
}

// command builds the command cluster once.
func command(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cluster")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../cmd/cluster").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// The second cluster beside that of the other tests comes up by the command, works from
// outside by its kubeconfig, and leaves nothing.
func TestUpAndDown(t *testing.T) {
	program, dir := command(t), filepath.Join(t.TempDir(), "second")
	before := lookAround(t, dir)
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	if out := run(program, "up", "-dir", dir); !strings.Contains(out, "kubeconfig   "+dir) {
		t.Errorf("up printed %q, want the path of the kubeconfig", out)
	}
	defer exec.Command(program, "down", "-dir", dir).Run()
	if out, err := exec.Command(program, "up", "-dir", dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "is up already") {
		t.Errorf("a second up: %v, %s, want it refused", err, out)
	}
	config := filepath.Join(dir, "kubeconfig")
	run(kube.Kubectl(), "--kubeconfig", config, "create", "deployment", "one", "--image="+cluster.EchoImage)
	run(kube.Kubectl(), "--kubeconfig", config, "rollout", "status", "deployment/one", "--timeout=60s")
	run(kube.Kubectl(), "--kubeconfig", config, "expose", "deployment/one", "--port=8080")
	if out := run(program, "enter", "-dir", dir, "getent", "hosts", "one.default.svc.cluster.local"); !strings.Contains(out, "10.96.") {
		t.Errorf("the name of the Service leads to %q, want its cluster IP", out)
	}
	if got := len(lookAround(t, dir).processes); got < 5 {
		t.Errorf("%d processes are found while the cluster is up: this test would not see what it leaves", got)
	}
	run(program, "down", "-dir", dir)
	mustBeGone(t, before, dir)
}

// A cluster whose process is killed takes everything with it but its folder, and that
// goes with the next down.
func TestKilled(t *testing.T) {
	program, dir := command(t), filepath.Join(t.TempDir(), "killed")
	before := lookAround(t, dir)
	up := exec.CommandContext(t.Context(), program, "up", "-foreground", "-dir", dir)
	up.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	s := &space{t, ""}
	s.eventually(2*time.Minute, func() error {
		_, err := os.Stat(filepath.Join(dir, "run.json"))
		return err
	})
	config := filepath.Join(dir, "kubeconfig")
	if out, err := exec.Command(kube.Kubectl(), "--kubeconfig", config, "run", "one", "--image="+cluster.EchoImage).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command(kube.Kubectl(), "--kubeconfig", config, "wait", "pod/one", "--for=condition=ready", "--timeout=60s").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := up.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	up.Wait()
	s.eventually(10*time.Second, func() error {
		if left := lookAround(t, dir).processes; len(left) > 0 {
			return fmt.Errorf("processes left: %q", left)
		}
		return nil
	})
	if out, err := exec.Command(program, "down", "-dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mustBeGone(t, before, dir)
}

func TestWithoutRoot(t *testing.T) {
	program := command(t)
	for dir := filepath.Dir(program); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	up := exec.CommandContext(t.Context(), program, "up", "-dir", filepath.Join(t.TempDir(), "none"))
	up.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := up.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "needs root") {
		t.Errorf("%v: %q, want it refused for want of root", err, out)
	}
}
