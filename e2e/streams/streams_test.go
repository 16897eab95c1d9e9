package streams

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/bed"
)

// app is an application that speaks TCP, TLS and UDP, with its Service.
const app = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 2
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - name: echo
        image: pierhead.dev/echo:latest
        args: [-tls-listen=:8443, -udp-listen=:8053]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec:
  selector: {app: app}
  ports:
  - {name: tcp, port: 80, targetPort: 8080}
  - {name: tls, port: 443, targetPort: 8443}
  - {name: dns, port: 53, protocol: UDP, targetPort: 8053}
`

func start(t *testing.T) *bed.Space {
	s := kube.EmptySpace(t)
	s.Kubectl(app, "apply", "-f", "-")
	s.Kubectl("", "rollout", "status", "deployment/app", "--timeout=60s")
	return s
}

// lead writes an entry of a ConfigMap of ports; "" removes it.
func lead(s *bed.Space, configMap, port, to string) {
	value, _ := json.Marshal(to)
	if to == "" {
		value = []byte("null")
	}
	s.KubectlIn(kube.Installed.Namespace, "", "patch", "configmap", configMap, "--patch", fmt.Sprintf(`{"data": {%q: %s}}`, port, value))
}

// pods lists the addresses of the controller's Pods.
func pods(s *bed.Space) []string {
	return strings.Fields(s.KubectlIn(kube.Installed.Namespace, "", "get", "pods", "-l", kube.Installed.Selector, "-o", "jsonpath={.items[*].status.podIP}"))
}

// asked sends a request over a connection and returns the name of the Pod that answers.
func asked(c net.Conn, r *bufio.Reader) (string, error) {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: app\r\n\r\n"); err != nil {
		return "", err
	}
	size := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line = strings.TrimSpace(line); line == "" {
			break
		}
		fmt.Sscanf(line, "Content-Length: %d", &size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", err
	}
	var answer struct{ Pod string }
	err := json.Unmarshal(body, &answer)
	return answer.Pod, err
}

// TestTCP: an entry of the ConfigMap opens a port on the controller's Service, in turn to
// every Pod; without the entry the port is closed, and what stands goes on.
func TestTCP(t *testing.T) {
	s := start(t)
	at := kube.Installed.Host() + ":9000"
	lead(s, "tcp-services", "9000", s.Name+"/app:tcp")
	seen := map[string]bool{}
	var conn net.Conn
	var reader *bufio.Reader
	s.Eventually(20*time.Second, func() error {
		c, err := kube.Dial(t.Context(), "tcp", at)
		if err != nil {
			return err
		}
		r := bufio.NewReader(c)
		pod, err := asked(c, r)
		if err != nil {
			c.Close()
			return err
		}
		if conn != nil {
			conn.Close()
		}
		conn, reader = c, r
		if seen[pod] = true; len(seen) < 2 {
			return fmt.Errorf("only %v answer", seen)
		}
		return nil
	})
	defer conn.Close()
	lead(s, "tcp-services", "9000", "")
	s.Eventually(20*time.Second, func() error {
		for _, ip := range pods(s) {
			if c, err := kube.Dial(t.Context(), "tcp", net.JoinHostPort(ip, "9000")); err == nil {
				c.Close()
				return fmt.Errorf("%s still listens on 9000", ip)
			}
		}
		return nil
	})
	if _, err := asked(conn, reader); err != nil {
		t.Errorf("the connection that stood does not any more: %v", err)
	}
}

// TestTCPWithoutEndpoints: the port is open as long as a Pod is ready.
func TestTCPWithoutEndpoints(t *testing.T) {
	s := start(t)
	lead(s, "tcp-services", "9001", s.Name+"/app:80")
	defer lead(s, "tcp-services", "9001", "")
	at := net.JoinHostPort(pods(s)[0], "9001")
	open := func(want bool) {
		t.Helper()
		s.Eventually(30*time.Second, func() error {
			c, err := kube.Dial(t.Context(), "tcp", at)
			if err == nil {
				c.Close()
			}
			if (err == nil) != want {
				return fmt.Errorf("open=%v is not so: %v", want, err)
			}
			return nil
		})
	}
	open(true)
	s.Kubectl("", "scale", "deployment", "app", "--replicas=0")
	open(false)
	s.Kubectl("", "scale", "deployment", "app", "--replicas=1")
	open(true)
}

// TestUDP: datagrams to a Pod of the controller are answered by the application's.
func TestUDP(t *testing.T) {
	s := start(t)
	lead(s, "udp-services", "9053", s.Name+"/app:dns")
	defer lead(s, "udp-services", "9053", "")
	at := net.JoinHostPort(pods(s)[0], "9053")
	seen := map[string]bool{}
	s.Eventually(20*time.Second, func() error {
		c, err := kube.Dial(t.Context(), "udp", at)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(500 * time.Millisecond))
		if _, err := io.WriteString(c, "hello"); err != nil {
			return err
		}
		buf := make([]byte, 100)
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		pod, text, _ := strings.Cut(string(buf[:n]), " ")
		if text != "hello" {
			t.Errorf("the answer is %q", buf[:n])
		}
		if seen[pod] = true; len(seen) < 2 {
			return fmt.Errorf("only %v answer", seen)
		}
		return nil
	})
}

// TestPassthrough: TLS for a host whose Ingress asks for it ends at the application, by
// curl and openssl; that for another host ends at the controller.
func TestPassthrough(t *testing.T) {
	s := start(t)
	whole, opened := s.Host("whole"), s.Host("opened")
	for host, note := range map[string]string{whole: `nginx.ingress.kubernetes.io/ssl-passthrough: "true"`, opened: "nginx.ingress.kubernetes.io/backend-protocol: HTTPS"} {
		manifest := bed.Ingress(strings.SplitN(host, ".", 2)[0], host, note)
		manifest = strings.ReplaceAll(strings.ReplaceAll(manifest, "name: echo", "name: app"), "number: 80", "number: 443")
		s.Kubectl(manifest, "apply", "-f", "-")
	}
	ip := pods(s)[0]
	seenHere := func(host string) (bool, error) {
		out, err := kube.Command(t.Context(), "curl", "--silent", "--show-error", "--insecure", "--max-time", "10", "--resolve", host+":443:"+ip, "https://"+host+"/").CombinedOutput()
		if err != nil {
			return false, fmt.Errorf("%w: %s", err, out)
		}
		var answer struct{ Header map[string][]string }
		if err := json.Unmarshal(out, &answer); err != nil {
			return false, fmt.Errorf("%w: %s", err, out)
		}
		return len(answer.Header["X-Request-Id"]) > 0, nil
	}
	for host, want := range map[string]bool{whole: false, opened: true} {
		s.Eventually(20*time.Second, func() error {
			here, err := seenHere(host)
			if err == nil && here != want {
				err = fmt.Errorf("%s: the controller has seen the request: %v", host, here)
			}
			return err
		})
	}
	cmd := kube.Command(t.Context(), "openssl", "s_client", "-connect", ip+":443", "-servername", whole)
	cmd.Stdin = strings.NewReader("")
	if out, _ := cmd.CombinedOutput(); !strings.Contains(strings.ReplaceAll(string(out), " ", ""), "CN=echo") { // it exits with an error about the certificate
		t.Errorf("openssl says %s", out)
	}
}

// TestNodeAddresses: without a Service to publish, Ingresses get the addresses of the
// controller's nodes.
func TestNodeAddresses(t *testing.T) {
	s := start(t)
	s.Kubectl(bed.Ingress("app", s.Host("app"), ""), "apply", "-f", "-")
	want := s.Kubectl("", "get", "nodes", "-o", `jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}`)
	if want == "" {
		t.Fatal("the node has no address")
	}
	s.Prints(60*time.Second, want, "get", "ingress", "app", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")
}
