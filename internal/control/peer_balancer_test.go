package control

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// edge is the entry of the 2017 workflow: a load balancer that speaks the PROXY
// protocol in front of a controller that expects it. The options are annotations, and
// lines of the spec.
func edge(spec string, annotations ...string) string {
	text := `---
apiVersion: v1
kind: ConfigMap
metadata: {name: edge, namespace: default}
data: {use-proxy-protocol: "true"}
---
apiVersion: v1
kind: Service
metadata:
  name: edge
  namespace: default
  labels: {dns: route53}
  annotations:
    domainName: app.example.com
    service.beta.kubernetes.io/aws-load-balancer-proxy-protocol: "*"
`
	for _, a := range annotations {
		text += "    service.beta.kubernetes.io/" + a + "\n"
	}
	return text + "spec:\n  type: LoadBalancer\n  selector: {app: edge}\n  ports: [{name: http, port: 80, targetPort: http}, {name: https, port: 443, targetPort: https}]\n" + spec + `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge, namespace: default}
spec:
  selector: {matchLabels: {app: edge}}
  template:
    metadata: {labels: {app: edge}}
    spec:
      containers:
      - name: controller
        image: registry.k8s.io/ingress-nginx/controller:v1.12.0
        ports: [{name: http, containerPort: 80}, {name: https, containerPort: 443}]
        args: [/nginx-ingress-controller, --configmap=$(POD_NAMESPACE)/edge, --publish-service=$(POD_NAMESPACE)/edge, --watch-ingress-without-class=true]
        env: [{name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}]
`
}

// listens is where a port of a load balancer listens.
func (s *served) listens(name string, port uint16) string {
	s.t.Helper()
	for _, b := range s.State().LoadBalancers {
		for _, p := range b.Ports {
			if b.Name == name && p.Port == port {
				if p.Error != "" {
					s.t.Fatal(p.Error)
				}
				return p.Listen
			}
		}
	}
	s.t.Fatalf("load balancer %s has no port %d: %v", name, port, s.State().Problems)
	return ""
}

// curlEdge runs curl, which finds the load balancer by the address that dig told.
func (s *served) curlEdge(args ...string) *curlReply {
	s.t.Helper()
	return curl(s.t, nil, append([]string{"--insecure", "--connect-to", "app.example.com:80:" + s.listens("edge", 80),
		"--connect-to", "app.example.com:443:" + s.listens("edge", 443)}, args...)...)
}

// TestPeerEdge walks the whole way in: name, address, load balancer, PROXY protocol,
// controller, app.
func TestPeerEdge(t *testing.T) {
	onEngines(t, func(t *testing.T, kind loop.Kind) {
		s := serve(t, kind, map[string]string{
			"app.yaml":  serviceAt("app", newOrigin(t).addr.String()) + ingressFor("app", "app.example.com", "/", "app"),
			"edge.yaml": edge(""),
		}, withDNS)
		s.noErrors()
		t.Run("name", func(t *testing.T) {
			d := &digger{t, s.DNSAddr()}
			if got := d.addresses("app.example.com"); len(got) != 1 || !strings.HasPrefix(s.listens("edge", 80), got[0]+":") {
				t.Errorf("dig: %v, the load balancer listens on %s", got, s.listens("edge", 80))
			}
			if in := s.State().Ingresses; len(in) != 1 || len(in[0].Addresses) != 1 || in[0].Addresses[0] != addressOf(s.State(), "edge") {
				t.Errorf("the Ingress is told %v, want the address of its load balancer", in)
			}
		})
		t.Run("client address", func(t *testing.T) {
			for _, w := range ways {
				r := s.curlEdge(append(w.flags, "--interface", "127.0.0.7", w.scheme+"://app.example.com/who")...)
				r.want(t, 200, "GET /who", "X-Real-Ip: 127.0.0.7\r\n", "X-Forwarded-For: 127.0.0.7\r\n", "X-Forwarded-Proto: "+w.scheme+"\r\n", "X-Forwarded-Port: "+map[string]string{"http": "80", "https": "443"}[w.scheme]+"\r\n")
			}
		})
		t.Run("forged client address", func(t *testing.T) {
			r := s.curlEdge("--interface", "127.0.0.7", "--header", "X-Forwarded-For: 10.1.1.1", "--header", "X-Real-IP: 10.1.1.1", "http://app.example.com/").want(t, 200, "X-Real-Ip: 127.0.0.7\r\n", "X-Forwarded-For: 127.0.0.7\r\n")
			if strings.Contains(r.body, "X-Real-Ip: 10.") || strings.Contains(r.body, "\nX-Forwarded-For: 10.") {
				t.Errorf("the client chose its own address:\n%s", r.body)
			}
		})
		t.Run("source ranges", func(t *testing.T) {
			s.changeAndWait("edge.yaml", edge("  loadBalancerSourceRanges: [127.0.0.7/32, 10.0.0.0/8]\n"))
			for _, url := range []string{"http://app.example.com/", "https://app.example.com/"} {
				s.curlEdge("--interface", "127.0.0.7", url).want(t, 200)
				s.curlEdge("--interface", "127.0.0.8", url).refused(t)
			}
			s.changeAndWait("edge.yaml", edge(""))
			s.curlEdge("--interface", "127.0.0.8", "http://app.example.com/").want(t, 200)
		})
		t.Run("controller restarts without it", func(t *testing.T) {
			s.changeAndWait("edge.yaml", strings.Replace(edge(""), `use-proxy-protocol: "true"`, `use-proxy-protocol: "false"`, 1))
			if r := s.curlEdge("http://app.example.com/"); r.Status != 400 {
				t.Errorf("a PROXY header that the controller does not expect: status %d, want 400", r.Status)
			}
			told := 0
			for _, p := range s.State().Problems {
				if strings.Contains(p.Reason, "does not expect the PROXY protocol") {
					told++
				}
			}
			if told != 1 {
				t.Errorf("%d problems tell that the two sides do not agree, want 1: %v", told, s.State().Problems)
			}
		})
	})
}

