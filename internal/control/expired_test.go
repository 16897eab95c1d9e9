package control

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// TestExpiredCertificateIsTold serves a certificate that ended an hour ago: it is
// served on, and its owner is told.
func TestExpiredCertificateIsTold(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"app.example.com"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	dir := t.TempDir()
	good := newOrigin(t).fill(goodHost)
	good = strings.Replace(good, "spec:\n  rules:", "spec:\n  tls: [{hosts: [app.example.com], secretName: old}]\n  rules:", 1)
	writeFile(t, filepath.Join(dir, "good.yaml"), good+fmt.Sprintf(`---
apiVersion: v1
kind: Secret
metadata: {name: old, namespace: default}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
`, text("CERTIFICATE", der), text("EC PRIVATE KEY", pk)))
	c := startControl(t, dir, loop.DefaultKind())
	for _, p := range c.State().Problems {
		if p.Origin.Name == "old" && strings.Contains(p.Reason, "expired on") {
			return
		}
	}
	t.Errorf("problems: %v; want one about the expired certificate", c.State().Problems)
}
