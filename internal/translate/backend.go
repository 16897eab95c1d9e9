package translate

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pierhead/pierhead/internal/model"
)

// backend is a reference to a Service port, and where it was written.
type backend struct {
	service   id
	port      string
	lead      *lead // where it leads in its controller
	at        func(field string) model.Origin
	nameField string
	portField string
}

// tell tells the owner of a reference where it leads.
func (b *backend) tell(r *report, field, value, reason, remedy string) {
	r.add(model.Warning, b.at(field), field, value, reason+"; requests for it are answered 503", remedy)
}

// upstreamName returns namespace-service-port.
func (b *backend) upstreamName() string {
	return b.service.namespace + "-" + b.service.name + "-" + b.port
}

// portText returns the port of a backend as it is written.
func portText(p networkingv1.ServiceBackendPort) string {
	if p.Name != "" {
		return p.Name
	}
	return strconv.Itoa(int(p.Number))
}

// findPort returns the Service's port that a backend means: by number, by target
// port or by name, the first that fits.
func findPort(svc *corev1.Service, port string) *corev1.ServicePort {
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if strconv.Itoa(int(p.Port)) == port || p.TargetPort.String() == port || (p.Name == port && port != "") {
			return p
		}
	}
	return nil
}

// check tells the owner of a backend when it leads nowhere, and returns the name and
// port of an ExternalName Service.
func (b *backend) check(o *Objects, r *report, opt Options, s upstreamSettings) (string, uint16) {
	svc := o.service(b.service)
	if svc == nil {
		b.tell(r, b.nameField, b.service.name, o.missing("Service", b.service), "add the Service")
		return "", 0
	}
	port := findPort(svc.value, b.port)
	switch {
	case svc.value.Spec.Type == corev1.ServiceTypeExternalName:
		return b.external(o, r, svc, port, s)
	case port == nil:
		b.tell(r, b.portField, b.port, fmt.Sprintf("Service %s has no port %q, it has %s", b.service, b.port, portList(svc.value)),
			"name one of its ports")
	case port.Protocol != "" && port.Protocol != corev1.ProtocolTCP:
		b.tell(r, b.portField, b.port, fmt.Sprintf("the port of Service %s is %s", b.service, port.Protocol), "name a TCP port")
	case opt.Standalone && o.addresses(b.service, b.port, s.service).none():
		reason, remedy := fmt.Sprintf("Service %s has no ready endpoints", b.service), "add Endpoints or an EndpointSlice for it"
		if o.portless(b.service, port) {
			reason = fmt.Sprintf("the EndpointSlices of Service %s have no ports, and its target port %q is no number", b.service, port.TargetPort.String())
			remedy = "give the EndpointSlices the port, or the Service a number"
		}
		b.tell(r, b.nameField, b.service.name, reason, remedy)
	}
	return "", 0
}

// external checks an ExternalName Service.
func (b *backend) external(o *Objects, r *report, svc *entry[corev1.Service], p *corev1.ServicePort, s upstreamSettings) (string, uint16) {
	name, reason := o.externalName(svc, s.external)
	number, _ := strconv.ParseUint(b.port, 10, 16)
	if number == 0 && p != nil {
		number = uint64(p.Port)
	}
	switch {
	case reason != "":
	case number == 0 || number > 65535:
		b.tell(r, b.portField, b.port, fmt.Sprintf("Service %s has no port %q", b.service, b.port), "name the port by its number")
		return "", 0
	default:
		return name, uint16(number)
	}
	r.add(model.Warning, svc.at("spec.externalName"), "spec.externalName", svc.value.Spec.ExternalName,
		reason+"; requests for it are answered 503", "")
	return "", 0
}

// externalName returns the name that an ExternalName Service stands for, or why it
// leads nowhere.
func (o *Objects) externalName(svc *entry[corev1.Service], resolved bool) (name, reason string) {
	name = strings.ToLower(strings.TrimSuffix(svc.value.Spec.ExternalName, "."))
	_, isAddress := netip.ParseAddr(name)
	switch {
	case !resolved:
		reason = "ExternalName Services are not resolved, by --disable-svc-external-name"
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		reason = "the external name is this machine's own"
	case isAddress == nil:
		reason = "the external name is an address"
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		reason = "the external name is no valid name"
	default:
		reason = o.circle(svc)
	}
	return name, reason
}

// portList lists a Service's ports for people.
func portList(svc *corev1.Service) string {
	if len(svc.Spec.Ports) == 0 {
		return "none"
	}
	var texts []string
	for _, p := range svc.Spec.Ports {
		text := strconv.Itoa(int(p.Port))
		if p.Name != "" {
			text += " (" + p.Name + ")"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}
