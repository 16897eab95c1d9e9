package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// note is what ingress-nginx's annotations begin with.
const note = "nginx.ingress.kubernetes.io/"

// annotations are sets of annotations as clusters have them; Ingresses get them in turn.
var annotations = []map[string]string{
	{},
	{note + "proxy-body-size": "8m"},
	{note + "ssl-redirect": "false", note + "proxy-read-timeout": "120", note + "proxy-send-timeout": "120"},
	{note + "proxy-body-size": "64m", note + "proxy-buffering": "off", note + "custom-http-errors": "503"},
	{note + "force-ssl-redirect": "true", "cert-manager.io/cluster-issuer": "letsencrypt", "external-dns.alpha.kubernetes.io/ttl": "300"},
	{note + "rewrite-target": "/$2", note + "use-regex": "true"},
	{note + "enable-cors": "true", note + "cors-allow-origin": "https://*.example.com", note + "cors-allow-methods": "GET, POST, OPTIONS"},
	{note + "affinity": "cookie", note + "session-cookie-name": "route", note + "session-cookie-max-age": "3600"},
	{note + "whitelist-source-range": "10.0.0.0/8,192.168.0.0/16", note + "limit-rps": "100"},
	{note + "backend-protocol": "HTTP", note + "proxy-connect-timeout": "10", note + "server-alias": ""},
}

// shape tells what object number i belongs to.
func (s *size) shape(i int) (namespace, name, host string) {
	team := i % s.namespaces
	return fmt.Sprintf("team-%04d", team), fmt.Sprintf("app-%05d", i), fmt.Sprintf("app-%05d.team-%04d.example.com", i, team)
}

// secured tells whether the Ingresses of a team have TLS: every fifth team's do.
func secured(namespace string) bool { return namespace[len(namespace)-1]%5 == 0 }

func (s *size) meta(i int) metav1.ObjectMeta {
	namespace, name, _ := s.shape(i)
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{
		"app.kubernetes.io/name": name, "app.kubernetes.io/instance": name, "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "web-4.2.0",
	}}
}

func (s *size) ingress(i int) *networkingv1.Ingress {
	namespace, name, host := s.shape(i)
	in := &networkingv1.Ingress{ObjectMeta: s.meta(i)}
	in.Annotations = map[string]string{"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}
	set := annotations[i%len(annotations)]
	for key, value := range set {
		if key == note+"server-alias" {
			value = "www-" + host
		}
		in.Annotations[key] = value
	}
	if i%2 == 0 { // kubectl's second copy of the object
		in.Annotations["kubectl.kubernetes.io/last-applied-configuration"] = `{"kind":"Ingress","spec":"` + strings.Repeat("x", 900) + `"}`
	}
	path, kind := "/", networkingv1.PathTypePrefix
	if set[note+"use-regex"] != "" {
		path, kind = "/api(/|$)(.*)", networkingv1.PathTypeImplementationSpecific
	}
	paths := []networkingv1.HTTPIngressPath{httpPath(path, kind, name)}
	if i%3 == 0 && path == "/" {
		paths = append(paths, httpPath("/api", kind, name), httpPath("/static", kind, name))
	}
	in.Spec = networkingv1.IngressSpec{IngressClassName: new("nginx"), Rules: []networkingv1.IngressRule{{
		Host: host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: paths}},
	}}}
	if secured(namespace) {
		in.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{host}, SecretName: "wildcard"}}
	}
	return in
}

func httpPath(path string, kind networkingv1.PathType, service string) networkingv1.HTTPIngressPath {
	return networkingv1.HTTPIngressPath{Path: path, PathType: &kind, Backend: networkingv1.IngressBackend{
		Service: &networkingv1.IngressServiceBackend{Name: service, Port: networkingv1.ServiceBackendPort{Number: 80}},
	}}
}

// service has no selector: its endpoints are written by hand. The node's proxy of the
// test bed leaves it alone.
func (s *size) service(i int) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: s.meta(i)}
	svc.Labels["service.kubernetes.io/service-proxy-name"] = "none"
	svc.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80}, {Name: "metrics", Port: 9090}}
	return svc
}

// slice has five endpoints, in version v. They lead nowhere.
func (s *size) slice(i, v int) *discoveryv1.EndpointSlice {
	es := &discoveryv1.EndpointSlice{ObjectMeta: s.meta(i), AddressType: discoveryv1.AddressTypeIPv4}
	es.Labels = map[string]string{discoveryv1.LabelServiceName: es.Name, discoveryv1.LabelManagedBy: "scale"}
	es.Ports = []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080))}, {Name: new("metrics"), Port: new(int32(9090))}}
	for e := range 5 {
		es.Endpoints = append(es.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.%d.%d.%d", 128+e, i>>8&255, i&255)},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
			NodeName:   new(fmt.Sprintf("node-%d", e)), Zone: new(fmt.Sprintf("zone-%d", (e+v)%3)),
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: es.Namespace, Name: fmt.Sprintf("%s-7d9c5b8f6-%05d", es.Name, e)},
		})
	}
	if v > 0 { // one of them is another one
		es.Endpoints[0].Addresses = []string{fmt.Sprintf("10.%d.%d.%d", 140+v%100, i>>8&255, i&255)}
	}
	return es
}

// secrets are those of a namespace: a certificate where its Ingresses have TLS, one that
// nobody here refers to, and now and then a large one.
func (k *keys) secrets(n int, namespace string) ([]*corev1.Secret, error) {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }
	all := []*corev1.Secret{{ObjectMeta: meta("settings"), Data: map[string][]byte{"password": []byte(strings.Repeat("p", 1000))}}}
	if n%10 == 0 {
		all = append(all, &corev1.Secret{ObjectMeta: meta("sh.helm.release.v1.web.v1"), Type: "helm.sh/release.v1",
			Data: map[string][]byte{"release": []byte(strings.Repeat("r", 100<<10))}})
	}
	if secured(namespace) {
		certificate, key, err := k.pair(n, "*."+namespace+".example.com")
		if err != nil {
			return nil, err
		}
		all = append(all, &corev1.Secret{ObjectMeta: meta("wildcard"), Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": certificate, "tls.key": key}})
	}
	return all, nil
}

// keys makes certificates, every other one with an RSA key. All share two keys, since
// only what is made of them takes memory.
type keys struct{ all [2]crypto.Signer }

func newKeys() (*keys, error) {
	short, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	return &keys{[2]crypto.Signer{short, long}}, err
}

// pair makes certificate number n and its key.
func (k *keys) pair(n int, name string) (certificate, key []byte, err error) {
	signer := k.all[n%2]
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(n + 1)), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), nil
}
