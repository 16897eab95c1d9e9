// Command k8s builds the control plane of the Kubernetes release that its own go.mod
// pins (etcd, kube-apiserver, kube-controller-manager, kubectl) from the module proxy and
// prints the folder they are in. The folder is in the user's cache and named after
// everything that decides what is in it, so each machine builds a release once.
//
// It is a module of its own because k8s.io/kubernetes excludes versions that only a main
// module can exclude, and because any other requirement would move the versions that its
// packages are compiled with, and cached under.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A program is one binary of the control plane.
type program struct {
	name, pkg string
	cost      string // what a first build takes, for the one who waits
}

// programs are built in this order: each finds the packages of the one before compiled.
var programs = []program{
	{"etcd", "go.etcd.io/etcd/server/v3", "about 1 minute"},
	{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", "about 8 minutes"},
	{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", "about 2 minutes"},
	{"kubectl", "k8s.io/kubernetes/cmd/kubectl", "about 20 seconds"},
}

func main() {
	cache := flag.String("cache", "", "`folder` to keep the binaries under (default: pierhead in the user's cache)")
	flag.Parse()
	dir, err := build(*cache)
	if err != nil {
		fmt.Fprintln(os.Stderr, "k8s:", err)
		os.Exit(1)
	}
	fmt.Println(dir)
}

// build returns the folder with all programs, after building what is missing in it.
func build(cache string) (string, error) {
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(user, "pierhead")
	}
	flags, err := buildFlags()
	if err != nil {
		return "", err
	}
	name, err := folderName(flags)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, name)
	if complete(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	// Nothing else on the machine should feel these minutes; the compilers inherit it.
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19); err != nil {
		return "", fmt.Errorf("setpriority: %w", err)
	}
	for _, p := range programs {
		if err := compile(p, flags, dir); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// complete says whether dir has every program. A program is moved there when it is
// whole, so its presence is enough.
func complete(dir string) bool {
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join(dir, p.name)); err != nil {
			return false
		}
	}
	return true
}

// buildFlags returns the flags of go build, with the stamp by which the programs know
// their version: kubectl refuses to talk to a server that does not.
func buildFlags() ([]string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes").Output()
	if err != nil {
		return nil, fmt.Errorf("go list k8s.io/kubernetes: %w (run this inside e2e/k8s)", err)
	}
	version := strings.TrimSpace(string(out))
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("version %q of k8s.io/kubernetes: must be v1.N.P", version)
	}
	const stamp = " -X k8s.io/component-base/version."
	ldflags := "-s -w" + stamp + "gitVersion=" + version + stamp + "gitMajor=" + parts[0] + stamp + "gitMinor=" + parts[1] +
		stamp + "gitTreeState=clean" + stamp + "gitCommit=" + version + stamp + "buildDate=1970-01-01T00:00:00Z"
	return []string{"-buildvcs=false", "-trimpath", "-ldflags", ldflags}, nil
}

// folderName names the binaries by what decides their content.
func folderName(flags []string) (string, error) {
	h := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		h.Write(text)
	}
	fmt.Fprintln(h, runtime.GOOS, runtime.GOARCH, flags)
	return "k8s-" + hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// lock takes the file at path for this process, waiting while another builds.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		say("another run is building; waiting for it")
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
	return func() { f.Close() }, nil
}

// compile builds p into dir unless it is there.
func compile(p program, flags []string, dir string) error {
	final := filepath.Join(dir, p.name)
	if _, err := os.Stat(final); err == nil {
		return nil
	}
	say("building %s (%s on two cores, once per machine)", p.name, p.cost)
	start := time.Now()
	partial := final + ".partial"
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", partial, p.pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("go build %s: %w\n%s", p.pkg, err, out.Bytes())
			}
			say("built %s in %s", p.name, time.Since(start).Round(time.Second))
			return os.Rename(partial, final)
		case <-minute.C:
			say("still building %s: %s so far", p.name, time.Since(start).Round(time.Minute))
		}
	}
}

// say tells the one who waits; the folder alone goes to standard output.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
