package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/model"
)

// Place says where an object was written. It is empty for an object of a cluster.
type Place struct {
	File    string
	Line    int
	Lines   Lines
	Version string // apiVersion as written
}

// Lines says in which line each field of an object was written. Keys are paths such
// as spec.rules[0].host and metadata.annotations[name].
type Lines map[string]int

// At returns the line of the field, or of the nearest field around it, or 0.
func (l Lines) At(field string) int {
	for field != "" {
		if n := l[field]; n > 0 {
			return n
		}
		cut := strings.LastIndexAny(field, ".[")
		if strings.HasSuffix(field, "]") { // a key in brackets may hold dots
			cut = strings.LastIndexByte(field, '[')
		}
		field = field[:max(cut, 0)]
	}
	return 0
}

// id names an object within its kind.
type id struct{ namespace, name string }

// String returns namespace/name, or the name of an object without namespace.
func (i id) String() string {
	if i.namespace == "" {
		return i.name
	}
	return i.namespace + "/" + i.name
}

func (i id) compare(j id) int {
	return cmp.Or(cmp.Compare(i.namespace, j.namespace), cmp.Compare(i.name, j.name))
}

// entry is one object and where it was written.
type entry[T any] struct {
	id      id
	value   *T
	origin  model.Origin
	lines   Lines
	version string
}

// at returns the origin of a field of the object.
func (e *entry[T]) at(field string) model.Origin {
	o := e.origin
	if n := e.lines.At(field); n > 0 {
		o.Line = n
	}
	return o
}

// set holds the objects of one kind.
type set[T any] map[id]*entry[T]

// where returns the objects that fit.
func (s set[T]) where(fits func(*T) bool) set[T] {
	out := set[T]{}
	for i, e := range s {
		if fits(e.value) {
			out[i] = e
		}
	}
	return out
}

// sorted lists the objects by namespace and name.
func (s set[T]) sorted() []*entry[T] {
	es := make([]*entry[T], 0, len(s))
	for _, e := range s {
		es = append(es, e)
	}
	slices.SortFunc(es, func(a, b *entry[T]) int { return a.id.compare(b.id) })
	return es
}

// Objects are the Kubernetes objects that a Config is made from. The values given
// to Add are read only from then on; the order in which they come does not matter.
type Objects struct {
	ingresses  set[networkingv1.Ingress]
	classes    set[networkingv1.IngressClass]
	services   set[corev1.Service]
	endpoints  set[corev1.Endpoints] //nolint:staticcheck // manifests of old hold them
	slices     set[discoveryv1.EndpointSlice]
	secrets    set[corev1.Secret]
	configMaps set[corev1.ConfigMap]
	workloads  map[string]set[appsv1.Deployment] // by kind: Deployment, DaemonSet
	namespaces set[corev1.Namespace]

	ofService map[id][]*discoveryv1.EndpointSlice // by the Service they belong to
	index     index                               // of ingresses

	zone string // whose endpoints go first; "": all are alike

	refused map[string]model.Origin // kind namespace/name of objects that could not be read
	lost    []lost                  // objects written twice, the ones not taken

	journal journal // what changed
	log     *[]read // what is looked up is noted here; nil: nowhere
}

// lost is an object that stands in the shadow of another of the same name.
type lost struct {
	origin model.Origin
	winner func() model.Origin
}

// NewObjects returns an empty collection.
func NewObjects() *Objects {
	return &Objects{
		ingresses:  set[networkingv1.Ingress]{},
		classes:    set[networkingv1.IngressClass]{},
		services:   set[corev1.Service]{},
		endpoints:  set[corev1.Endpoints]{}, //nolint:staticcheck // see above
		slices:     set[discoveryv1.EndpointSlice]{},
		secrets:    set[corev1.Secret]{},
		configMaps: set[corev1.ConfigMap]{},
		workloads: map[string]set[appsv1.Deployment]{
			"Deployment": {}, "DaemonSet": {},
		},
		namespaces: set[corev1.Namespace]{},
		ofService:  map[id][]*discoveryv1.EndpointSlice{},
		index:      newIndex(),
		refused:    map[string]model.Origin{},
	}
}

// service returns the Service of that name, or nil.
func (o *Objects) service(i id) *entry[corev1.Service] {
	o.note(ofService, i)
	return o.services[i]
}

