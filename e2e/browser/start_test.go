package browser

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pierhead/pierhead/e2e/ports"
)

// host is the name of the page.
const host = "app.example.test"

// pierhead is one that runs, with a certificate that is known by the digest of its key.
type pierhead struct {
	port string // of HTTPS and HTTP/3
	pin  string
	out  output
}

// output gathers what a program writes.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (p *pierhead) log() string {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.out.all.String()
}

// logged wants n lines of the access log that hold the text, all of HTTP/3. They come
// after the answers.
func (p *pierhead) logged(t *testing.T, text string, n int) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got := 0
		for line := range strings.Lines(p.log()) {
			if strings.Contains(line, text) && strings.Contains(line, ` HTTP/3.0"`) {
				got++
			}
		}
		if got == n {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%d lines of the log say %s, by HTTP/3, want %d:\n%s", got, text, n, p.log())
		}
	}
}

// build builds Pierhead and returns its path.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "pierhead")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/pierhead")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// up starts Pierhead before an application.
func up(t *testing.T, binary string, app http.Handler) *pierhead {
	t.Helper()
	dir := t.TempDir()
	backend := httptest.NewServer(app)
	t.Cleanup(backend.Close)
	_, at, _ := net.SplitHostPort(backend.Listener.Addr().String())
	cert, key, pin := certificate(t)
	file := filepath.Join(dir, "app.yaml")
	enc := base64.StdEncoding.EncodeToString
	if err := os.WriteFile(file, fmt.Appendf(nil, manifest, at, enc(cert), enc(key), host), 0o600); err != nil {
		t.Fatal(err)
	}
	free := ports.Free(t, 3)
	p := &pierhead{port: free[1], pin: pin}
	cmd := exec.Command(binary, "up", "--listen-address", "127.0.0.1", "--http-port", free[0], "--https-port", free[1],
		"--admin-listen", "127.0.0.1:"+free[2], "--dns-listen", "off", "--configmap", "default/settings", file)
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	ended := start(t, cmd)
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", "127.0.0.1:"+p.port)
		if err == nil {
			c.Close()
			return p
		}
		select {
		case err := <-ended:
			t.Fatalf("pierhead has ended: %v\n%s", err, p.log())
		default:
		}
		if time.Now().After(until) {
			t.Fatalf("pierhead does not listen: %v\n%s", err, p.log())
		}
	}
}

// start runs a program until the end of the test, with all that it starts; the channel
// tells of an end before.
func start(t *testing.T, cmd *exec.Cmd) chan error {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended, gone := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- cmd.Wait()
		close(gone)
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-gone
	})
	return ended
}

// profile makes a folder for a browser. What the browser started may write there for a
// moment after its end.
func profile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for until := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			err := os.RemoveAll(dir)
			if err == nil {
				return
			}
			if time.Now().After(until) {
				t.Error(err)
				return
			}
		}
	})
	return dir
}

// chromium opens the page. As root it has no sandbox, which this page needs not.
func chromium(t *testing.T, p *pierhead, force bool) chan error {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Fatal("there is no chromium: install Debian's package of that name (.ci/tools browser does)")
	}
	home := profile(t)
	// Chromium speaks HTTP/3 only to certificates of roots that it knows, and to hosts that
	// this option names. What it says of another port forces nothing on this one.
	origin := net.JoinHostPort(host, p.port)
	known := net.JoinHostPort(host, "1")
	if force {
		known = origin
	}
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--metrics-recording-only",
		"--user-data-dir=" + home, "--enable-quic", "--origin-to-force-quic-on=" + known,
		"--ignore-certificate-errors-spki-list=" + p.pin,
		"--host-resolver-rules=MAP " + host + " 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
	}
	cmd := exec.Command(program, append(args, "https://"+origin+"/")...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(strings.ToLower(v), "http_proxy=") || strings.HasPrefix(strings.ToLower(v), "https_proxy=") || strings.HasPrefix(strings.ToLower(v), "all_proxy=")
	}), "HOME="+home)
	return start(t, cmd)
}

// certificate makes one that nobody trusts, and the digest of its key by which the
// browser does.
func certificate(t *testing.T) (cert, key []byte, pin string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{host}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	priv, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(pub)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: priv}),
		base64.StdEncoding.EncodeToString(sum[:])
}

const manifest = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default}
data: {use-http3: "true"}
---
apiVersion: v1
kind: Service
metadata: {name: app, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: app-1, namespace: default, labels: {kubernetes.io/service-name: app}}
addressType: IPv4
endpoints: [{addresses: ["127.0.0.1"]}]
ports: [{port: %s}]
---
apiVersion: v1
kind: Secret
metadata: {name: app, namespace: default}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: app
  namespace: default
  annotations: {kubernetes.io/ingress.class: nginx}
spec:
  tls: [{hosts: [%[4]s], secretName: app}]
  rules: [{host: %[4]s, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}]}}]
`
