package translate

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pierhead/pierhead/internal/model"
)

// The annotations of LoadBalancer Services that are read.
const (
	awsPrefix     = "service.beta.kubernetes.io/aws-load-balancer-"
	internalNote  = awsPrefix + "internal"
	proxyNote     = awsPrefix + "proxy-protocol"
	idleNote      = awsPrefix + "connection-idle-timeout"
	rangesNote    = "service.beta.kubernetes.io/load-balancer-source-ranges"
	idleDefault   = 60 * time.Second
	affinityHours = 3 // sessionAffinity ClientIP without a time
)

// balancer reads one Service of type LoadBalancer.
type balancer struct {
	m          *Memo
	o          *Objects
	r          *report
	standalone bool
	svc        *entry[corev1.Service]
	lb         model.LoadBalancer
}

func isBalanced(svc *corev1.Service) bool { return svc.Spec.Type == corev1.ServiceTypeLoadBalancer }

// balancers reads the Services of type LoadBalancer.
func (m *Memo) balancers(o *Objects, cs []*controller, opt Options, r *report) []model.LoadBalancer {
	if !m.same(ofService) {
		m.balanced = o.services.where(isBalanced).sorted()
	}
	var all []model.LoadBalancer
	for _, svc := range m.balanced {
		b := &balancer{m: m, o: o, r: r, standalone: opt.Standalone, svc: svc}
		b.lb = model.LoadBalancer{Namespace: svc.id.namespace, Name: svc.id.name, IdleTimeout: idleDefault, Origin: svc.origin}
		b.annotations()
		b.sourceRanges()
		b.affinity()
		b.ports(b.targets(cs))
		if class := svc.value.Spec.LoadBalancerClass; class != nil {
			b.warn("spec.loadBalancerClass", *class, "the class is ignored: every Service of type LoadBalancer gets one", "")
		}
		if ip := svc.value.Spec.LoadBalancerIP; ip != "" { //nolint:staticcheck // manifests hold it
			b.warn("spec.loadBalancerIP", ip, "the address is not supported yet and ignored: one is chosen", "")
		}
		all = append(all, b.lb)
	}
	return all
}

func (b *balancer) warn(field, value, reason, remedy string) {
	b.r.add(model.Warning, b.svc.at(field), field, value, reason, remedy)
}

func noteField(name string) string { return "metadata.annotations[" + name + "]" }

// annotations reads the annotations of load balancers.
func (b *balancer) annotations() {
	notes := b.svc.value.Annotations
	internal := notes[internalNote]
	b.lb.Internal = internal != "" && internal != "false"
	if v, ok := notes[proxyNote]; ok {
		if b.lb.ProxyProtocol = v == "*"; !b.lb.ProxyProtocol {
			b.warn(noteField(proxyNote), v, `the PROXY protocol is not used: the only value is "*"; a cloud would answer with an error`, `write "*"`)
		}
	}
	if v, ok := notes[idleNote]; ok {
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil || n < 1 || n > 4000 {
			b.warn(noteField(idleNote), v, "the default of 60 seconds is used: this is no number of seconds from 1 to 4000", "write a number from 1 to 4000")
		} else {
			b.lb.IdleTimeout = time.Duration(n) * time.Second
		}
	}
	for name, v := range notes {
		rest, aws := strings.CutPrefix(name, awsPrefix)
		switch {
		case !aws || name == internalNote || name == proxyNote || name == idleNote:
		case knownAWS(rest):
			b.warn(noteField(name), v, "the annotation has no effect here", "")
		default:
			b.warn(noteField(name), v, "the annotation is not known and has no effect", "")
		}
	}
}

