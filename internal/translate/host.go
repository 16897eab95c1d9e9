package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// host is one host of a controller: the rules that name it, and what was made of them.
type host struct {
	mark
	name    string
	parts   []part // the oldest first, once it is finished
	stirred uint64 // the last translation in which something of it changed

	// What it was made from.
	built    uint64 // in this translation; 0: never
	from     []part
	fallback target
	plain    *policy.Result
	leads    []*lead // of all its rules
	pairs    []*pair // that were looked at for its certificate

	// What it came to.
	model.Host             // with all aliases that it asks for
	pair       *pair       // of its certificate; nil: the default one
	upstreams  []*upstream // that its routes lead to
	named      *source     // who gave it its aliases
	twin       bool        // the name with or without www. redirects to it
	told       *told
	out        *model.Host // with the aliases that it has; nobody changes it
	published  uint64      // the translation that made out
	place      int         // of out among the hosts
	twinOf     twinOf      // of a host that redirects to another one
}

// newHost returns a host that nothing has been made of.
func newHost(name string) *host { return &host{name: name, out: &model.Host{Name: name}} }

// part is one rule for a host.
type part struct {
	src  *source
	rule int
}

// wholeHost stands for a default backend of an Ingress without rules.
const wholeHost = -1

// holds tells whether the host was made from what there is now.
func (h *host) holds(s *servers) bool {
	if h.built == 0 || h.fallback != s.k.fallback || h.plain != s.c.plain || !slices.Equal(h.parts, h.from) {
		return false
	}
	for _, l := range h.leads {
		if l.moved > h.built {
			return false
		}
	}
	for _, p := range h.pairs {
		if p.changed > h.built {
			return false
		}
	}
	return true
}

type routeKey struct {
	path     string
	pathType model.PathType
}

type routeBuilder struct {
	model.Route
	to       target
	policies []model.Policy
	regex    bool // it makes the host match by regular expressions
}

// hostBuilder makes one host.
type hostBuilder struct {
	*host
	s        *servers
	r        *report
	routes   map[routeKey]*routeBuilder
	policies []model.Policy // for every route of the host
}

// assemble makes a host of its rules.
func (s *servers) assemble(h *host) {
	had := *h
	*h = host{
		mark: h.mark, name: h.name, parts: h.parts, stirred: h.stirred, built: s.m.turn, from: slices.Clone(h.parts), fallback: s.k.fallback, plain: s.c.plain,
		out: h.out, published: h.published, place: h.place,
	}
	b := &hostBuilder{host: h, s: s, r: &report{}, routes: map[routeKey]*routeBuilder{}}
	h.Name = h.name
	if h.name == "" {
		b.catchAll()
	} else {
		b.begin()
	}
	for _, p := range h.parts {
		if p.rule == wholeHost {
			continue
		}
		for i := range p.src.rules[p.rule].paths {
			b.add(p.src, &p.src.rules[p.rule].paths[i])
		}
	}
	for _, p := range h.parts {
		if p.rule != wholeHost {
			b.hostWide(p.src)
			b.secure(p)
		}
	}
	b.finish()
	h.told = s.m.telling.tell(had.told, b.r.told())
	for _, u := range h.upstreams {
		s.m.used.hold(u)
	}
	if h.pair != nil {
		s.m.served.hold(h.pair)
	}
	s.letGo(&had)
}

// begin makes the "/" of a host. It belongs to the Ingress that names the host first:
// what no rule of the host takes goes to that Ingress's default backend, under its
// annotations.
func (b *hostBuilder) begin() {
	src := b.parts[0].src
	t := b.s.k.fallback
	if src.fallback != nil {
		t = src.fallback.target()
		b.leads = append(b.leads, src.fallback.lead)
	}
	b.Origin = src.at(ruleField(b.parts[0].rule) + ".host")
	first := &routeBuilder{Route: implicit(t, src.at(src.fallbackField()), src.Closed), to: t, policies: src.Policies, regex: src.regex("/")}
	first.Namespace, first.Ingress = src.id.namespace, src.id.name
	b.routes[routeKey{"/", model.Prefix}] = first
}

