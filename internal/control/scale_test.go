package control

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// many is a source that holds many objects, as that of a cluster does: the collection
// stays, and objects in it are replaced.
type many struct {
	tb      testing.TB
	objects *translate.Objects
	n       int
}

func (m *many) Load() (*translate.Objects, []model.Problem)     { return m.objects, nil }
func (m *many) Watch(ctx context.Context, changed func()) error { <-ctx.Done(); return ctx.Err() }

func (m *many) put(obj runtime.Object) {
	if err := m.objects.Add(obj, translate.Place{}); err != nil {
		m.tb.Fatal(err)
	}
}

func (m *many) meta(i int) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: fmt.Sprintf("team-%d", i%max(m.n/5, 1)), Name: fmt.Sprintf("app-%d", i)}
}

// The objects of number i, each in a version v.

func (m *many) ingress(i, v int) { m.put(m.newIngress(i, v)) }

func (m *many) newIngress(i, v int) *networkingv1.Ingress {
	in, class, prefix := &networkingv1.Ingress{ObjectMeta: m.meta(i)}, "nginx", networkingv1.PathTypePrefix
	in.Annotations = map[string]string{
		"nginx.ingress.kubernetes.io/proxy-body-size": "8m", "nginx.ingress.kubernetes.io/proxy-read-timeout": fmt.Sprint(120 + v),
	}
	if i%100 == 0 {
		in.Annotations["nginx.ingress.kubernetes.io/auth-type"], in.Annotations["nginx.ingress.kubernetes.io/auth-secret"] = "basic", in.Name
	}
	in.Spec.IngressClassName = &class
	in.Spec.Rules = []networkingv1.IngressRule{{Host: in.Name + ".example.com", IngressRuleValue: networkingv1.IngressRuleValue{
		HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &prefix, Backend: networkingv1.IngressBackend{
			Service: &networkingv1.IngressServiceBackend{Name: in.Name, Port: networkingv1.ServiceBackendPort{Number: 80}},
		}}}},
	}}}
	return in
}

func (m *many) service(i, v int) {
	m.put(&corev1.Service{ObjectMeta: m.meta(i), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}, {Name: "more", Port: int32(1000 + v%1000)}}}})
}

func (m *many) slice(i, v int) {
	port, name, ready := int32(8080), "http", true
	s := &discoveryv1.EndpointSlice{ObjectMeta: m.meta(i), Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}}}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: s.Name}
	for e := range 5 {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.%d.%d.%d", i>>8&255, i&255, (e+v)%250+1)}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		})
	}
	m.put(s)
}

func (m *many) secret(i, v int) {
	m.put(&corev1.Secret{ObjectMeta: m.meta(i), Data: map[string][]byte{"auth": fmt.Appendf(nil, "user:{PLAIN}password%d\n", v)}})
}

func (m *many) settings(_, v int) {
	m.put(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "front", Name: "settings"}, Data: map[string]string{"proxy-connect-timeout": fmt.Sprint(5 + v%50)}})
}

// startMany serves n Ingresses, each with a Service and five endpoints. Nothing calls
// step but the test.
func startMany(tb testing.TB, n int) (*Control, *many) {
	tb.Helper()
	m := &many{tb: tb, objects: translate.NewObjects(), n: n}
	m.put(&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}, Spec: networkingv1.IngressClassSpec{Controller: "k8s.io/ingress-nginx"}})
	m.settings(0, 0)
	for i := range n {
		m.ingress(i, 0)
		m.service(i, 0)
		m.slice(i, 0)
		if i%100 == 0 {
			m.secret(i, 0)
		}
	}
	f := translate.DefaultFlags()
	f.ConfigMap = "front/settings"
	opt := Options{
		Source: m, ListenAddress: netip.AddrFrom4([4]byte{127, 0, 0, 1}), AnyPort: true, Engine: loop.DefaultKind(),
		Log: slog.New(slog.DiscardHandler), AccessLog: io.Discard,
		Rules: Rules{Translate: translate.Options{ForeignBalancers: true, Default: &translate.Default{Flags: f}}},
	}
	runs, err := newRunning(opt)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { runs.close(context.Background()) })
	c := &Control{opt: opt, runs: runs, plans: newPlanner(opt.Rules)}
	c.stands.Store(&standing{})
	c.step()
	if got := len(c.State().Routes); got != n+1 {
		tb.Fatalf("%d routes, want %d; problems: %v", got, n+1, c.Problems())
	}
	return c, m
}

// cpu returns the CPU time that the process has used.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStep10000 changes one object among those of 10,000 Ingresses and takes the
// whole step that follows.
func BenchmarkStep10000(b *testing.B) {
	c, m := startMany(b, 10000)
	for _, kind := range []struct {
		name   string
		change func(i, v int)
		every  int
	}{
		{"Ingress", m.ingress, 1}, {"Service", m.service, 1}, {"EndpointSlice", m.slice, 1}, {"Secret", m.secret, 100}, {"ConfigMap", m.settings, 1},
		{"NewIngress", func(i, v int) { m.ingress(m.n+v, v) }, 1},
	} {
		b.Run(kind.name, func(b *testing.B) {
			b.ReportAllocs()
			start, n := cpu(b), 0
			for b.Loop() {
				n++
				kind.change(n*kind.every%m.n, n)
				c.step()
			}
			b.ReportMetric(float64((cpu(b)-start).Microseconds())/float64(n)/1000, "cpu-ms/op")
		})
	}
}

// TestStepOfOneChange: a step after a change of one object among many costs a small
// part of the first one.
func TestStepOfOneChange(t *testing.T) {
	const n = 3000
	start := cpu(t)
	c, m := startMany(t, n)
	whole := cpu(t) - start
	for name, change := range map[string]func(i, v int){"Ingress": m.ingress, "Service": m.service, "EndpointSlice": m.slice, "Secret": m.secret} {
		least := time.Hour
		for v := range 5 {
			before, at := c.runs.tables["default"].Load(), cpu(t)
			change(100*v, v+1)
			c.step()
			least = min(least, cpu(t)-at)
			if after := c.runs.tables["default"].Load(); name == "Ingress" && after == before {
				t.Error("the table has not changed")
			}
		}
		t.Logf("%s: %v of CPU", name, least)
		if least > whole/30 {
			t.Errorf("one %s of %d: a step takes %v of CPU, the first one %v", name, n, least, whole)
		}
	}
}