// Add takes one object, of any version that New knows. The object and the lines of
// its place must not be changed afterwards: a Memo takes the same object for the same
// content at the same place.
func (o *Objects) Add(obj runtime.Object, at Place) error {
	switch v := obj.(type) {
	case *corev1.Service:
		put(o, o.services, "Service", v, &v.ObjectMeta, at)
	case *corev1.Endpoints: //nolint:staticcheck // see above
		put(o, o.endpoints, "Endpoints", v, &v.ObjectMeta, at)
	case *discoveryv1.EndpointSlice:
		i := id{v.Namespace, v.Name}
		had := o.slices[i]
		put(o, o.slices, "EndpointSlice", v, &v.ObjectMeta, at)
		o.indexSlice(had, o.slices[i])
	case *corev1.Secret:
		put(o, o.secrets, "Secret", v, &v.ObjectMeta, at)
	case *corev1.ConfigMap:
		put(o, o.configMaps, "ConfigMap", v, &v.ObjectMeta, at)
	case *corev1.Namespace:
		put(o, o.namespaces, "Namespace", v, &v.ObjectMeta, at)
	default:
		return o.addConverted(obj, at)
	}
	return nil
}

// addConverted takes the kinds that exist in several versions.
func (o *Objects) addConverted(obj runtime.Object, at Place) error {
	if in := ingressOf(obj); in != nil {
		i := id{in.Namespace, in.Name}
		had := o.ingresses[i]
		put(o, o.ingresses, "Ingress", in, &in.ObjectMeta, at)
		o.index.replace(had, o.ingresses[i])
		return nil
	}
	if class := classOf(obj); class != nil {
		put(o, o.classes, "IngressClass", class, &class.ObjectMeta, at)
		return nil
	}
	if kind, w := workloadOf(obj); w != nil {
		put(o, o.workloads[kind], kind, w, &w.ObjectMeta, at)
		return nil
	}
	return fmt.Errorf("objects of type %T are not read", obj)
}

// Refuse notes that an object was written at the origin and could not be read, so
// that whoever refers to it is told so.
func (o *Objects) Refuse(origin model.Origin) {
	key := origin.String()
	if prev, ok := o.refused[key]; ok && comparePlaces(prev, origin) <= 0 {
		return
	}
	o.refused[key] = origin
	o.touch(origin.Kind, id{origin.Namespace, origin.Name})
}

// put adds one object. Of two with one name the first by file and line is taken.
func put[T any](o *Objects, s set[T], kind string, v *T, meta *metav1.ObjectMeta, at Place) {
	o.touch(kind, id{meta.Namespace, meta.Name})
	e := &entry[T]{
		id:      id{meta.Namespace, meta.Name},
		value:   v,
		origin:  model.Origin{Kind: kind, Namespace: meta.Namespace, Name: meta.Name, File: at.File, Line: at.Line},
		lines:   at.Lines,
		version: at.Version,
	}
	prev := s[e.id]
	if prev == nil || (prev.origin.File == "" && at.File == "") {
		s[e.id] = e
		return
	}
	loser := e
	if comparePlaces(e.origin, prev.origin) < 0 {
		s[e.id], loser = e, prev
	}
	o.lost = append(o.lost, lost{origin: loser.origin, winner: func() model.Origin { return s[loser.id].origin }})
}

// comparePlaces orders two origins by file and line.
func comparePlaces(a, b model.Origin) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
}

// repeated tells the owners of objects that were written twice.
func (o *Objects) repeated(r *report) {
	for _, l := range o.lost {
		w := l.winner()
		r.add(model.Error, l.origin, "metadata.name", l.origin.Name,
			fmt.Sprintf("this object is also written at %s, which comes first and is taken", w.Place()),
			"remove one of the two")
	}
}

// missing says why a reference to an object leads nowhere.
func (o *Objects) missing(kind string, i id) string {
	origin := model.Origin{Kind: kind, Namespace: i.namespace, Name: i.name}
	if at, ok := o.refused[origin.String()]; ok {
		if at.File == "" {
			return fmt.Sprintf("%s %s could not be read", kind, i)
		}
		return fmt.Sprintf("%s %s could not be read (%s)", kind, i, at.Place())
	}
	return fmt.Sprintf("%s %s does not exist", kind, i)
}
