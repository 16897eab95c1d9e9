// Package status tells the owners of objects what became of them: the addresses of
// their Ingresses (plan.go says which, write.go writes them), and Events for what is
// wrong (events.go). Of all processes of a controller one does so, the leader
// (leader.go).
package status

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// Address is one entry of an Ingress's status.
type Address = networkingv1.IngressLoadBalancerIngress

// Addresses makes entries of addresses and names, sorted and each once.
func Addresses(texts []string) []Address {
	var as []Address
	for _, text := range texts {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if ip, err := netip.ParseAddr(text); err == nil {
			as = append(as, Address{IP: ip.String()})
		} else {
			as = append(as, Address{Hostname: text})
		}
	}
	slices.SortFunc(as, compare)
	return slices.CompactFunc(as, equal)
}

func compare(a, b Address) int {
	return cmp.Or(cmp.Compare(a.IP, b.IP), cmp.Compare(a.Hostname, b.Hostname))
}

func equal(a, b Address) bool { return a.IP == b.IP && a.Hostname == b.Hostname }

// OfService returns the addresses that a Service is reached by, by its type.
func OfService(svc *corev1.Service) []Address {
	var texts []string
	spec := &svc.Spec
	switch spec.Type {
	case corev1.ServiceTypeExternalName:
		texts = []string{spec.ExternalName}
	case corev1.ServiceTypeLoadBalancer:
		for _, in := range svc.Status.LoadBalancer.Ingress {
			texts = append(texts, cmp.Or(in.IP, in.Hostname))
		}
		texts = append(texts, spec.ExternalIPs...)
	case corev1.ServiceTypeNodePort:
		if texts = spec.ExternalIPs; len(texts) == 0 {
			texts = []string{spec.ClusterIP}
		}
	default:
		texts = []string{spec.ClusterIP}
	}
	texts = slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == corev1.ClusterIPNone })
	return Addresses(texts)
}

// Change is an Ingress whose status should be another.
type Change struct {
	Key  string // namespace/name
	Want []Address
}

// Plan says which of these Ingresses, which are ours, need another status. The order is
// that of the Ingresses.
func Plan(ours []*networkingv1.Ingress, want []Address) []Change {
	var cs []Change
	for _, in := range ours {
		if !has(in, want) {
			cs = append(cs, Change{in.Namespace + "/" + in.Name, want})
		}
	}
	return cs
}

// PlanClear says whose status must be emptied when nobody is left to answer under
// these addresses: only those that have exactly them.
func PlanClear(ours []*networkingv1.Ingress, gone []Address) []Change {
	var cs []Change
	for _, in := range ours {
		if len(gone) > 0 && has(in, gone) {
			cs = append(cs, Change{in.Namespace + "/" + in.Name, nil})
		}
	}
	return cs
}

// has tells whether an Ingress's status holds exactly these addresses, in any order.
func has(in *networkingv1.Ingress, want []Address) bool {
	got := slices.Clone(in.Status.LoadBalancer.Ingress)
	slices.SortFunc(got, compare)
	return slices.EqualFunc(got, want, equal)
}
