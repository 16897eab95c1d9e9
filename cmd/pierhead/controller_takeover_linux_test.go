package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/admission"
	"github.com/pierhead/pierhead/internal/control"
	"github.com/pierhead/pierhead/internal/source/file"
	"github.com/pierhead/pierhead/internal/translate"
)

// node is where two controllers take each other's place: one set of ports and objects.
type node struct {
	dir                        string
	http, health, webhook, udp string
	words                      []string // of the command line
}

// newNode starts an application, over HTTP and UDP, and says how controllers serve it.
func newNode(t *testing.T) *node {
	t.Helper()
	app := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") })}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go app.Serve(ln)
	t.Cleanup(func() { app.Close() })
	echo, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 64)
		for n, from, err := echo.ReadFrom(buf); err == nil; n, from, err = echo.ReadFrom(buf) {
			echo.WriteTo(buf[:n], from)
		}
	}()
	t.Cleanup(func() { echo.Close() })
	n := &node{dir: t.TempDir(), http: freePort(t), health: freePort(t), webhook: freePort(t), udp: freePort(t)}
	manifest := fmt.Sprintf(takenOver, ln.Addr().(*net.TCPAddr).Port) + fmt.Sprintf(takenOverUDP, echo.LocalAddr().(*net.UDPAddr).Port, n.udp)
	if err := os.WriteFile(filepath.Join(n.dir, "app.yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := webhookFiles(t)
	n.words = []string{"--takeover", "--election-id=" + strings.ToLower(t.Name()) + n.http, "--shutdown-grace-period=600", "--profiler-port=" + freePort(t),
		"--http-port=" + n.http, "--https-port=" + freePort(t), "--healthz-host=127.0.0.1", "--healthz-port=" + n.health, "--udp-services-configmap=default/udp",
		"--validating-webhook=127.0.0.1:" + n.webhook, "--validating-webhook-certificate=" + cert, "--validating-webhook-key=" + key}
	return n
}

// webhookFiles makes a certificate in files.
func webhookFiles(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"hook"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert"), filepath.Join(dir, "key")
}

// open starts what a controller of the node has before it reads objects.
func (n *node) open(t *testing.T, pod string) *controller {
	t.Helper()
	c := &controller{pod: "system/" + pod, log: slog.New(slog.NewTextHandler(t.Output(), nil)), known: map[string]bool{}}
	var err error
	if c.flags, err = c.readFlags(n.words); err != nil {
		t.Fatal(err)
	}
	if c.place, err = c.takePlace(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.place.Close)
	if c.health, err = c.startHealth(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.health.close)
	if c.hook, err = c.openWebhook(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.hook.close)
	return c
}

// serve has a controller serve the objects of the node, from files.
func (n *node) serve(t *testing.T, c *controller) *control.Control {
	t.Helper()
	c.webhook = admission.New(admission.Options{View: func(f func(*translate.Objects)) { f(&translate.Objects{}) }, Log: c.log})
	opt := c.options()
	opt.Metrics.Leads = func() bool { return true }
	opt.Source, opt.ListenAddress, opt.ListenAlso, opt.Changed = file.New(n.dir), netip.MustParseAddr("127.0.0.1"), netip.Addr{}, nil
	running, err := control.Start(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { running.Stop() })
	c.hook.serve(t.Context(), c.webhook)
	c.health.leading = func() bool { return true }
	c.health.serve(running)
	return running
}

// healthOf is pierhead healthz in a container of a Pod.
func healthOf(t *testing.T, pod string) (code int, text string) {
	t.Helper()
	t.Setenv("POD_NAMESPACE", "system")
	t.Setenv("POD_NAME", pod)
	var out, wrong bytes.Buffer
	code = run([]string{"healthz"}, &out, &wrong)
	return code, out.String() + wrong.String()
}

// fresh asks every port of the node on connections of their own and returns the Pod that
// told its metrics.
func (n *node) fresh(t *testing.T) string {
	t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	get := func(url string, want int) string {
		answer, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != want {
			t.Fatalf("%s: %s, %v: %.200s", url, answer.Status, err, text)
		}
		return string(text)
	}
	if text := get("http://127.0.0.1:"+n.http+"/", 200); text != "here" {
		t.Errorf("the application answers %q", text)
	}
	get("http://127.0.0.1:"+n.health+"/healthz", 200)
	get("https://127.0.0.1:"+n.webhook+"/", 400)
	c, err := net.Dial("udp", "127.0.0.1:"+n.udp)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "datagram")
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 64)
	if k, err := c.Read(buf); string(buf[:k]) != "datagram" {
		t.Fatalf("UDP answers %q, %v", buf[:k], err)
	}
	_, after, _ := strings.Cut(get("http://127.0.0.1:"+n.health+"/metrics", 200), `controller_pod="`)
	pod, _, _ := strings.Cut(after, `"`)
	return pod
}

