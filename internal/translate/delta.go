package translate

import (
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// Remove forgets an object of a cluster, and that it could not be read. One that is
// not there needs no removing.
func (o *Objects) Remove(kind, namespace, name string) {
	i := id{namespace, name}
	o.touch(kind, i)
	delete(o.refused, model.Origin{Kind: kind, Namespace: namespace, Name: name}.String())
	switch kind {
	case "Ingress":
		o.index.replace(o.ingresses[i], nil)
		delete(o.ingresses, i)
	case "IngressClass":
		delete(o.classes, i)
	case "Service":
		delete(o.services, i)
	case "Endpoints":
		delete(o.endpoints, i)
	case "EndpointSlice":
		had := o.slices[i]
		delete(o.slices, i)
		o.indexSlice(had, nil)
	case "Secret":
		delete(o.secrets, i)
	case "ConfigMap":
		delete(o.configMaps, i)
	case "Namespace":
		delete(o.namespaces, i)
	case "Deployment", "DaemonSet":
		delete(o.workloads[kind], i)
	}
}

// indexSlice keeps the slices of each Service: had is what stood under a name before,
// now what stands there, and either may be nil.
func (o *Objects) indexSlice(had, now *entry[discoveryv1.EndpointSlice]) {
	if had == now {
		return
	}
	if had != nil {
		service := sliceOf(had)
		o.journal.note(change{ofSlice, service})
		of := o.ofService[service]
		if n := slices.Index(of, had.value); n >= 0 {
			of = slices.Concat(of[:n], of[n+1:]) // whoever has the list keeps it
		}
		if o.ofService[service] = of; len(of) == 0 {
			delete(o.ofService, service)
		}
	}
	if now != nil && now.value.Labels[discoveryv1.LabelServiceName] != "" {
		service := sliceOf(now)
		o.journal.note(change{ofSlice, service})
		o.ofService[service] = append(slices.Clip(o.ofService[service]), now.value)
	}
}

// sliceOf returns the Service that a slice belongs to.
func sliceOf(e *entry[discoveryv1.EndpointSlice]) id {
	return id{e.id.namespace, e.value.Labels[discoveryv1.LabelServiceName]}
}

// Len returns how many objects there are.
func (o *Objects) Len() int {
	n := len(o.ingresses) + len(o.classes) + len(o.services) + len(o.endpoints) + len(o.slices) + len(o.secrets) + len(o.configMaps) + len(o.namespaces)
	for _, w := range o.workloads {
		n += len(w)
	}
	return n
}
