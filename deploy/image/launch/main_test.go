//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestMain plays the program that launch becomes: it tells how it was called, and which
// capabilities are in effect.
func TestMain(m *testing.M) {
	if os.Getenv("PLAY") == "" {
		os.Exit(m.Run())
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_, after, _ := strings.Cut(string(status), "CapEff:")
	effective, _, _ := strings.Cut(strings.TrimSpace(after), "\n")
	fmt.Println(strings.Join(os.Args, " "), effective)
	os.Exit(0)
}

// launch builds the program, to become the one of this test.
func launch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "launch") // others may enter it, unlike t.TempDir's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	player := filepath.Join(dir, "player")
	if err := os.WriteFile(player, self, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "launch")
	cmd := exec.Command("go", "build", "-ldflags", "-X main.pierhead="+player, "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func TestHandsOnItsWords(t *testing.T) {
	path := launch(t)
	cmd := exec.Command(path, "--http-port=80", "a b")
	cmd.Args[0] = "/nginx-ingress-controller"
	cmd.Env = []string{"PLAY=1"}
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "/nginx-ingress-controller --http-port=80 a b ") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestWaitShutdown(t *testing.T) {
	cmd := exec.Command(launch(t))
	cmd.Args[0] = "/wait-shutdown"
	cmd.Env = []string{"PLAY=1"}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("%q, %v", out, err)
	}
}

// TestKeepsTheRight starts launch as a container runtime does: as another user, with no
// new privileges, with the capability or without. Only root can play that; without root
// the kernel's answer is that there is nothing to keep.
func TestKeepsTheRight(t *testing.T) {
	path := launch(t)
	if os.Geteuid() != 0 {
		if got := effective(t, exec.Command(path)); got != 0 {
			t.Errorf("capabilities from nowhere: %x", got)
		}
		return
	}
	const mayBind = "\x00\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	if err := syscall.Setxattr(path, "security.capability", []byte(mayBind), 0); err != nil {
		t.Fatal(err)
	}
	as := []string{"--reuid=65532", "--regid=65532", "--clear-groups", "--no-new-privs"}
	for _, c := range []struct {
		name  string
		given []string
		want  uint64
	}{
		{"with", []string{"--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service", "--bounding-set=-all,+net_bind_service"}, 1 << netBindService},
		{"without", []string{"--inh-caps=-all", "--bounding-set=-all"}, 0},
	} {
		if got := effective(t, exec.Command("setpriv", append(append(as, c.given...), path)...)); got != c.want {
			t.Errorf("%s: capabilities in effect are %x, not %x", c.name, got, c.want)
		}
	}
}

// effective runs the player and returns its capabilities.
func effective(t *testing.T, cmd *exec.Cmd) uint64 {
	t.Helper()
	cmd.Env = append(os.Environ(), "PLAY=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	words := strings.Fields(string(out))
	n, err := strconv.ParseUint(words[len(words)-1], 16, 64)
	if err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	return n
}