// catchAll makes the "/" of the catch-all. The first Ingress that has a default backend
// and no rules has it, and else the controller.
func (b *hostBuilder) catchAll() {
	c, slash := b.s.c, routeKey{"/", model.Prefix}
	b.Origin = c.origin
	b.routes[slash] = &routeBuilder{Route: implicit(b.s.k.fallback, c.origin, c.plain.Closed), to: b.s.k.fallback, policies: c.plain.Policies}
	owned := false
	for _, p := range b.parts {
		if p.rule != wholeHost {
			continue
		}
		src, field := p.src, p.src.fallbackField()
		b.leads = append(b.leads, src.fallback.lead)
		if owned {
			b.lost(b.routes[slash], src, field, "")
			continue
		}
		owned = true
		result := b.s.readCatchAll(src)
		t := src.fallback.target()
		route := implicit(t, src.at(field), result.Closed)
		route.Namespace, route.Ingress, route.Implicit = src.id.namespace, src.id.name, false
		b.routes[slash] = &routeBuilder{Route: route, to: t, policies: result.Policies}
	}
}

// implicit returns the "/" of a host that has no rule for it.
func implicit(t target, origin model.Origin, closed string) model.Route {
	return model.Route{
		Path: "/", PathType: model.Prefix, Implicit: true, Closed: closed,
		Upstream: t.name(), Service: t.service, Port: t.port, Origin: origin,
	}
}

// add adds one path. Of two for one path and type the first one is served, and the
// owner of the other is told.
func (b *hostBuilder) add(src *source, p *rulePath) {
	b.leads = append(b.leads, p.to.lead)
	if prev := b.routes[p.key]; prev != nil && !prev.Implicit {
		b.lost(prev, src, p.field+".path", p.key.path)
		return
	}
	t := p.to.target()
	b.routes[p.key] = &routeBuilder{to: t, policies: src.Policies, regex: src.regex(p.key.path), Route: model.Route{
		Path: p.key.path, PathType: p.key.pathType, Upstream: t.name(), Closed: src.Closed,
		Namespace: src.id.namespace, Ingress: src.id.name, Service: t.service, Port: t.port, Origin: src.at(p.field),
	}}
}

// lost tells the owner of a rule that another one is served instead.
func (b *hostBuilder) lost(winner *routeBuilder, src *source, field, path string) {
	what := "requests that no rule takes go to"
	if path != "" {
		what = fmt.Sprintf("path %q of the host is already served by", path)
	}
	by := winner.Origin.String()
	if place := winner.Origin.Place(); place != "" {
		by += " (" + place + ")"
	}
	b.r.add(model.Error, src.at(field), field, path, what+" "+by+", which is older or comes first; this rule is not served",
		"remove one of the two")
}

// hostWide applies what an Ingress says of whole hosts; the first Ingress that says
// something is heard.
func (b *hostBuilder) hostWide(src *source) {
	if len(b.Aliases) == 0 {
		b.Aliases, b.named = slices.Clone(src.Host.Aliases), src
	}
	b.twin = b.twin || src.Host.FromToWWW
	for _, p := range src.Host.Policies {
		if !slices.ContainsFunc(b.policies, func(q model.Policy) bool { return q.PolicyName() == p.PolicyName() }) {
			b.policies = append(b.policies, p)
		}
	}
}

// finish completes the routes and sorts them.
func (b *hostBuilder) finish() {
	for _, rb := range b.routes {
		rb.Policies = append(slices.Clone(rb.policies), b.policies...)
		policy.Sort(rb.Policies)
		rb.ID = strings.Join([]string{b.s.c.name, b.name, rb.PathType.String(), rb.Path}, "|")
		b.Regex = b.Regex || rb.regex
		b.Routes = append(b.Routes, rb.Route)
		if rb.to.upstream != nil {
			b.upstreams = append(b.upstreams, rb.to.upstream)
		}
	}
	b.passThrough()
	slices.SortFunc(b.Routes, func(x, y model.Route) int { return strings.Compare(x.ID, y.ID) })
}
