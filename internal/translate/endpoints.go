package translate

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pierhead/pierhead/internal/model"
)

// Endpoints returns the endpoints of each upstream of the Config, also where there are
// none. Names of ExternalName Services are resolved elsewhere.
//
// Those that are ready count, or where none is, those that still serve while they
// terminate, as kube-proxy has it. Beside ready ones, these drain.
func Endpoints(o *Objects, cfg *model.Config) []model.EndpointSet {
	sets := make([]model.EndpointSet, 0, len(cfg.Upstreams))
	for i := range cfg.Upstreams {
		sets = append(sets, o.endpointsOf(&cfg.Upstreams[i]))
	}
	return sets
}

func (o *Objects) endpointsOf(u *model.Upstream) model.EndpointSet {
	s := model.EndpointSet{Upstream: u.Name}
	switch {
	case u.External != "":
	case isStream(u.Protocol):
		s.Endpoints, s.Draining = o.streamAddresses(id{u.Namespace, u.Service}, u.Port, corev1.Protocol(u.Protocol)).choose()
	default:
		s.Endpoints, s.Draining = o.addresses(id{u.Namespace, u.Service}, u.Port, u.ServiceIP).choose()
	}
	return s
}

// addresses are where a Service port leads.
type addresses struct{ ready, leaving []netip.AddrPort }

// none reports whether it leads nowhere.
func (a addresses) none() bool { return len(a.ready)+len(a.leaving) == 0 }

// choose returns those that requests go to, and those that drain beside them; both
// sorted, and each address once: two slices may know it, one of them from yesterday.
func (a addresses) choose() (endpoints, draining []netip.AddrPort) {
	for _, list := range [2]*[]netip.AddrPort{&a.ready, &a.leaving} {
		slices.SortFunc(*list, netip.AddrPort.Compare)
		*list = slices.Clone(slices.Compact(*list)) // they stay as long as the endpoints do
	}
	if len(a.ready) == 0 {
		return a.leaving, nil
	}
	return a.ready, slices.DeleteFunc(a.leaving, func(l netip.AddrPort) bool {
		_, found := slices.BinarySearchFunc(a.ready, l, netip.AddrPort.Compare)
		return found
	})
}

// addresses returns those of a Service port: its endpoints', unless the address of the
// Service is wanted and there is one.
func (o *Objects) addresses(service id, portName string, serviceIP bool) (a addresses) {
	svc := o.service(service)
	if svc == nil || svc.value.Spec.Type == corev1.ServiceTypeExternalName {
		return a
	}
	port := findPort(svc.value, portName)
	if port == nil || (port.Protocol != "" && port.Protocol != corev1.ProtocolTCP) {
		return a
	}
	if serviceIP && isAddress(svc.value.Spec.ClusterIP) {
		a.ready = appendAddr(nil, svc.value.Spec.ClusterIP, []int32{port.Port})
		return a
	}
	return o.endpointAddresses(svc, port)
}

// endpointAddresses returns those of the endpoints of a Service port. Endpoints objects
// count when there is no EndpointSlice.
func (o *Objects) endpointAddresses(svc *entry[corev1.Service], port *corev1.ServicePort) (a addresses) {
	service := svc.id
	o.note(ofSlice, service)
	own := o.ofService[service]
	for _, s := range o.inZone(svc.value, own) {
		a.add(s, port)
	}
	if len(own) == 0 {
		o.note(ofEndpoints, service)
	}
	if e := o.endpoints[service]; e != nil && len(own) == 0 {
		for _, subset := range e.value.Subsets {
			a.ready = append(a.ready, ofSubset(subset, port)...)
		}
	}
	return a
}

// add adds the addresses of one slice. Ready is what is not said to be unready, also what
// terminates: so it is where a Service publishes addresses that are not ready.
func (a *addresses) add(s *discoveryv1.EndpointSlice, port *corev1.ServicePort) {
	if s.AddressType == discoveryv1.AddressTypeFQDN {
		return
	}
	var numbers []int32
	for _, p := range s.Ports {
		if p.Protocol == nil && port.Protocol != corev1.ProtocolUDP || p.Protocol != nil && sameProtocol(*p.Protocol, port.Protocol) {
			numbers = append(numbers, targetOf(port, p.Name, p.Port))
		}
	}
	if len(s.Ports) == 0 {
		numbers = append(numbers, numericTarget(port))
	}
	for _, e := range s.Endpoints {
		to := &a.ready
		if c := &e.Conditions; c.Ready != nil && !*c.Ready {
			if to = &a.leaving; !isTrue(c.Serving) || !isTrue(c.Terminating) {
				continue
			}
		}
		for _, text := range e.Addresses {
			*to = appendAddr(*to, text, numbers)
		}
	}
}

// portless tells whether a Service has slices with endpoints that have no ports, and its
// own port gives them none, being a name.
func (o *Objects) portless(service id, port *corev1.ServicePort) bool {
	o.note(ofSlice, service)
	return numericTarget(port) == 0 && slices.ContainsFunc(o.ofService[service], func(s *discoveryv1.EndpointSlice) bool {
		return len(s.Ports) == 0 && len(s.Endpoints) > 0
	})
}

func isTrue(b *bool) bool { return b != nil && *b }

// targetOf returns the number that one port of a slice gives for a Service port: its
// own when the names agree, else the Service's numeric target, else 0.
func targetOf(port *corev1.ServicePort, name *string, number *int32) int32 {
	if number != nil && (port.Name == "" || (name != nil && *name == port.Name)) {
		return *number
	}
	return numericTarget(port)
}

// numericTarget returns the target port of a Service port when it is a number, which
// is the port itself where nobody filled it in, or 0 when it is a name.
func numericTarget(port *corev1.ServicePort) int32 {
	switch {
	case port.TargetPort.Type == intstr.String:
		return 0
	case port.TargetPort.IntVal == 0:
		return port.Port
	}
	return port.TargetPort.IntVal
}

// ofSubset returns the ready addresses of a part of an Endpoints object.
func ofSubset(s corev1.EndpointSubset, port *corev1.ServicePort) []netip.AddrPort { //nolint:staticcheck // manifests of old hold them
	var numbers []int32
	for _, p := range s.Ports {
		if sameProtocol(p.Protocol, port.Protocol) {
			numbers = append(numbers, targetOf(port, &p.Name, &p.Port))
		}
	}
	var as []netip.AddrPort
	for _, a := range s.Addresses {
		as = appendAddr(as, a.IP, numbers)
	}
	return as
}

func appendAddr(as []netip.AddrPort, text string, numbers []int32) []netip.AddrPort {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return as
	}
	for _, n := range numbers {
		if n > 0 && n < 1<<16 {
			as = append(as, netip.AddrPortFrom(addr.Unmap(), uint16(n)))
		}
	}
	return as
}
