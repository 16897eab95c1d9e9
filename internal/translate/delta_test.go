package translate

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// TestRemove: an object that is added, replaced and removed leaves nothing behind,
// and endpoints follow slices that change their Service.
func TestRemove(t *testing.T) {
	service := func(name string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	}
	slice := func(name, service, ip string) *discoveryv1.EndpointSlice {
		port := int32(8080)
		return &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
			Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{ip}}},
			Ports:      []discoveryv1.EndpointPort{{Port: &port}},
		}
	}
	o := NewObjects()
	add := func(obj runtime.Object) {
		t.Helper()
		if err := o.Add(obj, Place{}); err != nil {
			t.Fatal(err)
		}
	}
	cfg := &model.Config{Upstreams: []model.Upstream{
		{Name: "one", Namespace: "a", Service: "one", Port: "80"}, {Name: "two", Namespace: "a", Service: "two", Port: "80"},
	}}
	expect := func(what string, one, two []string) {
		t.Helper()
		for i, want := range [][]string{one, two} {
			var got []string
			for _, a := range Endpoints(o, cfg)[i].Endpoints {
				got = append(got, a.Addr().String())
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s has %v, want %v", what, cfg.Upstreams[i].Name, got, want)
			}
		}
	}
	add(service("one"))
	add(service("two"))
	add(slice("x", "one", "10.0.0.1"))
	add(slice("y", "one", "10.0.0.2"))
	expect("two slices", []string{"10.0.0.1", "10.0.0.2"}, nil)
	add(slice("x", "one", "10.0.0.3"))
	expect("one replaced", []string{"10.0.0.2", "10.0.0.3"}, nil)
	add(slice("x", "two", "10.0.0.3"))
	expect("one moved", []string{"10.0.0.2"}, []string{"10.0.0.3"})
	o.Remove("EndpointSlice", "a", "y")
	o.Remove("EndpointSlice", "a", "y")
	expect("one removed", nil, []string{"10.0.0.3"})
	o.Remove("Service", "a", "two")
	expect("its Service removed", nil, nil)
	o.Remove("EndpointSlice", "a", "x")
	if len(o.ofService) != 0 || len(o.slices) != 0 {
		t.Errorf("left behind: %v", o.ofService)
	}
}

// TestRemoveForgetsRefusal: an object that could not be read and is gone is missing
// like any other.
func TestRemoveForgetsRefusal(t *testing.T) {
	o := NewObjects()
	i := id{"a", "s"}
	plain := o.missing("Secret", i)
	o.Refuse(model.Origin{Kind: "Secret", Namespace: "a", Name: "s"})
	if o.missing("Secret", i) == plain {
		t.Error("a refusal is not told")
	}
	o.Remove("Secret", "a", "s")
	if got := o.missing("Secret", i); got != plain {
		t.Errorf("after Remove: %s", got)
	}
}

// TestReferences: every place where an Ingress names a Secret or ConfigMap is seen.
func TestReferences(t *testing.T) {
	in := &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Annotations: map[string]string{
			"p.io/auth-secret":            "users",
			"q.io/auth-secret":            "b/users",
			"r.io/auth-secret":            " ",
			"p.io/auth-proxy-set-headers": "headers",
			"p.io/auth-realm":             "realm",
		}},
		Spec: networkingv1.IngressSpec{TLS: []networkingv1.IngressTLS{{SecretName: "pair"}, {}}},
	}
	got := IngressReferences(in)
	slices.Sort(got.Secrets)
	if !slices.Equal(got.Secrets, []string{"a/pair", "a/users", "b/users"}) || !slices.Equal(got.ConfigMaps, []string{"a/headers"}) {
		t.Errorf("references are %+v", got)
	}
}

// TestReferencesAreComplete: whatever annotation makes translation ask for a Secret or
// ConfigMap, IngressReferences has named it before.
func TestReferencesAreComplete(t *testing.T) {
	for name := range annotationNames(t) {
		in := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Annotations: map[string]string{
			"p.io/auth-type": "basic", "p.io/auth-url": "http://auth.example.com/", "p.io/" + name: "thing",
		}}}
		asked := askedFor(in)
		refs := IngressReferences(in)
		for _, s := range asked.Secrets {
			if !slices.Contains(refs.Secrets, s) {
				t.Errorf("annotation %s asks for Secret %s, which is not among %v", name, s, refs.Secrets)
			}
		}
		for _, s := range asked.ConfigMaps {
			if !slices.Contains(refs.ConfigMaps, s) {
				t.Errorf("annotation %s asks for ConfigMap %s, which is not among %v", name, s, refs.ConfigMaps)
			}
		}
	}
}

// annotationNames lists the annotations of the manual.
func annotationNames(t *testing.T) map[string]bool {
	text, err := os.ReadFile("../../docs/annotations.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)`").FindAllSubmatch(text, -1) {
		names[string(m[1])] = true
	}
	if !names["auth-secret"] || !names["auth-proxy-set-headers"] {
		t.Fatalf("the manual lists %d annotations; is it still read rightly?", len(names))
	}
	return names
}

// askedFor returns what the policies of an Ingress look up.
func askedFor(in *networkingv1.Ingress) (asked References) {
	policy.Route(policy.Input{
		Namespace: in.Namespace, Annotations: in.Annotations, Prefix: "p.io",
		Secret: func(ns, name string) (map[string][]byte, error) {
			asked.Secrets = append(asked.Secrets, ns+"/"+name)
			return nil, errors.New("there is none")
		},
		ConfigMap: func(ns, name string) (map[string]string, error) {
			asked.ConfigMaps = append(asked.ConfigMaps, ns+"/"+name)
			return nil, errors.New("there is none")
		},
	})
	return asked
}
