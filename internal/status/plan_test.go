package status

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// show prints addresses on one line.
func show(as []Address) string {
	var texts []string
	for _, a := range as {
		texts = append(texts, a.IP+a.Hostname)
	}
	return strings.Join(texts, " ")
}

// TestOfService: which addresses each type of Service has.
func TestOfService(t *testing.T) {
	given := []corev1.LoadBalancerIngress{{IP: "192.0.2.9"}, {Hostname: "lb.example.com"}, {IP: "192.0.2.1"}, {}}
	for _, c := range []struct {
		kind string
		spec corev1.ServiceSpec
		want string
	}{
		{"LoadBalancer", corev1.ServiceSpec{}, "lb.example.com 192.0.2.1 192.0.2.9"},
		{"LoadBalancer", corev1.ServiceSpec{ExternalIPs: []string{"192.0.2.1", "192.0.2.5"}}, "lb.example.com 192.0.2.1 192.0.2.5 192.0.2.9"},
		{"ExternalName", corev1.ServiceSpec{ExternalName: "front.example.com", ClusterIP: "10.0.0.1"}, "front.example.com"},
		{"ClusterIP", corev1.ServiceSpec{ClusterIP: "10.0.0.1", ExternalIPs: []string{"192.0.2.5"}}, "10.0.0.1"},
		{"ClusterIP", corev1.ServiceSpec{ClusterIP: "None"}, ""},
		{"NodePort", corev1.ServiceSpec{ClusterIP: "10.0.0.1"}, "10.0.0.1"},
		{"NodePort", corev1.ServiceSpec{ClusterIP: "10.0.0.1", ExternalIPs: []string{"2001:DB8::1"}}, "2001:db8::1"},
	} {
		c.spec.Type = corev1.ServiceType(c.kind)
		svc := &corev1.Service{Spec: c.spec, Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: given}}}
		if got := show(OfService(svc)); got != c.want {
			t.Errorf("%s %+v: %q, want %q", c.kind, c.spec, got, c.want)
		}
		if len(c.spec.ExternalIPs) > 0 && c.kind == "LoadBalancer" && len(svc.Spec.ExternalIPs) != 2 {
			t.Error("the Service was changed")
		}
	}
}

func published(name string, addresses ...string) *networkingv1.Ingress {
	in := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, UID: "u-" + "1"}}
	for _, a := range addresses {
		in.Status.LoadBalancer.Ingress = append(in.Status.LoadBalancer.Ingress, Addresses([]string{a})...)
	}
	return in
}

// TestPlan: only what differs is written, and only what is ours alone is emptied.
func TestPlan(t *testing.T) {
	ours := []*networkingv1.Ingress{
		published("none"), published("right", "192.0.2.2", "192.0.2.1"), published("more", "192.0.2.1", "192.0.2.2", "192.0.2.3"), published("other", "192.0.2.9"),
	}
	names := func(cs []Change) (out []string) {
		for _, c := range cs {
			out = append(out, c.Key+"="+show(c.Want))
		}
		return out
	}
	want := Addresses([]string{" 192.0.2.2", "192.0.2.1", "192.0.2.1", ""})
	if got := names(Plan(ours, want)); !slices.Equal(got, []string{"a/none=192.0.2.1 192.0.2.2", "a/more=192.0.2.1 192.0.2.2", "a/other=192.0.2.1 192.0.2.2"}) {
		t.Errorf("plan %q", got)
	}
	if got := names(Plan(ours[:1], nil)); len(got) != 0 {
		t.Errorf("plan for no address %q", got)
	}
	if got := names(PlanClear(ours, want)); !slices.Equal(got, []string{"a/right="}) {
		t.Errorf("emptied %q", got)
	}
	if got := PlanClear(ours, nil); len(got) != 0 {
		t.Errorf("emptied without an address: %q", names(got))
	}
}

// TestMessage: an Event says the field, the value, why and what to do, within the
// bound of the API.
func TestMessage(t *testing.T) {
	p := model.Problem{Field: "metadata.annotations[x]", Value: "a\"b", Reason: "it is wrong", Remedy: "mend it", Severity: model.Error}
	if got := Message(&p); got != `metadata.annotations[x] = "a\"b": it is wrong; mend it` {
		t.Errorf("message %q", got)
	}
	if Reason(&p) != "AnnotationParsingFailed" {
		t.Errorf("reason %q", Reason(&p))
	}
	p.Field = "spec.rules"
	if Reason(&p) != "NotServed" {
		t.Errorf("reason %q", Reason(&p))
	}
	p.Severity = model.Warning
	if Reason(&p) != "Ignored" {
		t.Errorf("reason %q", Reason(&p))
	}
	p.Value, p.Reason = strings.Repeat("ä", 1<<20), strings.Repeat("ö", 1<<10)
	if got := Message(&p); len(got) > longestMessage || !strings.HasSuffix(got, "…") || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("message of %d bytes ends in %q", len(got), got[len(got)-20:])
	}
}
