package http2

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/wire/tlsconn"
)

// TestH2spec runs the public conformance suite, all of it and strictly, over TLS and
// in the clear.
func TestH2spec(t *testing.T) {
	tool := buildH2spec(t)
	cfg := &ServerConfig{Handler: handlerFunc(echo)}
	for _, kind := range kinds() {
		t.Run("cleartext "+string(kind), func(t *testing.T) {
			t.Parallel()
			runH2spec(t, tool, listen(t, kind, cfg).String())
		})
		t.Run("TLS "+string(kind), func(t *testing.T) {
			t.Parallel()
			runH2spec(t, tool, "-tls", listenTLS(t, kind, cfg))
		})
	}
}

// buildH2spec builds the suite, which is a module of its own so that nobody else
// depends on it. Go's build cache makes that cheap.
func buildH2spec(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "h2spec")
	build := exec.Command("go", "build", "-o", exe, ".")
	build.Dir = filepath.Join("..", "..", "..", "e2e", "tools", "h2spec")
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOOS=", "GOARCH=") // for this machine, whatever the test was built for
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building h2spec: %v\n%s", err, out)
	}
	return exe
}

func runH2spec(t *testing.T, tool string, args ...string) {
	t.Helper()
	out, err := exec.Command(tool, append([]string{"-timeout", "1s", "-path", "/conformance"}, args...)...).CombinedOutput()
	if err != nil {
		_, failures, _ := strings.Cut(string(out), "Failures:")
		t.Fatalf("%v\n%s", err, failures)
	}
	if !strings.Contains(string(out), "146 tests, 146 passed, 0 skipped, 0 failed") {
		t.Fatalf("not every test has passed:\n%s", out[max(0, len(out)-200):])
	}
}

// listenTLS serves cfg over TLS on a free port of the loopback.
func listenTLS(t testing.TB, kind loop.Kind, cfg *ServerConfig) string {
	t.Helper()
	conf := &tls.Config{Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{"h2"}}
	ln, err := newEngine(t, kind, 1).Listen(netip.MustParseAddrPort("127.0.0.1:0"), func(c *loop.Conn) {
		s := tlsconn.Server(c, conf)
		if s.Handshake() != nil {
			s.Close()
			return
		}
		Serve(s, cfg)
	})
	if err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String()
}

func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
