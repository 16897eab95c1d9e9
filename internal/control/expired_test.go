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

	"github.com/pierhead/pierhead/internal/listen"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
)

// TestExpiredCertificateIsTold serves a certificate that ended an hour ago: it is
// served on, and its owner is told.
func TestExpiredCertificateIsTold(t *testing.T) {
	cert, key := pairUntil(t, time.Now().Add(-time.Hour))
	dir := t.TempDir()
	good := newOrigin(t).fill(goodHost)
	good = strings.Replace(good, "spec:\n  rules:", "spec:\n  tls: [{hosts: [app.example.com], secretName: old}]\n  rules:", 1)
	writeFile(t, filepath.Join(dir, "good.yaml"), good+fmt.Sprintf(`---
apiVersion: v1
kind: Secret
metadata: {name: old, namespace: default}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
`, base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(key)))
	c := startControl(t, dir, loop.DefaultKind())
	for _, p := range c.State().Problems {
		if p.Origin.Name == "old" && strings.Contains(p.Reason, "expired on") {
			return
		}
	}
	t.Errorf("problems: %v; want one about the expired certificate", c.State().Problems)
}

// pairUntil makes a key pair for app.example.com that expires then, as PEM texts.
func pairUntil(t *testing.T, end time.Time) (cert, key []byte) {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"app.example.com"}, NotBefore: end.Add(-time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, &signer.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalECPrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: pk})
}

// TestExpiry: each certificate is told once its time has come, whoever expired before it,
// and no longer when another one has taken its place.
func TestExpiry(t *testing.T) {
	begun := time.Now()
	var all []model.Certificate
	for i, end := range []time.Duration{time.Minute, time.Hour, 9000 * time.Hour} {
		cert, key := pairUntil(t, begun.Add(end))
		all = append(all, model.Certificate{Name: fmt.Sprint("x/", i), Cert: cert, Key: key, Origin: model.Origin{Kind: "Secret", Namespace: "x", Name: fmt.Sprint(i)}})
	}
	pairs, errs := listen.ParseKeyPairs(all, nil)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var e expiry
	for _, at := range []struct {
		after time.Duration
		want  int
	}{{0, 0}, {30 * time.Second, 0}, {2 * time.Minute, 1}, {3 * time.Minute, 1}, {2 * time.Hour, 2}, {8000 * time.Hour, 2}, {9001 * time.Hour, 3}} {
		if got := e.told(all, pairs, begun.Add(at.after)); len(got) != at.want {
			t.Errorf("after %v %d certificates are told, want %d", at.after, len(got), at.want)
		}
	}
	renewed := all[2:]
	pairs, _ = listen.ParseKeyPairs(renewed, pairs)
	if got := e.told(renewed, pairs, begun.Add(9001*time.Hour)); len(got) != 1 || got[0].Origin != all[2].Origin {
		t.Errorf("%v is told, want the one that is left", got)
	}
}
