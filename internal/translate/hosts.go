package translate

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// servers folds the Ingresses of one controller into hosts with routes, in the order
// and by the rules of ingress-nginx: the first Ingress decides.
type servers struct {
	m      *Memo
	k      *ledger
	o      *Objects
	noting *Objects // the same, and what is looked up is noted
	c      *controller
	r      *report

	taken    []*source // the oldest first
	order    []*host   // as they are named first
	aliased  []*host   // those of order that have aliases
	twinned  []*host   // those of order that another name redirects to
	fallback target    // --default-backend-service
	changed  []*host   // that are not what they were
}

// target is where requests go.
type target struct {
	upstream *upstream // nil: the controller answers itself
	service  string
	port     string
}

// name returns the name of the upstream, or "".
func (t target) name() string {
	if t.upstream == nil {
		return ""
	}
	return t.upstream.Name
}

// build makes the hosts of a controller.
func (s *servers) build() {
	for _, rd := range s.c.accepted {
		s.take(rd)
	}
	s.collectUpstreams()
	s.gather()
	for _, h := range s.order {
		s.finish(h)
	}
	s.dropAliases()
	s.addTwins()
}

// take reads an Ingress unless it is known, and adds it to those that are served.
func (s *servers) take(rd *reading) {
	src := rd.by[s.c.index]
	if src == nil || src.global != s.c.global || !s.m.hold(src.reads) {
		src = s.read(rd.entry)
		rd.by[s.c.index] = src
	}
	s.m.telling.tell(src.told)
	if !src.left {
		s.taken = append(s.taken, src)
	}
}

// catchAll tells whether an Ingress is for requests of any host.
func catchAll(in *ingress) bool {
	return in.Spec.DefaultBackend != nil || slices.ContainsFunc(in.Spec.Rules, func(r networkingv1.IngressRule) bool { return r.Host == "" })
}

// readCatchAll returns what the annotations of an Ingress come to on the catch-all.
func (s *servers) readCatchAll(src *source) *policy.Result {
	if src.catchAll == nil {
		result := s.c.readRoute(s.noting, src.entry, forCatchAll(src.value.Annotations))
		src.catchAll, src.reads = &result, append(src.reads, s.noting.noted()...)
	}
	return src.catchAll
}

// collectUpstreams makes the upstreams in the order of the Ingresses: the first that
// uses a Service port decides how it is balanced.
func (s *servers) collectUpstreams() {
	for _, src := range s.taken {
		s.stick(src)
	}
	s.fallback = s.defaultBackend()
	for _, src := range s.taken {
		if src.foundTold == nil || !s.m.hold(src.foundReads) {
			src.find(s.noting, s.m.opt)
		}
		s.m.telling.tell(src.foundTold)
		for i, b := range src.backends {
			s.decide(b, &src.found[i], &src.settings)
		}
	}
}

func (s *servers) settings(u policy.Upstream) upstreamSettings {
	return upstreamSettings{protocol: u.Protocol, balance: u.Balance, sticky: u.Sticky, external: !s.c.DisableExternalName, service: u.ServiceIP}
}

// target returns where a backend leads.
func (b *backend) target() target {
	return target{upstream: b.lead.upstream, service: b.service.name, port: b.port}
}

// defaultBackend returns the Service of --default-backend-service, by its first port.
func (s *servers) defaultBackend() target {
	i, err := parseID(s.c.DefaultBackendService)
	if s.c.DefaultBackendService == "" || err != nil {
		return target{}
	}
	at, field := s.c.at("default-backend-service")
	svc := s.o.service(i)
	if svc == nil || len(svc.value.Spec.Ports) == 0 {
		reason := s.o.missing("Service", i)
		if svc != nil {
			reason = fmt.Sprintf("Service %s has no port", i)
		}
		s.r.add(model.Warning, at, field, s.c.DefaultBackendService,
			reason+"; requests that no rule takes are answered 404", "add the Service or remove the flag")
		return target{}
	}
	b := backend{
		service: i, port: fmt.Sprint(svc.value.Spec.Ports[0].Port),
		at: func(string) model.Origin { return at }, nameField: field, portField: field,
	}
	settings := s.settings(s.c.plain.Upstream)
	b.lead = s.lead(&b, settings.protocol)
	f := b.find(s.o, s.r, s.m.opt, settings)
	s.decide(&b, &f, &settings)
	return b.target()
}

// gather gives each host the rules that name it. The catch-all is always there.
func (s *servers) gather() {
	catchAll := s.host("")
	s.name(catchAll)
	for _, src := range s.taken {
		if src.fallback != nil && len(src.rules) == 0 {
			catchAll.parts = append(catchAll.parts, part{src, wholeHost})
		}
		for i := range src.rules {
			if h := src.rules[i].host; h != nil {
				s.name(h)
				h.parts = append(h.parts, part{src, i})
			}
		}
	}
}

// host returns the host of that name, named in this translation or not.
func (s *servers) host(name string) *host {
	h := s.k.hosts[name]
	if h == nil {
		h = newHost(name)
		s.k.hosts[name] = h
	}
	return h
}

// name puts a host on the list when it is named first.
func (s *servers) name(h *host) {
	if s.k.roll.call(h) {
		s.k.named++
		h.parts = h.parts[:0]
		s.order = append(s.order, h)
	}
}

// finish brings a host up to date.
func (s *servers) finish(h *host) {
	if !h.holds(s) {
		s.assemble(h)
	}
	s.m.telling.tell(h.told)
	for _, u := range h.upstreams {
		s.m.used.call(u)
	}
	if h.pair != nil {
		s.m.served.call(h.pair)
	}
	if len(h.Aliases) > 0 {
		s.aliased = append(s.aliased, h)
	} else {
		s.publish(h, nil)
	}
	if h.twin {
		s.twinned = append(s.twinned, h)
	}
}

// publish gives a host the aliases that it may have. A host that is the same as the
// last time keeps its lists.
func (s *servers) publish(h *host, aliases []string) {
	if h.published >= h.built && slices.Equal(aliases, h.out.Aliases) {
		return
	}
	out := h.Host
	out.Aliases = aliases
	h.out = &out
	h.published = s.m.turn
	s.changed = append(s.changed, h)
}

// dropAliases removes names that are hosts of their own, and those that an earlier
// host has.
func (s *servers) dropAliases() {
	owner := map[string]string{}
	for _, h := range s.aliased {
		var kept []string
		for _, alias := range h.Aliases {
			other, taken := owner[alias]
			if rival := s.k.hosts[alias]; rival != nil && rival.called == s.m.turn {
				other, taken = alias, true
			}
			if !taken {
				owner[alias] = h.name
				kept = append(kept, alias)
				continue
			}
			field := h.named.annotation("server-alias")
			s.r.add(model.Warning, h.named.at(field), field, alias,
				fmt.Sprintf("the alias is not served: it belongs to the host %q", other), "remove the alias")
		}
		s.publish(h, kept)
	}
}

// result returns the hosts as the model has them.
func (s *servers) result() []*model.Host {
	list, moved := s.k.roll.end()
	switch {
	case moved:
		s.k.list = make([]*model.Host, len(list))
		for i, h := range list {
			h.place, s.k.list[i] = i, h.out
		}
	case len(s.changed) > 0:
		s.k.list = slices.Clone(s.k.list) // that of the last time is in use
		for _, h := range s.changed {
			s.k.list[h.place] = h.out
		}
	}
	return s.k.list
}