// A controller takes over every port of the one before, which goes on until it is told to
// end and then leaves all of them at once, whatever --shutdown-grace-period says. Each
// tells its own health. When the one after has died, nothing has changed.
func TestControllerTakesOver(t *testing.T) {
	n := newNode(t)
	if code, text := healthOf(t, "first"); code != 1 || !strings.Contains(text, "no controller answers for Pod system/first") {
		t.Errorf("without a controller healthz ends with %d: %s", code, text)
	}
	first := n.open(t, "first")
	serving := n.serve(t, first)
	first.takeOver(t.Context())
	n.fresh(t)

	dying := n.open(t, "dying")
	if code, text := healthOf(t, "dying"); code != 1 || !strings.Contains(text, "waiting for the API server") {
		t.Errorf("before its first table healthz of the second ends with %d: %s", code, text)
	}
	if code, text := healthOf(t, "first"); code != 0 || text != "ok\n" {
		t.Errorf("healthz of the first ends with %d: %s", code, text)
	}
	died := n.serve(t, dying)
	dying.takeOver(t.Context())
	for !first.place.Followed() {
		<-time.After(time.Millisecond)
	}
	dying.place.Leave() // it is told to end, before the first one is
	for first.place.Followed() {
		<-time.After(time.Millisecond)
	}
	dying.hook.close()
	died.Stop()
	dying.health.close()
	dying.place.Close()
	first.leave()
	for range 10 {
		if pod := n.fresh(t); pod != "first" {
			t.Fatalf("after the second has died %q answers, want the first", pod)
		}
	}

	next := n.open(t, "next")
	n.serve(t, next)
	next.takeOver(t.Context())
	if code, text := healthOf(t, "next"); code != 0 {
		t.Errorf("healthz of the next one ends with %d: %s", code, text)
	}
	for !first.place.Followed() {
		<-time.After(time.Millisecond)
	}
	begin := time.Now()
	first.leave()
	first.health.end()
	first.pause("shutdown-grace-period", first.place.Followed)
	stopped := make(chan error, 1)
	go func() { stopped <- serving.Stop() }()
	for range 20 {
		if pod := n.fresh(t); pod != "next" {
			t.Fatalf("%q tells its metrics, want the next one", pod)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("the end took %s with another one live", took)
	}
	n.fresh(t)
	if code, text := healthOf(t, "first"); code != 1 || !strings.Contains(text, "shutting down") {
		t.Errorf("at its end healthz of the first ends with %d: %s", code, text)
	}
}

// An address that somebody has who does not take part is waited for; the health of the
// Pod says so meanwhile.
func TestControllerWaitsForAddress(t *testing.T) {
	n := newNode(t)
	other, err := net.Listen("tcp", "127.0.0.1:"+n.health)
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan *controller)
	go func() { opened <- n.open(t, "waits") }()
	for end := time.Now().Add(time.Minute); ; {
		code, text := healthOf(t, "waits")
		if time.Now().After(end) {
			t.Fatalf("healthz says %q", text)
		}
		if strings.Contains(text, "waiting for the address 127.0.0.1:"+n.health) {
			if code != 1 {
				t.Errorf("healthz ends with %d: %s", code, text)
			}
			break
		}
	}
	other.Close()
	c := <-opened
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.open(ctx, "127.0.0.1:"+n.health); unlessEnded(err) != nil {
		t.Errorf("at the end of the process: %v", err)
	}
}

// The names of sockets fit, whatever they are made of.
func TestSocketName(t *testing.T) {
	if got := socketName("controller", "a", "b"); got != "controller/a/b" {
		t.Errorf("the name is %q", got)
	}
	long := strings.Repeat("a", 90)
	a, b := socketName("controller", long, "b"), socketName("controller", long, "c")
	if a == b || len(a) > 60 || !strings.HasPrefix(a, "controller/") || strings.Contains(socketName("x", "a@b"), "@") {
		t.Errorf("long names become %q and %q", a, b)
	}
}

const takenOverUDP = `
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {ports: [{port: 7, protocol: UDP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: echo, labels: {kubernetes.io/service-name: echo}}
addressType: IPv4
ports: [{port: %d, protocol: UDP}]
endpoints: [{addresses: [127.0.0.1]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: udp}
data: {"%s": default/echo:7}
`
