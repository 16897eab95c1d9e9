package translate

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// source is an Ingress as one controller reads it. Whatever else is served changes
// nothing about it.
type source struct {
	*entry[ingress]
	global *policy.Global
	policy.Result
	left     bool // it is not served at all
	fallback *backend
	rules    []rule
	backends []*backend // all of them
	settings upstreamSettings
	catchAll *policy.Result // as the owner of the catch-all; nil: not read yet
	reads    []read
	told     *told

	// What the Services of its backends say changes by itself.
	found      []found
	foundReads []read
	foundTold  *told
}

// rule is one rule of an Ingress.
type rule struct {
	host  *host // nil: it names none
	paths []rulePath
}

// rulePath is one path of a rule that can be served.
type rulePath struct {
	field string
	key   routeKey
	to    *backend
}

// read reads an Ingress for the controller.
func (s *servers) read(e *entry[ingress]) *source {
	src, r := &source{entry: e, global: s.c.global}, &report{}
	defer func() { src.told, src.reads = r.told(), s.noting.noted() }()
	if s.c.DisableCatchAll && catchAll(e.value) {
		r.add(model.Warning, e.origin, "spec", "",
			"the Ingress is not served: it is for requests of any host, which --disable-catch-all forbids", "give every rule a host")
		src.left = true
		return src
	}
	src.Result = s.c.readRoute(s.noting, e, e.value.Annotations)
	r.problems = append(r.problems, src.Problems...)
	if src.left = src.Reject; src.left {
		return src
	}
	if src.DefaultBackend != "" {
		field := src.annotation("default-backend")
		r.add(model.Warning, src.at(field), field, src.DefaultBackend,
			"not yet supported: rules without ready endpoints answer 503", "")
	}
	src.settings = s.settings(src.Upstream)
	src.fallback = s.backend(src, r, src.fallbackField(), e.value.Spec.DefaultBackend)
	src.rules = make([]rule, len(e.value.Spec.Rules))
	for i := range src.rules {
		s.readRule(src, r, i)
	}
	src.idleTLS(r)
	return src
}

func (src *source) fallbackField() string { return "spec." + src.name("defaultBackend") }

// readRule reads one rule. The backends of a rule that cannot be served are looked at
// all the same.
func (s *servers) readRule(src *source, r *report, i int) {
	in, out := &src.value.Spec.Rules[i], &src.rules[i]
	name, ok := src.host(r, i, in.Host)
	if ok {
		out.host = s.host(name)
	}
	if in.HTTP == nil {
		return
	}
	for j := range in.HTTP.Paths {
		p, field := &in.HTTP.Paths[j], pathField(i, j)
		to := s.backend(src, r, field+".backend", &p.Backend)
		if !ok {
			continue
		}
		if key, ok := src.path(r, field, p); ok && to != nil {
			out.paths = append(out.paths, rulePath{field, key, to})
		}
	}
}

// backend reads a reference to a Service; nil is none.
func (s *servers) backend(src *source, r *report, field string, in *networkingv1.IngressBackend) *backend {
	b, ok := src.backend(r, field, in)
	if !ok {
		return nil
	}
	b.lead = s.lead(&b, src.settings.protocol)
	src.backends = append(src.backends, &b)
	return &b
}

// find asks the Services of the backends.
func (src *source) find(o *Objects, opt Options) {
	r := &report{}
	src.found = make([]found, len(src.backends)) // who has the old ones keeps them
	for i, b := range src.backends {
		src.found[i] = b.find(o, r, opt, src.settings)
	}
	src.foundTold, src.foundReads = r.told(), o.noted()
}
