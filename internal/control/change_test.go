package control

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// TestNoRequestFailsWhileEverythingChanges sends requests over 64 connections, at
// least 10,000, while every file is rewritten 20 times and the endpoints change 200
// times. None may fail.
func TestNoRequestFailsWhileEverythingChanges(t *testing.T) {
	for _, kind := range engines() {
		t.Run(string(kind), func(t *testing.T) { changeEverything(t, kind) })
	}
}

func changeEverything(t *testing.T, kind loop.Kind) {
	dir := t.TempDir()
	origins := []*origin{newOrigin(t), newOrigin(t), newOrigin(t)}
	n := 0
	writeAll := func() {
		n++
		for name, text := range changingManifests(n) {
			replaceFile(t, filepath.Join(dir, name), text)
		}
	}
	writeEndpoints := func(i int) {
		some := origins[i%3 : i%3+1]
		if i%2 == 0 {
			some = origins
		}
		replaceFile(t, filepath.Join(dir, "endpoints.yaml"), endpointSlices(some))
	}
	writeAll()
	writeEndpoints(0)
	c := startControl(t, dir, kind)
	addr := c.State().Controllers[0].HTTP

	var done, failed atomic.Int64
	var first atomic.Pointer[string]
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			tr := &http.Transport{MaxConnsPerHost: 1}
			defer tr.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := ask(tr, addr); err != nil {
					failed.Add(1)
					text := err.Error()
					first.CompareAndSwap(nil, &text)
				}
				done.Add(1)
			}
		})
	}
	for i := range 200 {
		writeEndpoints(i)
		if i%10 == 0 {
			writeAll()
		}
		waitFor(t, done.Load()+40, &done)
	}
	// The last state must become live: a host that only the last version has.
	last := fmt.Sprintf("generation-%d.example.com", n)
	for end := time.Now().Add(5 * time.Second); !hasHost(c, last); {
		if time.Now().After(end) {
			t.Errorf("the last change is not live: no host %s", last)
			break
		}
		waitFor(t, done.Load()+10, &done)
	}
	waitFor(t, 10000, &done)
	close(stop)
	wg.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed, first: %s", n, done.Load(), *first.Load())
	}
	t.Logf("%d requests, %d generations, 0 failed", done.Load(), c.State().Generation)
}

// waitFor waits until so many requests were answered.
func waitFor(t *testing.T, n int64, done *atomic.Int64) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(60 * time.Second); done.Load() < n; <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%d requests answered, want %d", done.Load(), n)
		}
	}
}

func ask(tr *http.Transport, addr string) error {
	req, err := http.NewRequest("GET", "http://"+addr+"/", nil)
	if err != nil {
		return err
	}
	req.Host = "app.example.com"
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != 200 || !strings.HasPrefix(string(body), "GET / HTTP/1.1") && !strings.HasPrefix(string(body), "GET /\n") {
		return fmt.Errorf("%s: %s", resp.Status, body)
	}
	return nil
}

func hasHost(c *Control, host string) bool {
	for _, r := range c.State().Routes {
		if r.Host == host {
			return true
		}
	}
	return false
}

// changingManifests returns all files but the endpoints, in version n: comments,
// annotations, a ConfigMap and a host differ.
func changingManifests(n int) map[string]string {
	return map[string]string{
		"service.yaml": fmt.Sprintf("# version %d\napiVersion: v1\nkind: Service\nmetadata: {name: app, namespace: default}\nspec: {ports: [{port: 80}]}\n", n),
		"config.yaml": fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ingress-nginx-controller, namespace: ingress-nginx}\ndata: {hsts-max-age: \"%d\", keep-alive: \"%d\", server-tokens: \"%v\"}\n",
			n*1000, 60+n%10, n%2 == 0),
		"ingress.yaml": fmt.Sprintf(`apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: app
  namespace: default
  annotations:
    nginx.ingress.kubernetes.io/ssl-redirect: "false"
    nginx.ingress.kubernetes.io/proxy-body-size: "%dm"
    nginx.ingress.kubernetes.io/limit-rps: "%d"
spec:
  rules:
  - host: app.example.com
    http: &app {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}]}
  - host: generation-%d.example.com
    http: *app
`, 1+n%5, 1000000+n, n),
	}
}

func endpointSlices(origins []*origin) string {
	text := "# endpoints\n"
	for i, o := range origins {
		text += o.fill(fmt.Sprintf(`---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: app-%d, namespace: default, labels: {kubernetes.io/service-name: app}}
addressType: IPv4
endpoints: [{addresses: ["{{IP}}"]}]
ports: [{port: {{PORT}}}]
`, i))
	}
	return text
}

// replaceFile writes a file as editors and ConfigMap volumes do: whole, by rename.
func replaceFile(t testing.TB, name, text string) {
	t.Helper()
	writeFile(t, name+".tmp", text)
	if err := os.Rename(name+".tmp", name); err != nil {
		t.Fatal(err)
	}
}
