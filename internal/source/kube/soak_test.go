package kube

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// TestSoak has objects come, change and go thousands of times, in ways that refer to
// Secrets and ConfigMaps that are there or not. When all have gone nothing is kept of
// them, and at no time is content kept that nobody wants.
func TestSoak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Client: fake.NewClientset(), ConfigMap: "a/settings", Secrets: []string{"a/default"}, Log: slog.New(slog.DiscardHandler)})
		feeds := map[string]*feed{}
		for _, f := range s.feeds {
			feeds[f.kind] = f
		}
		r := rand.New(rand.NewPCG(3, 4))
		name := func(what string) string { return fmt.Sprint(what, r.IntN(8)) }
		for step := range 5000 {
			var obj Object
			kind := []string{"Ingress", "Service", "EndpointSlice", "Secret", "ConfigMap"}[r.IntN(5)]
			switch kind {
			case "Ingress":
				obj = ingress(name("i"), func(in *networkingv1.Ingress) {
					in.Spec.TLS = []networkingv1.IngressTLS{{SecretName: name("s")}}
					in.Annotations = map[string]string{"nginx.ingress.kubernetes.io/auth-secret": name("s"), "nginx.ingress.kubernetes.io/custom-headers": "a/" + name("c")}
				})
			case "Service":
				obj = service(name("v"))
			case "EndpointSlice":
				es := slice(name("e"), name("v"), "", "10.0.0.1")
				es.Ports[0].Port = new(int32(r.IntN(3)))
				obj = es
			case "Secret":
				obj = &corev1.Secret{ObjectMeta: meta(name("s")), Data: map[string][]byte{"auth": fmt.Append(nil, step)}}
			case "ConfigMap":
				obj = &corev1.ConfigMap{ObjectMeta: meta([]string{"settings", name("c")}[r.IntN(2)]), Data: map[string]string{"add-headers": "a/" + name("c")}}
			}
			obj.SetResourceVersion(fmt.Sprint(step + 1))
			var err error
			if r.IntN(3) == 0 {
				err = feeds[kind].Delete(obj)
			} else {
				err = feeds[kind].Update(obj)
			}
			if err != nil {
				t.Fatal(err)
			}
			if step%7 == 0 {
				s.fetch(t.Context())
				s.Load()
			}
			for key, obj := range feeds["Secret"].have {
				if s.wanted[ref{"Secret", key}] == 0 && !isEmptied(obj) {
					t.Fatalf("step %d: Secret %s is kept with its content", step, key)
				}
			}
		}
		if len(s.wanted) < 6 {
			t.Fatalf("%d Secrets and ConfigMaps are wanted: the objects are too tame", len(s.wanted))
		}
		for _, f := range s.feeds {
			if err := f.Replace(nil, "9999"); err != nil {
				t.Fatal(err)
			}
		}
		s.fetch(t.Context())
		o, problems := s.Load()
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.WatchEndpoints(ctx, func([]string) { cancel() }); err == nil {
			t.Fatal("WatchEndpoints ends without its context")
		}
		for _, f := range s.feeds {
			if len(f.have) > 0 {
				t.Errorf("%d objects of kind %s are kept", len(f.have), f.kind)
			}
		}
		if len(s.wanted) != 2 || len(s.pending)+len(s.missing)+len(s.refused)+len(s.changed)+len(s.slices)+len(problems) > 0 {
			t.Errorf("wanted %v, pending %v, missing %v, refused %v, changed %v, problems %v", s.wanted, s.pending, s.missing, s.refused, s.changed, problems)
		}
		if n, m := o.Len(), s.endpoints.Len(); n+m > 0 {
			t.Errorf("%d objects are handed out, %d kept for endpoints", n, m)
		}
	})
}
