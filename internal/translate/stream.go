package translate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// streams is what a controller's ConfigMaps of TCP and UDP ports come to.
type streams struct {
	leads []streamLead
	list  []model.Stream
	told  *told
	reads []read
}

// streamLead is one of the ports and where it leads.
type streamLead struct {
	model.Stream
	port      string // of the Service
	external  string // name and port of an ExternalName Service
	externalP uint16
	from      model.Origin // of the Service
}

// isStream tells whether only streams lead to an upstream of this protocol.
func isStream(protocol string) bool { return protocol == "TCP" || protocol == "UDP" }

// streams returns the TCP and UDP ports of the controller.
func (s *servers) streams() []model.Stream {
	if s.c.TCPServices == "" && s.c.UDPServices == "" {
		return nil
	}
	k := s.k.streams
	if k == nil || !s.m.hold(k.reads) {
		next, r := &streams{}, &report{}
		for _, protocol := range []string{"TCP", "UDP"} {
			next.leads = append(next.leads, s.readStreams(r, protocol)...)
		}
		var had *told
		if k != nil {
			next.list, had = k.list, k.told
		}
		next.told, next.reads = s.m.telling.tell(had, r.told()), s.noting.noted()
		k, s.k.streams = next, next
	}
	var list []model.Stream
	for i := range k.leads {
		list = append(list, s.leadStream(&k.leads[i]))
	}
	if !slices.Equal(list, k.list) {
		k.list = list
	}
	return k.list
}

// leadStream makes the upstream of a port. Two controllers that want different things
// of one Service get an upstream each.
func (s *servers) leadStream(l *streamLead) model.Stream {
	name := fmt.Sprintf("%s-%s-%s@%s", l.Namespace, l.Service, l.port, strings.ToLower(l.Protocol))
	u := s.m.upstream(name)
	if s.m.taken(u) && u.External != l.external {
		u = s.m.upstream(name + "@" + s.c.name)
	}
	if !s.m.taken(u) {
		s.m.pass(u, model.Upstream{
			Name: u.Name, Namespace: l.Namespace, Service: l.Service, Port: l.port, Protocol: l.Protocol, Balancing: model.Balancing{Balance: "round_robin"},
			External: l.external, ExternalP: l.externalP, Origin: l.from,
		})
	}
	s.m.used.call(u)
	out := l.Stream
	out.Upstream = u.Name
	return out
}

// readStreams reads one of the ConfigMaps, in the order of its ports.
func (s *servers) readStreams(r *report, protocol string) []streamLead {
	flag, name := "tcp-services-configmap", s.c.TCPServices
	if protocol == "UDP" {
		flag, name = "udp-services-configmap", s.c.UDPServices
	}
	i, err := parseID(name)
	if err != nil {
		return nil
	}
	s.noting.note(ofConfigMap, i)
	cm := s.o.configMaps[i]
	if cm == nil {
		at, field := s.c.at(flag)
		r.add(model.Warning, at, field, name, fmt.Sprintf("%s; no %s ports are served", s.o.missing("ConfigMap", i), protocol), "add the ConfigMap or remove the flag")
		return nil
	}
	var leads []streamLead
	taken := map[uint16]string{}
	for _, key := range slices.Sorted(maps.Keys(cm.value.Data)) {
		e := &streamEntry{s: s, r: r, cm: cm, key: key, value: cm.value.Data[key], protocol: protocol}
		if l, ok := e.read(taken); ok {
			leads = append(leads, l)
		}
	}
	slices.SortFunc(leads, func(a, b streamLead) int { return cmp.Compare(a.Port, b.Port) })
	return leads
}

// streamEntry is one entry of such a ConfigMap.
type streamEntry struct {
	s          *servers
	r          *report
	cm         *entry[corev1.ConfigMap]
	key, value string
	protocol   string
}

func (e *streamEntry) field() string { return "data[" + e.key + "]" }

// refuse tells why the port is not served.
func (e *streamEntry) refuse(reason, remedy string) {
	e.r.add(model.Error, e.cm.at(e.field()), e.field(), e.value, fmt.Sprintf("%s port %s is not served: %s", e.protocol, e.key, reason), remedy)
}

func (e *streamEntry) warn(reason, remedy string) {
	e.r.add(model.Warning, e.cm.at(e.field()), e.field(), e.value, reason, remedy)
}

// read reads the entry: port to namespace/service:port[:PROXY][:PROXY]. What was taken
// by an earlier one is not served twice.
func (e *streamEntry) read(taken map[uint16]string) (streamLead, bool) {
	var l streamLead
	number, err := strconv.ParseUint(e.key, 10, 16)
	if err != nil || number == 0 {
		e.refuse("the key is no port (1 to 65535)", "write the port as the key")
		return l, false
	}
	port := uint16(number)
	if flag := e.reserved(port); flag != "" {
		e.refuse("it is the controller's own, by "+flag, "choose another port")
		return l, false
	}
	if other, twice := taken[port]; twice {
		e.refuse(fmt.Sprintf("the key %q is for the same port", other), "remove one of the two")
		return l, false
	}
	words := strings.Split(strings.TrimSpace(e.value), ":")
	service, err := parseID(words[0])
	if err != nil || len(words) < 2 || words[1] == "" {
		e.refuse("the value is not of the form namespace/service:port", "write it as namespace/service:port, with :PROXY behind it where clients begin with the PROXY protocol")
		return l, false
	}
	taken[port] = e.key
	l.Stream = model.Stream{Protocol: e.protocol, Port: port, Namespace: service.namespace, Service: service.name, Origin: e.cm.at(e.field())}
	l.port = words[1]
	e.proxy(&l, words[2:])
	return l, e.find(&l, service)
}

