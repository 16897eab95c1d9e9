package translate

import (
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// servers folds the Ingresses of one controller into hosts with routes, in the order
// and by the rules of ingress-nginx: the first Ingress decides.
type servers struct {
	o     *Objects
	c     *controller
	r     *report
	us    *upstreams
	certs *certificates

	taken    []*source
	hosts    map[string]*hostBuilder
	order    []*hostBuilder    // as they were made, the oldest first
	seen     map[string]string // upstream names of this controller
	fallback target            // --default-backend-service
}

// source is an Ingress and what its annotations come to.
type source struct {
	*entry[ingress]
	policy.Result
}

// target is where requests go.
type target struct {
	upstream string // "": the controller answers itself
	service  string
	port     string
}

// hostBuilder is a host while its routes are collected.
type hostBuilder struct {
	model.Host
	routes   map[routeKey]*routeBuilder
	policies []model.Policy // for every route of the host
	decided  bool           // on the certificate
	named    *source        // who gave it its aliases
	twin     bool           // the name with or without www. redirects to it
}

type routeKey struct {
	path     string
	pathType model.PathType
}

type routeBuilder struct {
	model.Route
	policies []model.Policy
	regex    bool // it makes the host match by regular expressions
}

// build makes the hosts of a controller.
func (s *servers) build() {
	s.c.accepted = slices.DeleteFunc(s.c.accepted, func(e *entry[ingress]) bool { return !s.take(e) })
	s.collectUpstreams()
	s.createHosts()
	for _, src := range s.taken {
		s.addPaths(src)
	}
	for _, src := range s.taken {
		s.hostWide(src)
		s.secure(src)
	}
	s.dropAliases()
	s.addTwins()
}

// take reads an Ingress's annotations and tells whether it is served at all.
func (s *servers) take(e *entry[ingress]) bool {
	if s.c.DisableCatchAll && catchAll(e.value) {
		s.r.add(model.Warning, e.origin, "spec", "",
			"the Ingress is not served: it is for requests of any host, which --disable-catch-all forbids", "give every rule a host")
		return false
	}
	result := s.c.readRoute(s.o, e, e.value.Annotations)
	s.r.problems = append(s.r.problems, result.Problems...)
	if result.Reject {
		return false
	}
	src := &source{e, result}
	if result.DefaultBackend != "" {
		field := src.annotation("default-backend")
		s.r.add(model.Warning, src.at(field), field, result.DefaultBackend,
			"not yet supported: rules without ready endpoints answer 503", "")
	}
	s.taken = append(s.taken, src)
	return true
}

// catchAll tells whether an Ingress is for requests of any host.
func catchAll(in *ingress) bool {
	return in.Spec.DefaultBackend != nil || slices.ContainsFunc(in.Spec.Rules, func(r networkingv1.IngressRule) bool { return r.Host == "" })
}

// collectUpstreams makes the upstreams in the order of the Ingresses: the first that
// uses a Service port decides how it is balanced.
func (s *servers) collectUpstreams() {
	s.fallback = s.defaultBackend()
	for _, src := range s.taken {
		settings := s.settings(src.Upstream)
		if b, ok := src.backend(s.r, "spec."+src.name("defaultBackend"), src.value.Spec.DefaultBackend); ok {
			s.us.add(s.c, s.seen, b, settings)
		}
		for i, rule := range src.value.Spec.Rules {
			if rule.HTTP == nil {
				continue
			}
			for j := range rule.HTTP.Paths {
				if b, ok := src.backend(s.r, pathField(i, j)+".backend", &rule.HTTP.Paths[j].Backend); ok {
					s.us.add(s.c, s.seen, b, settings)
				}
			}
		}
	}
}

func (s *servers) settings(u policy.Upstream) upstreamSettings {
	return upstreamSettings{protocol: u.Protocol, balance: u.Balance, sticky: u.Sticky, external: !s.c.DisableExternalName, service: u.ServiceIP}
}

// target returns where a backend leads.
func (s *servers) target(b backend) target {
	return target{upstream: s.seen[b.upstreamName()], service: b.service.name, port: b.port}
}

// defaultBackend returns the Service of --default-backend-service, by its first port.
func (s *servers) defaultBackend() target {
	i, err := parseID(s.c.DefaultBackendService)
	if s.c.DefaultBackendService == "" || err != nil {
		return target{}
	}
	at, field := s.c.at("default-backend-service")
	svc := s.o.services[i]
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
	s.us.add(s.c, s.seen, b, s.settings(s.c.plainRoute().Upstream))
	return s.target(b)
}

// createHosts makes the catch-all and a host for each name in the rules. A host
// belongs to the Ingress that names it first: what no rule of the host takes goes to
// that Ingress's default backend, under its annotations.
func (s *servers) createHosts() {
	plain := s.c.plainRoute()
	s.addHost("", s.c.origin, &routeBuilder{Route: implicit(s.fallback, s.c.origin, plain.Closed), policies: plain.Policies})
	owned := false
	for _, src := range s.taken {
		t, field := s.fallback, "spec."+src.name("defaultBackend")
		if b, ok := src.backend(s.r, field, src.value.Spec.DefaultBackend); ok {
			t = s.target(b)
			if len(src.value.Spec.Rules) == 0 && !owned {
				owned = true
				s.ownCatchAll(src, t, field)
			} else if len(src.value.Spec.Rules) == 0 {
				s.lost(s.hosts[""].routes[routeKey{"/", model.Prefix}], src, field, "")
			}
		}
		for i, rule := range src.value.Spec.Rules {
			name, ok := src.host(s.r, i, rule.Host)
			if _, exists := s.hosts[name]; !ok || exists {
				continue
			}
			rb := &routeBuilder{Route: implicit(t, src.at(field), src.Closed), policies: src.Policies, regex: src.regex("/")}
			rb.Namespace, rb.Ingress = src.id.namespace, src.id.name
			s.addHost(name, src.at(ruleField(i)+".host"), rb)
		}
	}
}

// ownCatchAll gives the catch-all to an Ingress that has a default backend and no
// rules.
func (s *servers) ownCatchAll(src *source, t target, field string) {
	result := s.c.readRoute(s.o, src.entry, forCatchAll(src.value.Annotations))
	route := implicit(t, src.at(field), result.Closed)
	route.Namespace, route.Ingress, route.Implicit = src.id.namespace, src.id.name, false
	s.hosts[""].routes[routeKey{"/", model.Prefix}] = &routeBuilder{Route: route, policies: result.Policies}
}

func (s *servers) addHost(name string, origin model.Origin, first *routeBuilder) {
	h := &hostBuilder{
		Host:   model.Host{Name: name, Origin: origin},
		routes: map[routeKey]*routeBuilder{{"/", model.Prefix}: first},
	}
	s.hosts[name] = h
	s.order = append(s.order, h)
}

// implicit returns the "/" of a host that has no rule for it.
func implicit(t target, origin model.Origin, closed string) model.Route {
	return model.Route{
		Path: "/", PathType: model.Prefix, Implicit: true, Closed: closed,
		Upstream: t.upstream, Service: t.service, Port: t.port, Origin: origin,
	}
}

// addPaths adds the rules of one Ingress. Of two for one path and type the first one
// is served, and the owner of the other is told.
func (s *servers) addPaths(src *source) {
	for i, rule := range src.value.Spec.Rules {
		name, ok := src.host(nil, i, rule.Host)
		if !ok || rule.HTTP == nil {
			continue
		}
		h := s.hosts[name]
		for j := range rule.HTTP.Paths {
			p := &rule.HTTP.Paths[j]
			field := pathField(i, j)
			key, ok := src.path(s.r, field, p)
			b, served := src.backend(nil, field+".backend", &p.Backend)
			if !ok || !served {
				continue
			}
			if prev := h.routes[key]; prev != nil && !prev.Implicit {
				s.lost(prev, src, field+".path", key.path)
				continue
			}
			t := s.target(b)
			h.routes[key] = &routeBuilder{policies: src.Policies, regex: src.regex(key.path), Route: model.Route{
				Path: key.path, PathType: key.pathType, Upstream: t.upstream, Closed: src.Closed,
				Namespace: src.id.namespace, Ingress: src.id.name, Service: t.service, Port: t.port, Origin: src.at(field),
			}}
		}
	}
}

// lost tells the owner of a rule that another one is served instead.
func (s *servers) lost(winner *routeBuilder, src *source, field, path string) {
	what := "requests that no rule takes go to"
	if path != "" {
		what = fmt.Sprintf("path %q of the host is already served by", path)
	}
	by := winner.Origin.String()
	if place := winner.Origin.Place(); place != "" {
		by += " (" + place + ")"
	}
	s.r.add(model.Error, src.at(field), field, path, what+" "+by+", which is older or comes first; this rule is not served",
		"remove one of the two")
}

// hostWide applies what an Ingress says of whole hosts; the first Ingress that says
// something is heard.
func (s *servers) hostWide(src *source) {
	for i, rule := range src.value.Spec.Rules {
		name, ok := src.host(nil, i, rule.Host)
		if !ok {
			continue
		}
		h := s.hosts[name]
		if len(h.Aliases) == 0 {
			h.Aliases, h.named = slices.Clone(src.Host.Aliases), src
		}
		h.twin = h.twin || src.Host.FromToWWW
		for _, p := range src.Host.Policies {
			if !slices.ContainsFunc(h.policies, func(q model.Policy) bool { return q.PolicyName() == p.PolicyName() }) {
				h.policies = append(h.policies, p)
			}
		}
	}
}

// dropAliases removes names that are hosts of their own, and those that an earlier
// host has.
func (s *servers) dropAliases() {
	owner := map[string]string{}
	for _, h := range s.order {
		h.Aliases = slices.DeleteFunc(h.Aliases, func(alias string) bool {
			other, taken := owner[alias]
			if s.hosts[alias] != nil {
				other, taken = alias, true
			}
			if taken {
				field := h.named.annotation("server-alias")
				s.r.add(model.Warning, h.named.at(field), field, alias,
					fmt.Sprintf("the alias is not served: it belongs to the host %q", other), "remove the alias")
				return true
			}
			owner[alias] = h.Name
			return false
		})
	}
}

// result returns the hosts as the model has them.
func (s *servers) result() []model.Host {
	var out []model.Host
	for _, h := range s.order {
		for _, rb := range h.routes {
			rb.Policies = append(slices.Clone(rb.policies), h.policies...)
			policy.Sort(rb.Policies)
			rb.ID = strings.Join([]string{s.c.name, h.Name, rb.PathType.String(), rb.Path}, "|")
			h.Regex = h.Regex || rb.regex
			h.Routes = append(h.Routes, rb.Route)
		}
		slices.SortFunc(h.Routes, func(a, b model.Route) int { return strings.Compare(a.ID, b.ID) })
		out = append(out, h.Host)
	}
	slices.SortFunc(out, func(a, b model.Host) int { return strings.Compare(a.Name, b.Name) })
	return out
}
