package translate

import (
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// kind is a kind of objects.
type kind uint8

// The kinds that results depend on object by object.
const (
	ofIngress kind = iota
	ofClass
	ofService
	ofEndpoints
	ofSlice
	ofSecret
	ofConfigMap
	ofNamespace
	kinds
)

var kindNames = [kinds]string{"Ingress", "IngressClass", "Service", "Endpoints", "EndpointSlice", "Secret", "ConfigMap", "Namespace"}

// touch notes that something else stands under a name of a kind.
func (o *Objects) touch(name string, i id) {
	if k := slices.Index(kindNames[:], name); k >= 0 {
		o.journal.note(change{kind(k), i})
	}
}

// read is what stood under a name when a result was made. The identity of an object
// stands for its content, which nobody changes.
type read struct {
	kind   kind
	id     id
	what   any                          // the object; nil; or where it was refused
	slices []*discoveryv1.EndpointSlice // of the Service of that name
}

// noting returns the objects so that whatever is looked up is noted.
func (o *Objects) noting() *Objects {
	noting := *o
	noting.log = &[]read{}
	return &noting
}

// noted returns what was looked up since the last call.
func (o *Objects) noted() []read {
	log := slices.Clone(*o.log)
	*o.log = (*o.log)[:0]
	return log
}

// note notes that an object is looked up.
func (o *Objects) note(k kind, i id) {
	if o.log != nil {
		*o.log = append(*o.log, o.look(k, i))
	}
}

// look returns what stands under a name now.
func (o *Objects) look(k kind, i id) read {
	r := read{kind: k, id: i}
	switch k {
	case ofClass:
		r.what = identity(o.classes[i])
	case ofService:
		r.what = identity(o.services[i])
	case ofEndpoints:
		r.what = identity(o.endpoints[i])
	case ofSlice:
		r.slices = o.ofService[i]
	case ofSecret:
		r.what = identity(o.secrets[i])
	case ofConfigMap:
		r.what = identity(o.configMaps[i])
	case ofNamespace:
		r.what = identity(o.namespaces[i])
	}
	if r.what == nil && len(o.refused) > 0 {
		if at, ok := o.refused[model.Origin{Kind: kindNames[k], Namespace: i.namespace, Name: i.name}.String()]; ok {
			r.what = at
		}
	}
	return r
}

// is tells whether two reads found the same.
func (r read) is(was *read) bool { return r.what == was.what && slices.Equal(r.slices, was.slices) }

func identity[T any](e *entry[T]) any {
	if e == nil {
		return nil
	}
	return e.value
}
