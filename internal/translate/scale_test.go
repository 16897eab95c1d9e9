package translate

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// manyObjects makes n Ingresses over n/5 namespaces, each with a Service of its own
// and five endpoints.
func manyObjects(tb testing.TB, n int) *Objects {
	tb.Helper()
	o := NewObjects()
	class, prefix, ready := "nginx", networkingv1.PathTypePrefix, true
	add := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	add(o.Add(&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Spec: networkingv1.IngressClassSpec{Controller: "k8s.io/ingress-nginx"}}, Place{}))
	port, name := int32(8080), "http"
	for i := range n {
		meta := metav1.ObjectMeta{Namespace: fmt.Sprintf("team-%d", i%max(n/5, 1)), Name: fmt.Sprintf("app-%d", i)}
		add(o.Add(&corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: name, Port: 80}}}}, Place{}))
		slice := &discoveryv1.EndpointSlice{ObjectMeta: meta, Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}}}
		slice.Labels = map[string]string{discoveryv1.LabelServiceName: meta.Name}
		for e := range 5 {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{fmt.Sprintf("10.%d.%d.%d", i>>8&255, i&255, e+1)}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			})
		}
		add(o.Add(slice, Place{}))
		ing := &networkingv1.Ingress{ObjectMeta: meta}
		ing.Annotations = map[string]string{
			"nginx.ingress.kubernetes.io/proxy-body-size": "8m", "nginx.ingress.kubernetes.io/proxy-read-timeout": "120",
			"nginx.ingress.kubernetes.io/ssl-redirect": "false",
		}
		ing.Spec.IngressClassName = &class
		ing.Spec.Rules = []networkingv1.IngressRule{{Host: fmt.Sprintf("app-%d.example.com", i), IngressRuleValue: networkingv1.IngressRuleValue{
			HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &prefix, Backend: networkingv1.IngressBackend{
				Service: &networkingv1.IngressServiceBackend{Name: meta.Name, Port: networkingv1.ServiceBackendPort{Number: 80}},
			}}}},
		}}}
		add(o.Add(ing, Place{}))
	}
	return o
}

func BenchmarkTranslate10000(b *testing.B) {
	o := manyObjects(b, 10000)
	opt := Options{Default: &Default{Flags: DefaultFlags()}}
	b.ReportAllocs()
	for b.Loop() {
		if cfg, _ := Translate(o, opt); len(cfg.Controllers[0].Hosts) != 10001 {
			b.Fatalf("%d hosts", len(cfg.Controllers[0].Hosts))
		}
	}
}

func BenchmarkEndpoints10000(b *testing.B) {
	o := manyObjects(b, 10000)
	cfg, _ := Translate(o, Options{Default: &Default{Flags: DefaultFlags()}})
	b.ReportAllocs()
	for b.Loop() {
		if sets := Endpoints(o, cfg); len(sets) != 10000 {
			b.Fatalf("%d sets", len(sets))
		}
	}
}

// BenchmarkOneIngressOf10000 changes one Ingress after the other.
func BenchmarkOneIngressOf10000(b *testing.B) {
	o := manyObjects(b, 10000)
	opt := Options{Default: &Default{Flags: DefaultFlags()}, Memo: NewMemo()}
	Translate(o, opt)
	b.ReportAllocs()
	start, n := cpu(b), 0
	for b.Loop() {
		touchIngress(b, o, fmt.Sprint("app-", n%10000))
		n++
		Translate(o, opt)
	}
	b.ReportMetric(float64((cpu(b)-start).Microseconds())/float64(n), "cpu-µs/op")
}
