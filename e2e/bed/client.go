package bed

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"
)

// Seen is what the application saw of a request.
type Seen struct {
	Pod, Namespace, Client, Method, URI, Host, Proto string
	Header                                           http.Header
	Body                                             int64
}

// Reply is an answer with its body read. Seen is the zero value when it did not come from
// the application.
type Reply struct {
	*http.Response
	Text string
	Seen Seen
}

// Deployment returns the name of the Deployment whose Pod answered, or "".
func (r *Reply) Deployment() string {
	parts := strings.Split(r.Seen.Pod, "-")
	return strings.Join(parts[:max(0, len(parts)-2)], "-")
}

// String tells the answer in one line.
func (r *Reply) String() string {
	return fmt.Sprintf("%s by %q, %v, %.200q", r.Status, r.Seen.Pod, r.Header, r.Text)
}

// ClientTo returns a client that connects to this host or address, whatever the URL says,
// believes these authorities, and follows no redirect. Its transport may be changed.
func (b *Bed) ClientTo(host string, roots *x509.CertPool) *http.Client {
	t := b.Transport()
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return b.Dial(ctx, network, net.JoinHostPort(host, port))
	}
	t.TLSClientConfig = &tls.Config{RootCAs: roots}
	return &http.Client{Transport: t, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Do sends one request and reads the answer.
func Do(client *http.Client, request *http.Request) (*Reply, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	r := &Reply{Response: response, Text: string(body)}
	if response.Header.Get("Content-Type") == "application/json" {
		err = json.Unmarshal(body, &r.Seen)
	}
	return r, err
}

// KeyPair makes a certificate for hosts and its key, as PEM, and what a client believes
// who believes it.
func KeyPair(hosts ...string) (certificate, key []byte, roots *x509.CertPool, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return nil, nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: hosts[0], Organization: []string{"Tests"}}, DNSNames: hosts, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 30),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		return nil, nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, nil, err
	}
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), roots, nil
}
