package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/pierhead/pierhead/examples"
)

// caFile holds the certificate of the demo's own authority, for curl --cacert.
const caFile = "ca.crt"

// Foreign tells whether a folder holds something, and that is no example of ours.
func Foreign(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, caFile))
	return err != nil
}

// write puts the example's manifests into dir: as they stand in the repository,
// with a fresh certificate and the addresses of the replicas. With keep, files that
// hold neither stay as somebody has changed them.
func write(dir string, a *app, keep bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files, err := fs.Glob(examples.ExternalServices, "external-services/*.yml")
	if err != nil {
		return err
	}
	for _, name := range files {
		text, err := examples.ExternalServices.ReadFile(name)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, path.Base(name))
		switch path.Base(name) {
		case "nodejs-app.yml":
			text = []byte(withEndpoints(string(text), a.addrs))
		case "nginx-default-backend.yml":
			text = []byte(strings.NewReplacer("ip: 127.90.0.9", "ip: "+a.backend.Addr().String(), "- port: 8080", fmt.Sprintf("- port: %d", a.backend.Port())).Replace(string(text)))
		default:
			if _, err := os.Stat(to); keep && err == nil {
				continue
			}
		}
		if err := replace(to, text, 0o644); err != nil {
			return err
		}
	}
	return writeCertificate(dir)
}

// withEndpoints replaces the EndpointSlice of the manifest by one for each replica.
func withEndpoints(text string, addrs []netip.AddrPort) string {
	docs := strings.Split(text, "\n---\n")
	out := docs[0]
	for i, a := range addrs {
		out += fmt.Sprintf(`
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: nodejs-app-svc-%d
  namespace: default
  labels:
    kubernetes.io/service-name: nodejs-app-svc
addressType: IPv4
ports:
- name: http
  port: %d
endpoints:
- addresses: ["%s"]
  targetRef: {kind: Pod, name: %s}
`, i+1, a.Port(), a.Addr(), names[i%len(names)])
	}
	return out
}

// replace writes a file so that a reader sees the old or the new one whole.
func replace(name string, text []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(text); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Chmod(tmp.Name(), mode); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// writeCertificate makes an authority and a certificate for *.encompasshost.com, and
// the Secret that holds it.
func writeCertificate(dir string) error {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Pierhead demo authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 1, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano() + 1), Subject: pkix.Name{CommonName: "*.encompasshost.com"},
		DNSNames:  []string{"*.encompasshost.com"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 1, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	crt := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pemKey := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	secret := fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata:
  name: encompass-tls-secret
  namespace: default
type: kubernetes.io/tls
data:
  tls.crt: |
%s
  tls.key: |
%s
`, wrapped(crt), wrapped(pemKey))
	if err := replace(filepath.Join(dir, "encompass-tls-secret.yml"), []byte(secret), 0o600); err != nil {
		return err
	}
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	return replace(filepath.Join(dir, caFile), caPEM, 0o644)
}

// wrapped is base64 as the base64 command prints it, indented for a YAML block.
func wrapped(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	var lines []string
	for len(text) > 76 {
		lines, text = append(lines, "    "+text[:76]), text[76:]
	}
	return strings.Join(append(lines, "    "+text), "\n")
}