// knownAWS tells whether AWS has an annotation of that name.
func knownAWS(name string) bool {
	if awsNotes[name] {
		return true
	}
	for _, family := range []string{"listener-attributes.", "target-group-attributes.", "actions."} {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	return false
}

var awsNotes = func() map[string]bool {
	m := map[string]bool{}
	for name := range strings.FieldsSeq(`type ssl-cert ssl-ports ssl-negotiation-policy backend-protocol
		connection-draining-enabled connection-draining-timeout cross-zone-load-balancing-enabled
		access-log-enabled access-log-emit-interval access-log-s3-bucket-name access-log-s3-bucket-prefix
		healthcheck-protocol healthcheck-port healthcheck-path healthcheck-interval healthcheck-timeout
		healthcheck-healthy-threshold healthcheck-unhealthy-threshold healthcheck-success-codes
		extra-security-groups security-groups subnets additional-resource-tags target-node-labels
		eip-allocations private-ipv4-addresses ipv6-addresses target-group-attributes
		name scheme nlb-target-type ip-address-type alpn-policy attributes proxy-protocol-per-target-group
		security-group-prefix-lists manage-backend-security-group-rules inbound-sg-rules-on-private-link-traffic
		disable-nlb-sg multi-cluster-target-group enable-prefix-for-ipv6-source-nat source-nat-ipv6-prefixes
		minimum-load-balancer-capacity enable-icmp-for-path-mtu-discovery enable-tcp-udp-listener quic-enabled-ports`) {
		m[name] = true
	}
	return m
}()

// nobody is a range that no client is in: it closes a load balancer of which no
// range can be read.
var nobody = netip.MustParsePrefix("0.0.0.0/32")

// sourceRanges reads who may connect. The field counts before the annotation. A range
// that cannot be read lets nobody in.
func (b *balancer) sourceRanges() {
	texts, field := b.svc.value.Spec.LoadBalancerSourceRanges, "spec.loadBalancerSourceRanges"
	at := func(i int) string { return fmt.Sprintf("%s[%d]", field, i) }
	if note := strings.TrimSpace(b.svc.value.Annotations[rangesNote]); len(texts) == 0 && note != "" {
		texts = strings.Split(note, ",")
		at = func(int) string { return noteField(rangesNote) }
	}
	for i, text := range texts {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			b.r.add(model.Error, b.svc.at(at(i)), at(i), text,
				"this is no range and lets nobody in; Kubernetes would answer: must be a list of IP ranges", "write it as 10.0.0.0/8")
			continue
		}
		b.lb.SourceRanges = append(b.lb.SourceRanges, p.Masked())
	}
	if len(texts) > 0 && len(b.lb.SourceRanges) == 0 {
		b.lb.SourceRanges = []netip.Prefix{nobody}
	}
	slices.SortFunc(b.lb.SourceRanges, func(x, y netip.Prefix) int {
		return cmp.Or(x.Addr().Compare(y.Addr()), cmp.Compare(x.Bits(), y.Bits()))
	})
	b.lb.SourceRanges = slices.Compact(b.lb.SourceRanges)
}

// affinity reads whether a client stays with its target.
func (b *balancer) affinity() {
	if b.svc.value.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return
	}
	b.lb.ClientAffinity = affinityHours * time.Hour
	c := b.svc.value.Spec.SessionAffinityConfig
	if c == nil || c.ClientIP == nil || c.ClientIP.TimeoutSeconds == nil {
		return
	}
	n := *c.ClientIP.TimeoutSeconds
	if n < 1 || n > 86400 {
		b.warn("spec.sessionAffinityConfig.clientIP.timeoutSeconds", fmt.Sprint(n),
			"the default of 10800 is used; Kubernetes would answer: must be greater than 0 and less than 86400", "write a number from 1 to 86400")
		return
	}
	b.lb.ClientAffinity = time.Duration(n) * time.Second
}

// targets finds the controllers that the Service selects.
func (b *balancer) targets(cs []*controller) []*controller {
	if len(b.svc.value.Spec.Selector) == 0 {
		return nil
	}
	selector := labels.SelectorFromSet(b.svc.value.Spec.Selector)
	var found []*controller
	for _, c := range cs {
		if c.ns == b.svc.id.namespace && c.labels != nil && selector.Matches(labels.Set(c.labels)) {
			found = append(found, c)
			b.lb.Targets = append(b.lb.Targets, model.Target{Controller: c.name})
			b.checkProxy(c)
		}
	}
	return found
}

// checkProxy tells when one side speaks the PROXY protocol and the other does not.
func (b *balancer) checkProxy(c *controller) {
	if b.lb.ProxyProtocol == c.global.ProxyProtocol {
		return
	}
	if b.lb.ProxyProtocol {
		b.warn(noteField(proxyNote), b.svc.value.Annotations[proxyNote],
			fmt.Sprintf("the controller %s does not expect the PROXY protocol and will refuse the connections", c.name),
			`set use-proxy-protocol: "true" in its ConfigMap, or remove the annotation`)
		return
	}
	b.warn(noteField(proxyNote), "", fmt.Sprintf("the controller %s expects the PROXY protocol, which is not sent, and will refuse the connections", c.name),
		`set the annotation to "*", or remove use-proxy-protocol from its ConfigMap`)
}

