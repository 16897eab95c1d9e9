package control

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestSoak changes objects thousands of times while requests run, then removes all of
// them: nothing is held any more that was made for one of them.
func TestSoak(t *testing.T) {
	const apps, steps = 40, 2000
	c, m := startMany(t, apps)
	r := rand.New(rand.NewPCG(1, 2))
	for step := range steps {
		i := r.IntN(apps)
		switch r.IntN(8) {
		case 0, 1:
			m.limited(i, step)
		case 2:
			m.secured(i, step)
		case 3:
			m.service(i, step)
		case 4:
			m.slice(i, step)
		case 5:
			m.secret(i-i%10, step)
		case 6:
			m.settings(0, step)
		case 7:
			meta := m.meta(i)
			m.objects.Remove([]string{"Ingress", "Service", "EndpointSlice", "Secret"}[r.IntN(4)], meta.Namespace, meta.Name)
		}
		c.step()
		if step%10 == 0 {
			statusOf(t, c, fmt.Sprintf("app-%d.example.com", i))
		}
	}
	if counts := held(c); counts["counters"] < 5 || counts["states"] < 5 || counts["pools"] < 5 || counts["pairs"] < 2 {
		t.Fatalf("the objects are too tame: %v", counts)
	}
	for i := range apps {
		meta := m.meta(i)
		m.objects.Remove("Secret", meta.Namespace, "pair")
		for _, kind := range []string{"Ingress", "Service", "EndpointSlice", "Secret"} {
			m.objects.Remove(kind, meta.Namespace, meta.Name)
		}
	}
	c.step()
	for v := range 2 { // what limiters count outlives two tables
		m.settings(0, v)
		c.step()
	}
	empty, _ := startMany(t, 0)
	got, want := held(c), held(empty)
	delete(got, "counters") // of what answers where there is no host
	if !reflect.DeepEqual(got, want) {
		t.Errorf("with no objects left there are still %v, want %v", got, want)
	}
}

// limited is Ingress i with things that outlive tables.
func (m *many) limited(i, v int) {
	in := m.newIngress(i, v)
	in.Annotations["nginx.ingress.kubernetes.io/limit-rps"] = fmt.Sprint(1 + v%50)
	in.Annotations["nginx.ingress.kubernetes.io/limit-connections"] = fmt.Sprint(1 + v%50)
	m.put(in)
}

// secured is Ingress i with a certificate, which is another one each time.
func (m *many) secured(i, v int) {
	in := m.newIngress(i, v)
	in.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{in.Spec.Rules[0].Host}, SecretName: "pair"}}
	m.put(in)
	certificate, key := soakPairs[v%len(soakPairs)][0], soakPairs[v%len(soakPairs)][1]
	m.put(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: in.Namespace, Name: "pair"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": certificate, "tls.key": key}})
}

// held counts what is held for routes, upstreams and certificates.
func held(c *Control) map[string]int {
	counts := map[string]int{}
	for name, server := range c.runs.servers {
		ids := map[string]bool{"": true} // requests that no route took
		for route := range c.runs.tables[name].Load().Routes() {
			counts["routes"]++
			ids[route.ID] = true
		}
		for _, r := range server.Metrics().Routes {
			counts["counters"]++
			if !ids[r.ID] {
				counts["counters of nothing"]++
			}
		}
	}
	pools := reflect.ValueOf(c.runs.pools).Elem()
	counts["pools"], counts["endpoints"] = pools.FieldByName("pools").Len(), pools.FieldByName("given").Len()
	counts["states"] = reflect.ValueOf(c.runs.outlasts).Elem().FieldByName("m").Len()
	pairs := reflect.ValueOf(c.runs.pairs).Elem()
	counts["pairs"] = pairs.FieldByName("byName").Len() + pairs.FieldByName("byDigest").Len()
	return counts
}

// soakPairs are certificates and their keys.
var soakPairs = func() (pairs [][2][]byte) {
	for n := range int64(3) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
		if err != nil {
			panic(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(n + 1), DNSNames: []string{"*.example.com"}, NotAfter: time.Now().Add(time.Hour)}
		certificate, err := x509.CreateCertificate(crand.Reader, template, template, key.Public(), key)
		if err != nil {
			panic(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			panic(err)
		}
		pairs = append(pairs, [2][]byte{
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		})
	}
	return pairs
}()
