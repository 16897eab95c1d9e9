// Package interop runs gRPC's own interoperability test, by grpc-go's client and server,
// through Pierhead: in the clear and over TLS, on both sides. Pierhead asks that server how
// it is. It needs no cluster, and runs with E2E=1; see make e2e.
package interop

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
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/ports"
)

func TestMain(m *testing.M) {
	if os.Getenv("E2E") != "1" {
		fmt.Println("these tests build gRPC's test programs: run them by \"make e2e\", or with E2E=1")
		return
	}
	os.Exit(m.Run())
}

// cases are those that need no login.
var cases = []string{
	"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "timeout_on_sleeping_server",
	"cancel_after_begin", "cancel_after_first_response", "custom_metadata", "status_code_and_message", "special_status_message",
	"unimplemented_method", "unimplemented_service",
}

func TestInterop(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir := t.TempDir()
	interop, pierhead := filepath.Join(dir, "interop"), filepath.Join(dir, "pierhead")
	build(ctx, t, "../tools/interop", interop, ".")
	build(ctx, t, "../..", pierhead, "./cmd/pierhead")
	clear, secure := serve(ctx, t, interop)
	for protocol, endpoint := range map[string]string{"GRPC": clear, "GRPCS": secure} {
		plain, tls, _ := up(ctx, t, pierhead, endpoint, "nginx.ingress.kubernetes.io/backend-protocol: "+protocol)
		for name, args := range map[string][]string{"in the clear": {"run", plain}, "over TLS": {"run", tls, "tls"}} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				out, err := exec.CommandContext(ctx, interop, args...).CombinedOutput()
				if got := strings.Fields(string(out)); err != nil || strings.Join(got, " ") != strings.Join(cases, " ") {
					t.Errorf("%v, after\n%s", err, out)
				}
			})
		}
	}
}

// TestHealth has Pierhead ask grpc-go's own server how it is: the server as a whole, which
// is well, and a service that is not.
func TestHealth(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := t.TempDir()
	interop, pierhead := filepath.Join(dir, "interop"), filepath.Join(dir, "pierhead")
	build(ctx, t, "../tools/interop", interop, ".")
	build(ctx, t, "../..", pierhead, "./cmd/pierhead")
	clear, secure := serve(ctx, t, interop)
	for protocol, endpoint := range map[string]string{"GRPC": clear, "GRPCS": secure} {
		for service, want := range map[string]string{
			"":     `pierhead_upstream_checks_total{result="passed",upstream="default-grpc-80"}`,
			"sick": `pierhead_upstream_checks_total{result="failed",upstream="default-grpc-80"}`,
		} {
			t.Run(protocol+" "+service, func(t *testing.T) {
				notes := "nginx.ingress.kubernetes.io/backend-protocol: " + protocol + `, pierhead.dev/health-check-path: /, pierhead.dev/health-check-interval: 1s, pierhead.dev/health-check-unhealthy: "1"`
				inUse := "1"
				if service != "" {
					notes, inUse = notes+", pierhead.dev/health-check-grpc-service: "+service, "0"
				}
				_, _, admin := up(ctx, t, pierhead, endpoint, notes)
				use := fmt.Sprintf(`pierhead_upstream_endpoint_in_use{endpoint=%q,upstream="default-grpc-80"}`, endpoint)
				m := scrape(ctx, t, admin, func(m map[string]string) bool { return m[want] != "" && m[want] != "0" && m[use] == inUse })
				for name, n := range m {
					if strings.HasPrefix(name, "pierhead_upstream_checks_total{") && name != want && n != "0" {
						t.Errorf("%s is %s", name, n)
					}
				}
			})
		}
	}
}

// scrape waits until the metrics are as they should be, and returns them.
func scrape(ctx context.Context, t *testing.T, admin string, ready func(map[string]string) bool) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+admin+"/metrics", nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]string{}
		for line := range strings.Lines(string(body)) {
			if name, n, ok := strings.Cut(strings.TrimSpace(line), "} "); ok {
				m[name+"}"] = n
			}
		}
		if ready(m) {
			return m
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the metrics stay\n%s", body)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func build(ctx context.Context, t *testing.T, dir, to, pkg string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", to, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", dir, err, out)
	}
}

// start runs a program until the end of the test.
func start(ctx context.Context, t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
}

// serve starts gRPC's server and returns its addresses.
func serve(ctx context.Context, t *testing.T, interop string) (clear, secure string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, interop, "serve")
	if _, err := cmd.StdinPipe(); err != nil { // it ends when this does
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(ctx, t, cmd)
	line, err := bufio.NewReader(out).ReadString('\n')
	f := strings.Fields(line)
	if err != nil || len(f) != 2 {
		t.Fatalf("the server says %q, %v", line, err)
	}
	return f[0], f[1]
}

// up starts Pierhead before an endpoint, with annotations, and returns its addresses.
func up(ctx context.Context, t *testing.T, pierhead, endpoint, annotations string) (plain, tls, admin string) {
	t.Helper()
	_, port, _ := net.SplitHostPort(endpoint)
	file := filepath.Join(t.TempDir(), "grpc.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, manifest, port, annotations), 0o600); err != nil {
		t.Fatal(err)
	}
	free := ports.Free(t, 3)
	cmd := exec.CommandContext(ctx, pierhead, "up", "--listen-address", "127.0.0.1", "--http-port", free[0], "--https-port", free[1], "--admin-listen", "127.0.0.1:"+free[2], "--dns-listen", "off", file)
	cmd.Stderr = os.Stderr
	start(ctx, t, cmd)
	for addr := "127.0.0.1:" + free[1]; ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return "127.0.0.1:" + free[0], addr, "127.0.0.1:" + free[2]
		}
		select {
		case <-ctx.Done():
			t.Fatalf("pierhead does not listen: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

const manifest = `apiVersion: v1
kind: Service
metadata: {name: grpc, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: grpc-1, namespace: default, labels: {kubernetes.io/service-name: grpc}}
addressType: IPv4
endpoints: [{addresses: ["127.0.0.1"]}]
ports: [{port: %s}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: grpc
  namespace: default
  annotations: {kubernetes.io/ingress.class: nginx, %s}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: grpc, port: {number: 80}}}}]}}]}
`
