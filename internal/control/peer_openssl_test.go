package control

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
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

// authority makes certificates that a file of openssl's trusts.
type authority struct {
	t    testing.TB
	file string
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t testing.TB) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem"), key: key}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, a.file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return a
}

// secret is a Secret with a certificate for a host.
func (a *authority) secret(name, host string, key crypto.Signer, serial int64) string {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return fmt.Sprintf("---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: %s, namespace: default}\ndata:\n  tls.crt: %s\n  tls.key: %s\n",
		name, text("CERTIFICATE", der), text("PRIVATE KEY", secret))
}

// securedIngress is an Ingress of a host with a certificate.
func securedIngress(name, host, secret string) string {
	return ingressFor(name, host, "/", "app") + fmt.Sprintf("  tls: [{hosts: [%q], secretName: %s}]\n", host, secret)
}

// TestPeerOpenSSL lets openssl look at certificates, versions and tickets.
func TestPeerOpenSSL(t *testing.T) {
	a := newAuthority(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	onEngines(t, func(t *testing.T, kind loop.Kind) {
		s := serve(t, kind, map[string]string{
			"app.yaml": serviceAt("app", newOrigin(t).addr.String()) + securedIngress("app", "app.example.com", "app-tls") +
				securedIngress("wild", "*.wild.example.com", "wild-tls"),
			"app-tls.yaml":  a.secret("app-tls", "app.example.com", ec, 7),
			"wild-tls.yaml": a.secret("wild-tls", "*.wild.example.com", rs, 8),
		})
		s.noErrors()
		c := &sClient{s: s, trust: a.file}
		t.Run("certificates", func(t *testing.T) { c.certificates(t) })
		t.Run("versions", func(t *testing.T) { c.versions(t) })
		t.Run("tickets", func(t *testing.T) { c.noTickets(t) })
		t.Run("new certificate", func(t *testing.T) {
			s.changeAndWait("app-tls.yaml", a.secret("app-tls", "app.example.com", ec, 4711))
			if got := c.serial(c.connect(t, "", "-servername", "app.example.com").stdout); got != "1267" {
				t.Errorf("serial number %s, want 1267", got)
			}
		})
	})
}

// sClient is openssl s_client.
type sClient struct {
	s     *served
	trust string
}

// connect makes one connection, sends the text and returns what openssl tells.
func (c *sClient) connect(t *testing.T, send string, args ...string) ran {
	t.Helper()
	args = append([]string{"s_client", "-connect", c.s.State().Controllers[0].HTTPS, "-CAfile", c.trust}, args...)
	if send != "" {
		args = append(args, "-ign_eof")
	}
	return run(t, strings.NewReader(send), "openssl", args...)
}

// serial returns the serial number of the certificate that s_client prints.
func (c *sClient) serial(output string) string {
	got := run(c.s.t, strings.NewReader(output), "openssl", "x509", "-noout", "-serial")
	return strings.TrimSpace(strings.TrimPrefix(got.stdout, "serial="))
}

const fakeName = "CN = Kubernetes Ingress Controller Fake Certificate"

func (c *sClient) certificates(t *testing.T) {
	for _, x := range []struct {
		name, subject string
		verified      bool
		args          []string
	}{
		{"host", "CN = app.example.com", true, []string{"-servername", "app.example.com", "-verify_hostname", "app.example.com"}},
		{"upper case", "CN = app.example.com", true, []string{"-servername", "APP.example.com", "-verify_hostname", "app.example.com"}},
		{"wildcard", "CN = *.wild.example.com", true, []string{"-servername", "a.wild.example.com", "-verify_hostname", "a.wild.example.com"}},
		{"two labels", fakeName, false, []string{"-servername", "a.b.wild.example.com"}},
		{"unknown", fakeName, false, []string{"-servername", "unknown.example.com"}},
		{"no name", fakeName, false, []string{"-noservername"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			got := c.connect(t, "", x.args...)
			if !strings.Contains(got.stdout, "subject=") || !strings.Contains(got.stdout, x.subject+"\n") {
				t.Errorf("want %s:\n%s%s", x.subject, got.stdout, got.stderr)
			}
			if ok := strings.Contains(got.stdout, "Verification: OK"); ok != x.verified {
				t.Errorf("verified: %v\n%s", ok, got.stdout)
			}
		})
	}
}

func (c *sClient) versions(t *testing.T) {
	const request = "GET /over-tls HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n"
	for _, x := range []struct {
		name string
		args []string
		want []string
	}{
		{"1.3", []string{"-tls1_3"}, []string{"New, TLSv1.3,", "GET /over-tls"}},
		{"1.2", []string{"-tls1_2"}, []string{"New, TLSv1.2,", "GET /over-tls", "Secure Renegotiation IS supported"}},
		{"1.2 with a cipher", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}, []string{"Cipher is ECDHE-ECDSA-AES128-GCM-SHA256", "GET /over-tls"}},
		{"1.3 with a cipher", []string{"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"}, []string{"Cipher is TLS_CHACHA20_POLY1305_SHA256", "GET /over-tls"}},
		{"1.3 with P-384", []string{"-tls1_3", "-groups", "P-384"}, []string{"ECDH, secp384r1", "GET /over-tls"}},
		{"in small records", []string{"-max_send_frag", "512", "-split_send_frag", "512"}, []string{"GET /over-tls"}},
		{"http/1.1 by ALPN", []string{"-alpn", "http/1.1"}, []string{"ALPN protocol: http/1.1", "GET /over-tls"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			got := c.connect(t, request, append(x.args, "-servername", "app.example.com")...)
			for _, w := range x.want {
				if !strings.Contains(got.stdout, w) {
					t.Errorf("no %q in\n%s%s", w, got.stdout, got.stderr)
				}
			}
		})
	}
	t.Run("h2 by ALPN", func(t *testing.T) {
		if got := c.connect(t, "", "-alpn", "spdy/1,h2,http/1.1"); !strings.Contains(got.stdout, "ALPN protocol: h2\n") {
			t.Errorf("%s%s", got.stdout, got.stderr)
		}
	})
	for _, flag := range []string{"-tls1_1", "-tls1"} {
		t.Run("no"+flag, func(t *testing.T) {
			got := c.connect(t, "", flag, "-cipher", "ALL:@SECLEVEL=0", "-servername", "app.example.com")
			if got.exit == 0 || !strings.Contains(got.stderr, "alert protocol version") {
				t.Errorf("exit %d, want the alert protocol_version\n%s%s", got.exit, got.stdout, got.stderr)
			}
		})
	}
	t.Run("no common cipher", func(t *testing.T) {
		got := c.connect(t, "", "-tls1_2", "-cipher", "AES128-CCM:@SECLEVEL=0", "-servername", "app.example.com")
		if got.exit == 0 || !strings.Contains(got.stderr, "alert handshake failure") {
			t.Errorf("exit %d, want the alert handshake_failure\n%s%s", got.exit, got.stdout, got.stderr)
		}
	})
}

// noTickets holds that no session can be taken up by another connection: tickets
// are off, as in ingress-nginx.
func (c *sClient) noTickets(t *testing.T) {
	const request = "GET /first HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n"
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version[1:], func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "session")
			got := c.connect(t, request, version, "-servername", "app.example.com", "-sess_out", file)
			if !strings.Contains(got.stdout, "GET /first") || strings.Contains(got.stdout, "session ticket:") || readAll(t, file) != "" {
				t.Errorf("want an answer and no ticket:\n%s%s", got.stdout, got.stderr)
			}
		})
	}
}
