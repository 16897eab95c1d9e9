package service

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// newTestTable returns a table of these objects.
func newTestTable(t *testing.T, objects ...any) *Table {
	t.Helper()
	index := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
	services, slices := cache.NewIndexer(cache.MetaNamespaceKeyFunc, index), cache.NewIndexer(cache.MetaNamespaceKeyFunc, index)
	for _, o := range objects {
		into := services
		if _, ok := o.(*discoveryv1.EndpointSlice); ok {
			into = slices
		}
		if err := into.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return &Table{services: corelisters.NewServiceLister(services), slices: discoverylisters.NewEndpointSliceLister(slices)}
}

func newService(name, ip string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, ClusterIPs: []string{ip}, Ports: ports}}
}

// newSlice returns a slice of the Service web whose endpoints have these conditions:
// ready, serving while terminating, or neither.
func newSlice(conditions ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		Ports: []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080))}, {Name: new("admin"), Port: new(int32(9090))}}}
	for i, c := range conditions {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{netip.AddrFrom4([4]byte{10, 244, 0, byte(i + 2)}).String()},
			Hostname:   new("web-" + string(rune('0'+i))),
			Conditions: discoveryv1.EndpointConditions{Ready: new(c == "ready"), Serving: new(c != "down"), Terminating: new(c == "leaving")}})
	}
	return s
}

func TestEndpoints(t *testing.T) {
	for _, test := range []struct {
		name       string
		conditions []string
		all        bool
		want       []string
	}{
		{"ready ones only", []string{"ready", "leaving", "down", "ready"}, false, []string{"10.244.0.2:8080", "10.244.0.5:8080"}},
		{"those that leave when there is no other", []string{"leaving", "down"}, false, []string{"10.244.0.2:8080"}},
		{"none", []string{"down"}, false, nil},
		{"all", []string{"ready", "leaving", "down"}, true, []string{"10.244.0.2:8080", "10.244.0.3:8080", "10.244.0.4:8080"}},
	} {
		found, err := newTestTable(t, newSlice(test.conditions...)).endpoints("n", "web", "http", test.all)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range found {
			got = append(got, e.addr.String())
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestFronts(t *testing.T) {
	node, balancers := netip.MustParseAddr("10.244.0.1"), netip.MustParsePrefix("10.97.0.0/24")
	s := newService("web", "10.96.0.7", corev1.ServicePort{Name: "http", Port: 80, NodePort: 30080}, corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP})
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "10.97.0.3"}, {IP: "192.0.2.1"}}
	want := map[string]bool{"10.96.0.7:80": true, "10.97.0.3:80": true, "10.244.0.1:30080": true}
	check := func() {
		t.Helper()
		got := fronts(s, node, balancers)
		for addr := range got {
			if !want[addr.String()] {
				t.Errorf("%s is listened on, want %v", addr, want)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	check()
	s.Spec.LoadBalancerClass = new("pierhead.dev/node") // another's address, even in our prefix
	delete(want, "10.97.0.3:80")
	check()
	s.Spec.ClusterIPs = []string{corev1.ClusterIPNone}
	delete(want, "10.96.0.7:80")
	check()
	s.Labels = map[string]string{otherProxy: "mesh"}
	clear(want)
	check()
}

func TestNames(t *testing.T) {
	web := newService("web", corev1.ClusterIPNone, corev1.ServicePort{Name: "http", Port: 8080, Protocol: corev1.ProtocolTCP})
	outside := newService("outside", "", corev1.ServicePort{})
	outside.Spec.Type, outside.Spec.ExternalName, outside.Spec.ClusterIPs = corev1.ServiceTypeExternalName, "api.n.svc.cluster.local", nil
	loop := newService("loop", "", corev1.ServicePort{})
	loop.Spec.Type, loop.Spec.ExternalName = corev1.ServiceTypeExternalName, "loop.n.svc.cluster.local"
	d := &DNS{Table: newTestTable(t, newService("api", "10.96.0.7", corev1.ServicePort{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}), web,
		newSlice("ready", "down", "ready"), outside, loop)}
	for _, test := range []struct {
		name  string
		kind  uint16
		code  int
		ends  string // of the last record
		count int
	}{
		{"api.n.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.96.0.7", 1},
		{"API.N.svc.Cluster.Local.", dns.TypeA, dns.RcodeSuccess, "10.96.0.7", 1},
		{"api.n.svc.cluster.local.", dns.TypeAAAA, dns.RcodeSuccess, "", 0},
		{"web.n.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.244.0.4", 2},
		{"web-2.web.n.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.244.0.4", 1},
		{"10-244-0-2.web.n.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.244.0.2", 1},
		{"web-9.web.n.svc.cluster.local.", dns.TypeA, dns.RcodeNameError, "", 0},
		{"_http._tcp.api.n.svc.cluster.local.", dns.TypeSRV, dns.RcodeSuccess, "api.n.svc.cluster.local.", 1},
		{"_https._tcp.api.n.svc.cluster.local.", dns.TypeSRV, dns.RcodeNameError, "", 0},
		{"outside.n.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.96.0.7", 2},
		{"loop.n.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "loop.n.svc.cluster.local.", 9},
		{"missing.n.svc.cluster.local.", dns.TypeA, dns.RcodeNameError, "", 0},
		{"n.svc.cluster.local.", dns.TypeA, dns.RcodeNameError, "", 0},
		{"example.com.", dns.TypeA, dns.RcodeNameError, "", 0},
		{"svc.cluster.local.", dns.TypeA, dns.RcodeNameError, "", 0},
	} {
		r := new(dns.Msg)
		d.answer(r, dns.Question{Name: test.name, Qtype: test.kind, Qclass: dns.ClassINET}, 0)
		last := ""
		if len(r.Answer) > 0 {
			switch rr := r.Answer[len(r.Answer)-1].(type) {
			case *dns.A:
				last = rr.A.String()
			case *dns.CNAME:
				last = rr.Target
			case *dns.SRV:
				last = rr.Target
			}
		}
		if r.Rcode != test.code || last != test.ends || len(r.Answer) != test.count {
			t.Errorf("%s %s: %s, %v, want %s, %d records that end with %q", test.name, dns.TypeToString[test.kind], dns.RcodeToString[r.Rcode], r.Answer,
				dns.RcodeToString[test.code], test.count, test.ends)
		}
	}
}
