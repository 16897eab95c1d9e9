package control

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
)

// goodHost is served whatever stands beside it.
const goodHost = `apiVersion: v1
kind: Service
metadata: {name: app, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: app-1, namespace: default, labels: {kubernetes.io/service-name: app}}
addressType: IPv4
endpoints: [{addresses: ["{{IP}}"]}]
ports: [{port: {{PORT}}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: good, namespace: default, annotations: {nginx.ingress.kubernetes.io/ssl-redirect: "false"}}
spec:
  rules:
  - host: app.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}]}
`

// badInputs are the mistakes that a manifest can hold: each gives one clear error,
// closes what must be closed, and changes nothing else.
var badInputs = []struct {
	name, text string
	problem    string // part of the one new error
	host       string // of the bad object, and what it answers
	status     int
}{
	{"a Secret that is no key pair", `apiVersion: v1
kind: Secret
metadata: {name: pair, namespace: default}
type: kubernetes.io/tls
stringData: {tls.crt: not a certificate, tls.key: not a key}
---
` + badIngress(`{nginx.ingress.kubernetes.io/ssl-redirect: "false"}`, "tls: [{hosts: [bad.example.com], secretName: pair}]"),
		"Secret default/pair", "bad.example.com", 200},
	{"an htpasswd without users", `apiVersion: v1
kind: Secret
metadata: {name: users, namespace: default}
stringData: {auth: "# nobody\n"}
---
` + badIngress(`{nginx.ingress.kubernetes.io/auth-type: basic, nginx.ingress.kubernetes.io/auth-secret: users}`, ""),
		"auth-secret", "bad.example.com", 503},
	{"an auth-url without host", badIngress(`{nginx.ingress.kubernetes.io/auth-url: "http:///check"}`, ""),
		"auth-url", "bad.example.com", 503},
	{"two Ingresses that claim one path", strings.Replace(badIngress(`{nginx.ingress.kubernetes.io/ssl-redirect: "false"}`, ""), "bad.example.com", "app.example.com", 1),
		"is already served by Ingress default/good", "app.example.com", 200},
	{"YAML cut in the middle", "apiVersion: v1\nkind: Service\nmetadata: {name: cut, na", "cannot be parsed", "app.example.com", 200},
}

func badIngress(annotations, spec string) string {
	return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: bad, namespace: default, annotations: ` + annotations + `}
spec:
  ` + spec + `
  rules:
  - host: bad.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}]}
`
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "good.yaml"), newOrigin(t).fill(goodHost))
	c := startControl(t, dir, loop.DefaultKind())
	before := errorsOf(c)
	for _, b := range badInputs {
		t.Run(b.name, func(t *testing.T) {
			file := filepath.Join(dir, "z-bad.yaml")
			change(t, c, func() { writeFile(t, file, b.text) })
			var found []model.Problem
			for _, p := range errorsOf(c) {
				if !contains(before, p) {
					found = append(found, p)
				}
			}
			if len(found) != 1 || !strings.Contains(found[0].String(), b.problem) || found[0].Origin.File != file || found[0].Origin.Line == 0 {
				t.Errorf("new errors: %v; want one about %q in %s", found, b.problem, file)
			}
			if got := statusOf(t, c, b.host); got != b.status {
				t.Errorf("host %s answers %d, want %d", b.host, got, b.status)
			}
			if got := statusOf(t, c, "app.example.com"); got != 200 {
				t.Errorf("the good host answers %d", got)
			}
			change(t, c, func() { writeFile(t, file, "# nothing\n") })
			if now := errorsOf(c); len(now) != len(before) {
				t.Errorf("errors after the file was mended: %v", now)
			}
		})
	}
}

// TestLastGoodStateStays breaks a file that was good: what it held is served on, and
// the problem says so.
func TestLastGoodStateStays(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "good.yaml")
	good := newOrigin(t).fill(goodHost)
	writeFile(t, file, good)
	c := startControl(t, dir, loop.DefaultKind())
	change(t, c, func() { replaceFile(t, file, good[:len(good)/2]+"\n  {") })
	ps := errorsOf(c)
	if len(ps) != 1 || !strings.Contains(ps[0].Reason, "stays in use") {
		t.Errorf("errors: %v; want one that says that the last state stays in use", ps)
	}
	if got := statusOf(t, c, "app.example.com"); got != 200 {
		t.Errorf("the host of the broken file answers %d, want 200", got)
	}
}

// TestTakenPort holds that a port that another process has is told, that the others
// are served, and that it is served as soon as it is free.
func TestTakenPort(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "good.yaml"), newOrigin(t).fill(goodHost))
	balancer := filepath.Join(dir, "balancer.yaml")
	service := fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: front, namespace: default}
spec: {type: LoadBalancer, ports: [{name: one, port: %d}, {name: two, port: %d}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: front, namespace: default}
subsets: [{addresses: [{ip: "{{IP}}"}], ports: [{name: one, port: {{PORT}}}, {name: two, port: {{PORT}}}]}]
`, freePort(t), freePort(t))
	c := startControl(t, dir, loop.DefaultKind())
	change(t, c, func() { writeFile(t, balancer, newOrigin(t).fill(service)) })
	ports := c.State().LoadBalancers[0].Ports
	change(t, c, func() { writeFile(t, balancer, "# nothing\n") })

	taken, err := net.Listen("tcp", ports[0].Listen)
	if err != nil {
		t.Fatal(err)
	}
	change(t, c, func() { writeFile(t, balancer, newOrigin(t).fill(service)) })
	if ps := errorsOf(c); len(ps) != 1 || ps[0].Value != ports[0].Listen || ps[0].Origin.Name != "front" {
		t.Errorf("errors: %v; want one about %s", ps, ports[0].Listen)
	}
	if err := getOnce(ports[1].Listen); err != nil {
		t.Errorf("the other port: %v", err)
	}
	change(t, c, func() { taken.Close() })
	if ps := errorsOf(c); len(ps) != 0 {
		t.Errorf("errors after the port was freed: %v", ps)
	}
	if err := getOnce(ports[0].Listen); err != nil {
		t.Errorf("the port that was taken: %v", err)
	}
}

// freePort returns a port that nobody has on any address.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// getOnce asks an address on a connection of its own.
func getOnce(addr string) error {
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr}).Get("http://" + addr + "/")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// change does something to the files and waits until it is live.
func change(t *testing.T, c *Control, do func()) {
	t.Helper()
	before := c.State().Generation
	do()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); c.State().Generation == before; <-tick.C {
		if time.Now().After(end) {
			t.Fatal("the change did not become live within 10 s")
		}
	}
}

func errorsOf(c *Control) (ps []model.Problem) {
	for _, p := range c.State().Problems {
		if p.Severity == model.Error {
			ps = append(ps, p)
		}
	}
	return ps
}

func contains(ps []model.Problem, p model.Problem) bool {
	for _, x := range ps {
		if x == p {
			return true
		}
	}
	return false
}

// statusOf asks the default controller for / of a host on the HTTP port.
func statusOf(t *testing.T, c *Control, host string) int {
	t.Helper()
	r := &scriptRequest{method: "GET", target: "/", header: [][2]string{{"Host", host}}}
	return r.send(t, c, "http", "").status
}
