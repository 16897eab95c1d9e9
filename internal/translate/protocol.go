package translate

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// appProtocolH2C is Kubernetes' word for HTTP/2 without TLS, by prior knowledge. Its other
// words change nothing: kubernetes.io/ws and wss are HTTP/1.1, which is spoken anyway, and
// what https would mean differs from what ingress-nginx did with it, which is nothing.
const appProtocolH2C = "kubernetes.io/h2c"

// speaksH2C tells whether the port of a backend says that it speaks HTTP/2, and tells the
// owner of the Service what comes of it: ingress-nginx did not look.
func (b *backend) speaksH2C(r *report, svc *entry[corev1.Service], s upstreamSettings) bool {
	port := findPort(svc.value, b.port)
	if port == nil || port.AppProtocol == nil || *port.AppProtocol != appProtocolH2C {
		return false
	}
	if s.protocol == plainHTTP && !s.told {
		i := slices.IndexFunc(svc.value.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == port.Port && p.Protocol == port.Protocol })
		field := fmt.Sprintf("spec.ports[%d].appProtocol", i)
		r.add(model.Info, svc.at(field), field, appProtocolH2C,
			"HTTP/2 is spoken to the endpoints, where ingress-nginx spoke HTTP/1.1, unless an Ingress for this port says backend-protocol: HTTP", "")
	}
	return true
}

const plainHTTP = "HTTP"

// protocol returns what is spoken to a Service port: what the Ingresses say, else what
// the port says.
func (l *lead) protocol(f *found) string {
	told := slices.ContainsFunc(l.uses, func(u use) bool { return u.src.settings.told })
	if l.key.protocol == plainHTTP && f.h2c && !told {
		return "H2C"
	}
	return l.key.protocol
}
