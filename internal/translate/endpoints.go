package translate

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pierhead/pierhead/internal/model"
)

// Endpoints returns the ready endpoints of each upstream of the Config, also where
// there are none. Names of ExternalName Services are resolved elsewhere.
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
		s.Endpoints = o.readyStream(id{u.Namespace, u.Service}, u.Port, corev1.Protocol(u.Protocol))
	default:
		s.Endpoints = o.ready(id{u.Namespace, u.Service}, u.Port, u.ServiceIP)
	}
	return s
}

// ready returns the addresses of a Service port, sorted and each once: its endpoints',
// unless the address of the Service is wanted and there is one.
func (o *Objects) ready(service id, portName string, serviceIP bool) []netip.AddrPort {
	svc := o.service(service)
	if svc == nil || svc.value.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	port := findPort(svc.value, portName)
	if port == nil || (port.Protocol != "" && port.Protocol != corev1.ProtocolTCP) {
		return nil
	}
	if serviceIP && isAddress(svc.value.Spec.ClusterIP) {
		return appendAddr(nil, svc.value.Spec.ClusterIP, []int32{port.Port})
	}
	return o.readyEndpoints(svc, port)
}

// readyEndpoints returns the addresses of the endpoints of a Service port, sorted and
// each once. Endpoints objects count when there is no EndpointSlice.
func (o *Objects) readyEndpoints(svc *entry[corev1.Service], port *corev1.ServicePort) []netip.AddrPort {
	service := svc.id
	o.note(ofSlice, service)
	own := o.ofService[service]
	var as []netip.AddrPort
	for _, s := range o.inZone(svc.value, own) {
		as = append(as, addressesOf(s, port)...)
	}
	if len(own) == 0 {
		o.note(ofEndpoints, service)
	}
	if e := o.endpoints[service]; e != nil && len(own) == 0 {
		for _, subset := range e.value.Subsets {
			as = append(as, ofSubset(subset, port)...)
		}
	}
	slices.SortFunc(as, netip.AddrPort.Compare)
	return slices.Clone(slices.Compact(as)) // it stays as long as the endpoints do
}

// addressesOf returns the ready addresses of one slice: those that are not said to be
// unready.
func addressesOf(s *discoveryv1.EndpointSlice, port *corev1.ServicePort) []netip.AddrPort {
	if s.AddressType == discoveryv1.AddressTypeFQDN {
		return nil
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
	var as []netip.AddrPort
	for _, e := range s.Endpoints {
		if e.Conditions.Ready != nil && !*e.Conditions.Ready {
			continue
		}
		for _, text := range e.Addresses {
			as = appendAddr(as, text, numbers)
		}
	}
	return as
}

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
