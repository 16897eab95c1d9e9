package translate

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// source is an Ingress as one controller reads it. Whatever else is served changes
// nothing about it.
type source struct {
	mark
	*entry[ingress] // nil: what the controller itself says
	global          *policy.Global
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

// source returns what an Ingress comes to, which is read unless it is known.
func (s *servers) source(rd *reading) *source {
	src := rd.by[s.c.index]
	if src == nil || src.global != s.c.global || !s.m.hold(src.reads) {
		src = s.read(rd.entry)
		rd.by[s.c.index] = src
	}
	return src
}

// take takes the Ingresses that changed, or all where what they refer to may have.
func (s *servers) take() {
	for _, x := range s.m.exchanged {
		var had, has *source
		if x.had != nil {
			had = x.had.by[s.c.index]
		}
		if x.has != nil && x.has.taken[s.c.index] {
			has = s.source(x.has)
		} else if x.has != nil {
			x.has.by[s.c.index] = nil
		}
		s.exchange(had, has)
	}
	if !s.afresh && s.m.same(ofSecret, ofConfigMap) {
		return
	}
	for _, rd := range s.m.readings {
		if rd.taken[s.c.index] {
			had := rd.by[s.c.index]
			s.exchange(had, s.source(rd))
		}
	}
}

// exchange has one reading of an Ingress served in place of another one; either may be
// nil.
func (s *servers) exchange(had, has *source) {
	if had == has {
		return
	}
	var was, is, wasFound *told
	if had != nil {
		was, wasFound = had.told, had.foundTold
		s.leave(had)
	}
	if has != nil {
		has.told = s.m.telling.tell(was, has.told)
		has.find(s.noting, s.m.opt)
		has.foundTold = s.m.telling.tell(wasFound, has.foundTold)
		s.join(has)
	} else {
		s.m.telling.tell(was, is)
		s.m.telling.tell(wasFound, is)
	}
	if isServed(had) != isServed(has) || isServed(has) && (had.origin != has.origin || byAge(had.entry, has.entry) != 0) {
		s.k.moved = true
	}
}

func isServed(src *source) bool { return src != nil && !src.left }

// join adds an Ingress to those that are served.
func (s *servers) join(src *source) {
	if src.left {
		return
	}
	s.k.sources.hold(src)
	for h, rule := range s.k.rulesOf(src) {
		h.parts = append(h.parts, part{src, rule})
		s.m.stirHost(s.k, h)
	}
	s.m.uses(src)
}

// leave takes it away again.
func (s *servers) leave(src *source) {
	if src.left {
		return
	}
	s.k.sources.release(src)
	for h := range s.k.rulesOf(src) {
		h.parts = slices.DeleteFunc(h.parts, func(p part) bool { return p.src == src })
		s.m.stirHost(s.k, h)
	}
	s.m.usesNoLonger(src)
}

// seek looks again at the Services of all Ingresses when one has changed.
func (s *servers) seek() {
	if s.m.same(ofService, ofSlice, ofEndpoints) {
		return
	}
	for _, src := range s.k.sources.list {
		if src.holders == 0 || s.m.hold(src.foundReads) {
			continue
		}
		told := src.foundTold
		src.find(s.noting, s.m.opt)
		src.foundTold = s.m.telling.tell(told, src.foundTold)
		for _, b := range src.backends {
			s.m.stir(b.lead.group)
		}
	}
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
	src.found = make([]found, len(src.backends))
	for i, b := range src.backends {
		src.found[i] = b.find(o, r, opt, src.settings)
	}
	src.foundTold, src.foundReads = r.told(), o.noted()
}
