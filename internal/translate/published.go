package translate

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// checkPublished tells what the Service of a controller in a cluster asks for and nobody
// does: names of the route53-mapper, which is no longer kept, and a PROXY protocol header
// that the controller does not expect. The names of external-dns are that program's.
func (s *servers) checkPublished(svc *entry[corev1.Service]) {
	notes := svc.value.Annotations
	if names, noted := notes[mapperNote]; noted {
		s.r.add(model.Warning, svc.at(noteField(mapperNote)), noteField(mapperNote), names,
			"Pierhead writes no DNS records in a cluster: the names lead here only if somebody else writes them",
			fmt.Sprintf("run external-dns and set the annotation %s: %s, or write the records for the addresses of the Service", externalDNSNotes[1], names))
	}
	if notes[proxyNote] == "*" && !s.c.global.ProxyProtocol {
		s.r.add(model.Warning, svc.at(noteField(proxyNote)), noteField(proxyNote), "*",
			"the controller does not expect the PROXY protocol that the load balancer is asked to send, and will refuse its connections",
			`set use-proxy-protocol: "true" in the ConfigMap, or remove the annotation`)
	}
}
