//go:build linux

package main

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// setup is what a proxy is asked to do besides forwarding.
type setup struct {
	log      bool // write an access log
	routes   int  // hosts beside the one that is asked
	policies bool // twenty policies on the route
	tickets  bool // TLS sessions are resumed
	grpc     bool // the upstream speaks HTTP/2
	http3    bool // HTTP/3 is offered
}

// target is a proxy that runs.
type target struct {
	*process
	plain, tls string // where it listens
	admin      string // of Pierhead
}

// pierhead starts ours, with its defaults: header fields, request id, HSTS, metrics.
func (b *bench) pierhead(name string, s setup) (*target, error) {
	dir, err := os.MkdirTemp(b.dir, "pierhead-")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "manifests.yml"), []byte(b.manifests(s)), 0o600); err != nil {
		return nil, err
	}
	t := &target{plain: freeAddr(), tls: freeAddr(), admin: freeAddr()}
	t.process, err = b.start(name, proxyCore, t.tls, b.binary, "up", "--listen-address", "127.0.0.1", "--http-port", portOf(t.plain), "--https-port", portOf(t.tls),
		"--configmap", "default/settings", "--default-ssl-certificate", "default/bench", "--admin-listen", t.admin, "--dns-listen", "off", dir)
	return t, err
}

// manifests are the objects: one Service with the origin behind it, and Ingresses.
func (b *bench) manifests(s setup) string {
	var w strings.Builder
	addr, protocol := b.origin.plain, ""
	if s.grpc {
		addr, protocol = b.origin.grpc, "    nginx.ingress.kubernetes.io/backend-protocol: GRPC\n"
	}
	host, port, _ := net.SplitHostPort(addr)
	fmt.Fprintf(&w, `apiVersion: v1
kind: Service
metadata: {name: origin, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: origin-1, namespace: default, labels: {kubernetes.io/service-name: origin}}
addressType: IPv4
endpoints: [{addresses: ["%s"]}]
ports: [{port: %s}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default}
data: {disable-access-log: "%t", keep-alive-requests: "1000000000", upstream-keepalive-requests: "1000000000", ssl-session-tickets: "%t", use-http3: "%t"}
---
apiVersion: v1
kind: Secret
metadata: {name: bench, namespace: default}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
`, host, port, !s.log, s.tickets, s.http3, base64.StdEncoding.EncodeToString(b.cert.chain), base64.StdEncoding.EncodeToString(b.cert.key))
	annotations := "    kubernetes.io/ingress.class: nginx\n" + protocol
	if s.policies {
		annotations += twentyPolicies
	}
	ingress(&w, "bench", hostName, annotations)
	for i := range s.routes {
		ingress(&w, fmt.Sprintf("other-%d", i), fmt.Sprintf("host-%d.example.net", i), "    kubernetes.io/ingress.class: nginx\n")
	}
	return w.String()
}

func ingress(w *strings.Builder, name, host, annotations string) {
	fmt.Fprintf(w, `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: %s
  namespace: default
  annotations:
%sspec:
  rules:
  - host: %s
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: origin, port: {number: 80}}}}]}
`, name, annotations, host)
}

// twentyPolicies let every request of the load pass.
const twentyPolicies = `    nginx.ingress.kubernetes.io/enable-cors: "true"
    nginx.ingress.kubernetes.io/cors-allow-origin: https://a.example.com,https://b.example.com
    nginx.ingress.kubernetes.io/cors-max-age: "600"
    nginx.ingress.kubernetes.io/ssl-redirect: "false"
    nginx.ingress.kubernetes.io/whitelist-source-range: 10.0.0.0/8,127.0.0.0/8
    nginx.ingress.kubernetes.io/denylist-source-range: 192.0.2.0/24,198.51.100.0/24
    nginx.ingress.kubernetes.io/limit-rps: "1000000"
    nginx.ingress.kubernetes.io/limit-rpm: "16000000"
    nginx.ingress.kubernetes.io/limit-connections: "100000"
    nginx.ingress.kubernetes.io/limit-whitelist: 192.0.2.0/24
    nginx.ingress.kubernetes.io/proxy-body-size: 8m
    nginx.ingress.kubernetes.io/proxy-connect-timeout: "5"
    nginx.ingress.kubernetes.io/proxy-read-timeout: "30"
    nginx.ingress.kubernetes.io/proxy-send-timeout: "30"
    nginx.ingress.kubernetes.io/proxy-next-upstream: error timeout http_502
    nginx.ingress.kubernetes.io/proxy-next-upstream-tries: "2"
    nginx.ingress.kubernetes.io/rewrite-target: /b/128
    nginx.ingress.kubernetes.io/x-forwarded-prefix: /b
    nginx.ingress.kubernetes.io/upstream-vhost: origin.example.net
    nginx.ingress.kubernetes.io/from-to-www-redirect: "true"
`
