// Package conformance tests in a real cluster what others have written down about a
// controller of Ingresses: the features of the public conformance suite (suite_test.go),
// annotations and settings as ingress-nginx documents them (annotations_test.go,
// settings_test.go), and its flags (flags_test.go). It runs with E2E=1 and as root; see
// make e2e.
package conformance

import (
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/pierhead/pierhead/e2e/bed"
)

// kube is the cluster that the tests share, with the controller installed.
var kube *bed.Bed

func TestMain(m *testing.M) {
	bed.Main(m, bed.IngressNginx(), func(_ context.Context, b *bed.Bed) error { kube = b; return nil })
}

// certificate makes a Secret with a certificate for hosts, by kubectl, and returns what
// believes it.
func certificate(s *bed.Space, name string, hosts ...string) *x509.CertPool {
	s.Helper()
	cert, key, roots, err := bed.KeyPair(hosts...)
	if err != nil {
		s.Fatal(err)
	}
	certFile, keyFile := filepath.Join(s.TempDir(), "tls.crt"), filepath.Join(s.TempDir(), "tls.key")
	for file, text := range map[string][]byte{certFile: cert, keyFile: key} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			s.Fatal(err)
		}
	}
	s.Kubectl("", "create", "secret", "tls", name, "--cert", certFile, "--key", keyFile)
	return roots
}
