package control

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// transport returns a client that speaks one protocol with one address, whatever the URL.
// It ends with the test.
func transport(t *testing.T, over, addr, serverName string) http.RoundTripper {
	t.Helper()
	secure := &tls.Config{InsecureSkipVerify: true, ServerName: serverName}
	if over == "h3" {
		tr := &http3.Transport{
			DisableCompression: true, TLSClientConfig: secure,
			Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
				qc = qc.Clone()
				qc.HandshakeIdleTimeout = time.Minute // packets are lost and come late where much else runs
				return quic.DialAddr(ctx, addr, tc, qc)
			},
		}
		t.Cleanup(func() { tr.Close() })
		return tr
	}
	tr := &http.Transport{
		DisableCompression: true, ForceAttemptHTTP2: over == "h2", TLSClientConfig: secure,
		DialContext: func(ctx context.Context, n, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, n, addr)
		},
	}
	if over != "h2" {
		tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// configHTTP3 switches HTTP/3 on where a script has no ConfigMap of its own.
const configHTTP3 = `apiVersion: v1
kind: ConfigMap
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
data:
  use-http3: "true"
`

// withHTTP3 switches HTTP/3 on in the ConfigMap that a manifest is, if it is one.
func withHTTP3(manifest string) string {
	if !strings.Contains(manifest, "kind: ConfigMap") {
		return manifest
	}
	return strings.Replace(manifest, "\ndata:\n", "\ndata:\n  use-http3: \"true\"\n", 1)
}