// TestPeerIdleTimeout holds that a load balancer closes what was silent for its idle
// timeout, and nothing that was not.
func TestPeerIdleTimeout(t *testing.T) {
	echoServer := newEchoServer(t)
	onEngines(t, func(t *testing.T, kind loop.Kind) {
		t.Parallel() // it waits most of the time
		const second = "aws-load-balancer-connection-idle-timeout: \"1\""
		s := serve(t, kind, map[string]string{
			"app.yaml":    serviceAt("app", newOrigin(t).addr.String()) + ingressFor("app", "app.example.com", "/", "app"),
			"edge.yaml":   edge("", second),
			"tcp.yaml":    namedService("tcp", "tcp.example.com", second) + endpointAt("tcp", echoServer),
			"longer.yaml": namedService("longer", "longer.example.com") + endpointAt("longer", echoServer),
		}, withDNS, func(o *Options) {
			if kind == loop.Goroutines { // both run at the same time
				o.Rules.Balancers.External = netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 114, byte(os.Getpid()), 0}), 24)
			}
		})
		s.noErrors()
		t.Run("http", func(t *testing.T) {
			t.Parallel()
			c := dialIdle(t, s.listens("edge", 80))
			c.silent("")
			c.silent("GET /one HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
			c.silent("GET /two HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
			c.closed()
		})
		t.Run("tcp", func(t *testing.T) {
			t.Parallel()
			c := dialIdle(t, s.listens("tcp", 2000))
			for i := range 3 {
				c.silent(fmt.Sprintf("line %d\n", i))
			}
			c.closed()
		})
		t.Run("longer", func(t *testing.T) {
			t.Parallel()
			c := dialIdle(t, s.listens("longer", 2000))
			c.silent("with the default of 60 s\n")
			c.quiet(1500 * time.Millisecond)
		})
	})
}

// newEchoServer sends back what it is sent.
func newEchoServer(t testing.TB) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

// idle is a connection on which nothing happens most of the time.
type idle struct {
	t    *testing.T
	c    net.Conn
	r    *bufio.Reader
	last time.Time // before the last byte went through the balancer
}

func dialIdle(t *testing.T, addr string) *idle {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &idle{t, c, bufio.NewReader(c), time.Now()}
}

// silent sends a text, reads the answer, and holds that the connection then stays
// open for a part of a second: three times that are more than one.
func (c *idle) silent(send string) {
	c.t.Helper()
	if send != "" {
		c.last = time.Now()
		if _, err := io.WriteString(c.c, send); err != nil {
			c.t.Fatal(err)
		}
		c.c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.r.ReadString('\n'); err != nil {
			c.t.Fatalf("no answer: %v", err)
		}
	}
	c.quiet(600 * time.Millisecond)
}

// quiet reads until the time is over, when the connection must still be open.
func (c *idle) quiet(d time.Duration) {
	c.t.Helper()
	c.c.SetReadDeadline(time.Now().Add(d))
	if _, err := io.Copy(io.Discard, c.r); !os.IsTimeout(err) {
		c.t.Fatalf("after %v of silence: %v, want an open connection", time.Since(c.last), err)
	}
}

// closed holds that the connection is closed one second after its last byte.
func (c *idle) closed() {
	c.t.Helper()
	c.c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.r.ReadByte(); err == nil || os.IsTimeout(err) {
		c.t.Fatalf("after %v of silence: %v, want a closed connection", time.Since(c.last), err)
	}
	if d := time.Since(c.last); d < 990*time.Millisecond || d > 10*time.Second {
		c.t.Errorf("closed after %v of silence, want 1 s", d)
	}
}
