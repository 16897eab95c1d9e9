package translate

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// circle follows the external name of a Service through Services of this cluster, and
// tells when it comes back to one where it has been: such a name has no address. It
// returns "" for a name that leads out.
func (o *Objects) circle(svc *entry[corev1.Service]) string {
	var way []string
	for been := map[id]bool{}; svc != nil && svc.value.Spec.Type == corev1.ServiceTypeExternalName; {
		way = append(way, svc.id.String())
		if been[svc.id] {
			return "the external names lead in a circle: " + strings.Join(way, ", ")
		}
		been[svc.id] = true
		next, ok := clusterName(svc.value.Spec.ExternalName)
		if !ok {
			return ""
		}
		svc = o.service(next)
	}
	return ""
}

// clusterName returns the Service that the cluster's DNS has under a name: what begins
// with name.namespace.svc, since the domain behind that is the cluster's own choice.
func clusterName(name string) (id, bool) {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(name, ".")), ".")
	if len(labels) < 3 || labels[2] != "svc" {
		return id{}, false
	}
	return id{labels[1], labels[0]}, true
}
