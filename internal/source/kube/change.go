package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// note finds out whom a change concerns. Either version may be nil, not both; the
// Source's mutex is held.
func (s *Source) note(f *feed, key string, had, now Object) {
	changed := had == nil || now == nil || !same(had, now)
	if s.opt.Seen != nil && (f.kind == "Ingress" || f.kind == "Service") && (changed || !sameStatus(had, now)) {
		s.opt.Seen(had, now)
	}
	switch f.kind {
	case "EndpointSlice":
		if changed {
			s.noteEndpoints(serviceOf(had), serviceOf(now))
			s.noteSlice(key, now)
			s.put(s.endpoints, f.kind, key, now)
		}
		return
	case "Secret", "ConfigMap":
		if f.kind == "Secret" && key == s.opt.Followed && s.opt.Follow != nil {
			s.opt.Follow()
		}
		s.noteContent(ref{f.kind, key}, had, now, changed)
		return
	}
	if !changed {
		return
	}
	switch f.kind {
	case "Service":
		s.noteEndpoints(key)
		s.put(s.endpoints, f.kind, key, now)
	case "Ingress":
		s.refer(ingressReferences(had), ingressReferences(now))
	}
	s.pend(ref{f.kind, key}, now)
}

// noteSlice keeps what is wrong with an EndpointSlice. Whoever loads is told when that
// changes, and of no other change of endpoints.
func (s *Source) noteSlice(key string, now Object) {
	had, has := s.slices[key], []model.Problem(nil)
	if es, ok := now.(*discoveryv1.EndpointSlice); ok {
		has = translate.SliceProblems(es)
	}
	if slices.Equal(had, has) {
		return
	}
	if s.slices[key] = has; len(has) == 0 {
		delete(s.slices, key)
	}
	s.all.tell()
}

// pend leaves a change for the next Load.
func (s *Source) pend(r ref, now Object) {
	s.pending[r] = now
	if s.late != nil {
		s.late[r] = now
	}
	s.all.tell()
}

// put changes a collection.
func (s *Source) put(o *translate.Objects, kind, key string, now Object) {
	if now == nil {
		ns, name := split(key)
		o.Remove(kind, ns, name)
		return
	}
	if err := o.Add(now, translate.Place{}); err != nil {
		panic(err) // only kinds that translate reads are watched
	}
}

// noteEndpoints notes that Services have other endpoints; "" is none.
func (s *Source) noteEndpoints(services ...string) {
	for _, key := range services {
		if key != "" {
			s.changed[key] = true
		}
	}
	s.ends.tell()
}

// serviceOf returns the Service that a slice belongs to, or "".
func serviceOf(obj Object) string {
	es, ok := obj.(*discoveryv1.EndpointSlice)
	if !ok || es.Labels[discoveryv1.LabelServiceName] == "" {
		return ""
	}
	return es.Namespace + "/" + es.Labels[discoveryv1.LabelServiceName]
}

func ingressReferences(obj Object) translate.References {
	if in, ok := obj.(*networkingv1.Ingress); ok {
		return translate.IngressReferences(in)
	}
	return translate.References{}
}

func settingsReferences(obj Object) translate.References {
	if cm, ok := obj.(*corev1.ConfigMap); ok {
		return translate.SettingsReferences(cm.Data)
	}
	return translate.References{}
}
