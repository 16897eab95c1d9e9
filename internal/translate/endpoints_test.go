package translate_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// What the conditions of an endpoint mean. Each word of has is an endpoint: its address,
// then r for ready, s for serving, t for terminating, and - for a condition that is not
// told.
func TestEndpointConditions(t *testing.T) {
	for _, tt := range []struct{ name, has, balanced, drain string }{
		{"nothing is told", "1---", "1", ""},
		{"ready", "1rs_ 2rs_", "1 2", ""},
		{"not ready", "1___ 2rs_", "2", ""},
		{"it drains", "1_st 2rs_", "2", "1"},
		{"terminating and dead", "1__t 2rs_", "2", ""},
		{"the last resort", "1_st 2_st 3__t", "1 2", ""},
		{"a readiness that only fails is none", "1_s_", "", ""},
		{"published though not ready", "1r__ 2r_t", "1 2", ""},
		{"one slice is behind", "1_st 1rs_ 2rs_", "1 2", ""},
		{"nothing", "", "", ""},
	} {
		o := translate.NewObjects()
		add := func(obj runtime.Object) {
			if err := o.Add(obj, translate.Place{}); err != nil {
				t.Fatal(err)
			}
		}
		add(&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
		})
		slice := &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
			AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Port: new(int32)}},
		}
		*slice.Ports[0].Port = 8080
		for _, word := range strings.Fields(tt.has) {
			is := func(i int, letter byte) *bool {
				if word[i] == '-' {
					return nil
				}
				b := word[i] == letter
				return &b
			}
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
				Addresses:  []string{"192.0.2." + word[:1]},
				Conditions: discoveryv1.EndpointConditions{Ready: is(1, 'r'), Serving: is(2, 's'), Terminating: is(3, 't')},
			})
		}
		add(slice)
		cfg := &model.Config{Upstreams: []model.Upstream{{Name: "shop-web-80", Namespace: "shop", Service: "web", Port: "80"}}}
		for what, got := range map[string][]model.EndpointSet{
			"Endpoints": translate.Endpoints(o, cfg), "EndpointMemo": new(translate.EndpointMemo).Endpoints(o, cfg),
		} {
			if balanced := numbers(got[0].Endpoints); !slices.Equal(balanced, strings.Fields(tt.balanced)) {
				t.Errorf("%s: %s: balanced are %q, want %q", tt.name, what, balanced, tt.balanced)
			}
			if drain := numbers(got[0].Draining); !slices.Equal(drain, strings.Fields(tt.drain)) {
				t.Errorf("%s: %s: %q drain, want %q", tt.name, what, drain, tt.drain)
			}
		}
	}
}

// TestSliceWithoutPorts: endpoints without a port have the one that the Service says by
// number; a name leads nowhere, which is told.
func TestSliceWithoutPorts(t *testing.T) {
	for target, want := range map[string]string{", targetPort: 8080": "192.0.2.1:8080", "": "192.0.2.1:80", ", targetPort: web": ""} {
		o, problems := load(t, []txtar.File{{Name: "web.yaml", Data: []byte(`
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: http, port: 80` + target + `}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [192.0.2.1]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop, annotations: {kubernetes.io/ingress.class: nginx}}
spec: {rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`)}})
		cfg, more := translate.Translate(o, translate.Options{Standalone: true, Default: &translate.Default{Namespace: "shop", Flags: translate.DefaultFlags()}})
		got := ""
		for _, set := range translate.Endpoints(o, cfg) {
			for _, e := range set.Endpoints {
				got += e.String()
			}
		}
		problems = append(problems, more...)
		told := slices.ContainsFunc(problems, func(p model.Problem) bool {
			return strings.Contains(p.Reason, `have no ports, and its target port "web" is no number`)
		})
		if got != want || told != (want == "") {
			t.Errorf("%q gives %q, want %q; told: %v: %v", target, got, want, told, problems)
		}
	}
}

// numbers returns the last digit of each address.
func numbers(as []netip.AddrPort) (list []string) {
	for _, a := range as {
		text := a.Addr().String()
		list = append(list, text[len(text)-1:])
	}
	return list
}
