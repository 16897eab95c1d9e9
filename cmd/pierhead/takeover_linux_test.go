package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// instance is a process that serves the folder of a test.
type instance struct {
	cmd   *exec.Cmd
	lines chan string // of standard error
	ended chan error
}

// start runs pierhead up.
func start(t *testing.T, args ...string) *instance {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "pierhead") // the test is the program when it has this name
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	p := &instance{cmd: exec.Command(program, append([]string{"up"}, args...)...), lines: make(chan string, 1000), ended: make(chan error, 1)}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout = io.Discard
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			p.lines <- scan.Text()
		}
		p.ended <- p.cmd.Wait()
	}()
	t.Cleanup(func() { p.cmd.Process.Kill() })
	return p
}

// says waits for a line with these words.
func (p *instance) says(t *testing.T, words string) {
	t.Helper()
	late := time.After(60 * time.Second)
	var all []string
	for {
		select {
		case line := <-p.lines:
			if all = append(all, line); strings.Contains(line, words) {
				return
			}
		case <-late:
			t.Fatalf("process %d did not say %q but\n%s", p.cmd.Process.Pid, words, strings.Join(all, "\n"))
		}
	}
}

// ends waits until the process ends in good order.
func (p *instance) ends(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("process %d: %v", p.cmd.Process.Pid, err)
		}
	case <-time.After(60 * time.Second):
		t.Fatalf("process %d does not end", p.cmd.Process.Pid)
	}
}

// TestTakeover has one process after the other take the place of the one before, under a
// load of new connections: none is refused, none is reset. One that dies before it is
// live changes nothing.
func TestTakeover(t *testing.T) {
	app := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") })}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go app.Serve(ln)
	defer app.Close()
	dir, port, admin := t.TempDir(), freePort(t), freePort(t)
	manifest := fmt.Sprintf(takenOver, ln.Addr().(*net.TCPAddr).Port)
	if err := os.WriteFile(filepath.Join(dir, "app.yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--http-port", port, "--https-port", freePort(t), "--admin-listen", "127.0.0.1:" + admin, "--dns-listen", "127.0.0.1:" + freePort(t), "--takeover", dir}
	const live = "state and metrics on"
	first := start(t, args...)
	first.says(t, live)

	var sent, failed, closed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	transport := &http.Transport{DisableKeepAlives: true}
	load.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			load.Go(func() {
				r, _ := http.NewRequest("GET", "http://127.0.0.1:"+port+"/", nil)
				sent.Add(1)
				answer, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Do(r)
				if err == nil {
					var text []byte
					if text, err = io.ReadAll(answer.Body); err == nil && string(text) != "here" {
						err = fmt.Errorf("%s: %q", answer.Status, text)
					}
					answer.Body.Close()
				}
				if err != nil {
					failed.Add(1)
					t.Errorf("a request failed: %v", err)
				}
			})
		}
	})
	some := func(n int64) {
		for want := sent.Load() + n; sent.Load() < want && ctx.Err() == nil; {
			<-time.After(5 * time.Millisecond)
		}
	}
	some(50)
	last := first
	for range 4 {
		next := start(t, args...)
		next.says(t, live)
		last.says(t, "another process serves now")
		last.ends(t)
		closed.Add(1)
		last = next
		some(50)
	}
	// Who dies on the way there takes nothing with it.
	dying := start(t, args...)
	dying.cmd.Process.Signal(syscall.SIGKILL)
	<-dying.ended
	some(100)
	answer, err := http.Get("http://127.0.0.1:" + admin + "/healthz")
	if err != nil || answer.StatusCode != 200 {
		t.Errorf("health is %v, %v", answer, err)
	}
	stop()
	load.Wait()
	t.Logf("%d requests on new connections over %d takeovers, %d failed", sent.Load(), closed.Load(), failed.Load())
	last.cmd.Process.Signal(syscall.SIGTERM)
	last.ends(t)
}

const takenOver = `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: app, labels: {kubernetes.io/service-name: app}}
addressType: IPv4
ports: [{port: %d}]
endpoints: [{addresses: [127.0.0.1]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: app}
spec:
  ingressClassName: nginx
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}]}}]
`