// ownPort is a TCP port on which the controller itself listens.
type ownPort struct {
	port uint16 // 0: it does not
	flag string
}

// ownPorts lists them.
func (f *Flags) ownPorts() []ownPort {
	profiler := ownPort{f.ProfilerPort, "--profiler-port"}
	if !f.Profiling {
		profiler.port = 0
	}
	return []ownPort{
		{f.HTTPPort, "--http-port"}, {f.HTTPSPort, "--https-port"}, {f.HealthzPort, "--healthz-port"},
		{f.StatusPort, "--status-port"}, profiler, {f.WebhookPort, "--validating-webhook"},
	}
}

// OwnPorts lists the flags by which a controller listens on ports that no stream can have,
// with their defaults; 0 is none.
func OwnPorts() (rows []FlagRow) {
	f := DefaultFlags()
	for _, own := range f.ownPorts() {
		rows = append(rows, FlagRow{Name: strings.TrimPrefix(own.flag, "--"), Default: strconv.Itoa(int(own.port))})
	}
	return rows
}

// reserved returns the flag by which the controller itself listens on a port, or "".
func (e *streamEntry) reserved(port uint16) string {
	if e.protocol != "TCP" {
		return ""
	}
	for _, own := range e.s.c.ownPorts() {
		if own.port == port {
			return own.flag
		}
	}
	return ""
}

// proxy reads the words behind the port: the first says that clients begin with the
// PROXY protocol, the second that endpoints get it.
func (e *streamEntry) proxy(l *streamLead, words []string) {
	for i, word := range words {
		switch {
		case word == "" && i == 0: // ::PROXY
		case i > 1 || !strings.EqualFold(word, "PROXY"):
			e.warn(fmt.Sprintf("%q is ignored: only PROXY may stand there, twice", word), "remove it")
		case e.protocol == "UDP":
			e.warn("PROXY is ignored: UDP has no PROXY protocol here", "remove it")
		case i == 0:
			l.ProxyIn = true
		default:
			l.ProxyOut = true
		}
	}
}

// find looks for the Service and its port, and tells when the port leads nowhere.
func (e *streamEntry) find(l *streamLead, service id) bool {
	o := e.s.noting
	svc := o.service(service)
	if svc == nil {
		e.refuse(o.missing("Service", service), "add the Service")
		return false
	}
	l.from = svc.origin
	protocol := corev1.Protocol(e.protocol)
	p := streamPort(svc.value, l.port, protocol)
	if svc.value.Spec.Type == corev1.ServiceTypeExternalName {
		return e.external(l, svc, p)
	}
	if p == nil {
		e.refuse(fmt.Sprintf("Service %s has no %s port %q, it has %s", service, e.protocol, l.port, portList(svc.value)), "name one of its ports")
		return false
	}
	if e.s.m.opt.Standalone && o.streamAddresses(service, l.port, protocol).none() {
		e.warn(NoStreamEndpoints(&l.Stream), "add Endpoints or an EndpointSlice for it")
	}
	return true
}

// NoStreamEndpoints says what it means that the Service of a Stream has no endpoint.
func NoStreamEndpoints(s *model.Stream) string {
	return fmt.Sprintf("%s port %d is closed: Service %s/%s has no ready endpoints", s.Protocol, s.Port, s.Namespace, s.Service)
}

// external finds where an ExternalName Service leads.
func (e *streamEntry) external(l *streamLead, svc *entry[corev1.Service], p *corev1.ServicePort) bool {
	name, reason := e.s.noting.externalName(svc, !e.s.c.DisableExternalName)
	number, _ := strconv.ParseUint(l.port, 10, 16)
	if number == 0 && p != nil {
		number = uint64(p.Port)
	}
	if reason == "" && number == 0 {
		reason = fmt.Sprintf("Service %s has no port %q", svc.id, l.port)
	}
	if reason != "" {
		e.refuse(reason, "")
		return false
	}
	l.external, l.externalP = name, uint16(number)
	return true
}

// streamPort returns the Service's port of that number or name and protocol.
func streamPort(svc *corev1.Service, port string, protocol corev1.Protocol) *corev1.ServicePort {
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if sameProtocol(p.Protocol, protocol) && (strconv.Itoa(int(p.Port)) == port || p.Name == port) {
			return p
		}
	}
	return nil
}

// sameProtocol compares two protocols; none is TCP.
func sameProtocol(a, b corev1.Protocol) bool {
	return cmp.Or(a, corev1.ProtocolTCP) == cmp.Or(b, corev1.ProtocolTCP)
}

// streamAddresses returns the addresses of a Service port that streams lead to.
func (o *Objects) streamAddresses(service id, port string, protocol corev1.Protocol) addresses {
	svc := o.service(service)
	if svc == nil || svc.value.Spec.Type == corev1.ServiceTypeExternalName {
		return addresses{}
	}
	p := streamPort(svc.value, port, protocol)
	if p == nil {
		return addresses{}
	}
	return o.endpointAddresses(svc, p)
}