// ports reads where each port leads.
func (b *balancer) ports(cs []*controller) {
	if len(b.svc.value.Spec.Ports) == 0 {
		b.r.add(model.Error, b.svc.at("spec.ports"), "spec.ports", "",
			"the load balancer has no port; Kubernetes would answer: spec.ports: Required value", "add a port")
	}
	for i := range b.svc.value.Spec.Ports {
		p := &b.svc.value.Spec.Ports[i]
		field := fmt.Sprintf("spec.ports[%d]", i)
		if p.Port < 1 || p.Port > 65535 {
			b.r.add(model.Error, b.svc.at(field+".port"), field+".port", fmt.Sprint(p.Port),
				"the port is not served; Kubernetes would answer: must be between 1 and 65535", "write a port")
			continue
		}
		if p.Protocol != "" && p.Protocol != corev1.ProtocolTCP {
			b.warn(field+".protocol", string(p.Protocol), "the port is not served: only TCP is supported yet", "")
			continue
		}
		out := model.LoadBalancerPort{Name: p.Name, Protocol: "TCP", Port: uint16(p.Port)}
		if len(cs) == 0 {
			out.Upstream = b.upstream(p, field)
		} else if out.Listener = b.listener(cs, p, field); out.Listener == "" {
			continue
		}
		b.lb.Ports = append(b.lb.Ports, out)
	}
	slices.SortStableFunc(b.lb.Ports, func(x, y model.LoadBalancerPort) int { return cmp.Compare(x.Port, y.Port) })
}

// upstream returns the upstream of a port that leads to no controller.
func (b *balancer) upstream(p *corev1.ServicePort, field string) string {
	ref := backend{service: b.svc.id, port: strconv.Itoa(int(p.Port)), at: b.svc.at, nameField: field, portField: field}
	name := ref.upstreamName()
	if u := b.m.upstream(name); !b.m.taken(u) {
		b.m.pass(u, model.Upstream{
			Name: name, Namespace: b.svc.id.namespace, Service: b.svc.id.name, Port: ref.port,
			Protocol: "HTTP", Balancing: model.Balancing{Balance: "round_robin"}, Origin: b.svc.origin,
		})
	}
	b.m.used.call(b.m.upstream(name))
	if b.standalone && b.o.addresses(b.svc.id, ref.port, false).none() {
		b.warn(field, fmt.Sprint(p.Port), "the port leads nowhere: the Service selects no controller and has no ready endpoints",
			"add Endpoints or an EndpointSlice for it")
	}
	return name
}

// listener returns the listener that a port leads to: by the container port of that
// name or number.
func (b *balancer) listener(cs []*controller, p *corev1.ServicePort, field string) string {
	name := ""
	for i, c := range cs {
		l, why := c.listenerFor(p)
		if why != "" {
			b.warn(field+".targetPort", p.TargetPort.String(), why, "name the container port of http or https")
		}
		if i > 0 && l != name {
			b.warn(field+".targetPort", p.TargetPort.String(),
				fmt.Sprintf("the port means %q at %s and %q at %s; the first is taken", name, cs[0].name, l, c.name), "use the same port names in both")
			continue
		}
		name = l
	}
	return name
}

// listenerFor returns the controller's listener behind a Service port, or why there
// is none.
func (c *controller) listenerFor(p *corev1.ServicePort) (name, why string) {
	number := numericTarget(p)
	if p.TargetPort.Type == intstr.String {
		for _, cp := range c.ports {
			if cp.Name == p.TargetPort.StrVal {
				number = cp.ContainerPort
			}
		}
		if number == 0 {
			return "", fmt.Sprintf("the port is not served: the controller %s has no container port of this name", c.name)
		}
	}
	switch number {
	case int32(c.HTTPPort):
		return "http", ""
	case int32(c.HTTPSPort):
		return "https", ""
	}
	if slices.ContainsFunc(c.streams, func(s model.Stream) bool { return s.Protocol == "TCP" && int32(s.Port) == number }) {
		return fmt.Sprintf("tcp/%d", number), ""
	}
	return "", fmt.Sprintf("the port is not served: the controller %s listens on %d and %d, not on %d", c.name, c.HTTPPort, c.HTTPSPort, number)
}
