package translate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestChain: a certificate whose issuer is missing, or stands in the wrong place, is told;
// nothing else is.
func TestChain(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := func(name, issuer string, where ...string) []byte {
		cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"a.example.com"}, NotAfter: time.Unix(4000000000, 0), IssuingCertificateURL: where}
		der, err := x509.CreateCertificate(rand.Reader, cert, &x509.Certificate{Subject: pkix.Name{CommonName: issuer}}, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	const at = "http://ca.example.com/r1.crt"
	leaf, middle, root := made("leaf", "middle", at), made("middle", "root", at), made("root", "root")
	for name, c := range map[string]struct {
		chain [][]byte
		want  string
	}{
		"whole":                  {[][]byte{leaf, middle}, ""},
		"with the root":          {[][]byte{leaf, middle, root}, ""},
		"signed by itself":       {[][]byte{made("own", "own", at)}, ""},
		"of a private authority": {[][]byte{made("leaf", "root")}, ""},
		"without the middle":     {[][]byte{leaf}, "the chain is not complete"},
		"out of order":           {[][]byte{leaf, root, middle}, `certificate 2 of the chain, "CN=root", has not issued the one before it`},
	} {
		o := NewObjects()
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "s"}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{
			corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		}}
		for _, cert := range c.chain {
			s.Data[corev1.TLSCertKey] = append(s.Data[corev1.TLSCertKey], cert...)
		}
		if err := o.Add(s, Place{}); err != nil {
			t.Fatal(err)
		}
		_, problems := Translate(o, Options{Standalone: true, Default: &Default{Flags: DefaultFlags()}})
		var texts []string
		for _, p := range problems {
			if p.Origin.Kind == "Secret" {
				texts = append(texts, p.Reason)
			}
		}
		if got := strings.Join(texts, "; "); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: told %q, want %q", name, got, c.want)
		}
	}
}
