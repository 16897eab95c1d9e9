package translate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// group is all that may lead to one upstream, or to those whose names begin with its
// name: who is first among them decides, so they are decided together.
type group struct {
	name    string
	leads   []*lead
	stirred uint64 // the last translation in which something of it changed
}

// lead is where a Service port leads in one controller, for those who speak one protocol
// to it.
type lead struct {
	key      spoken
	k        *ledger
	c        int // number of the controller
	group    *group
	uses     []use
	upstream *upstream
	moved    uint64 // the translation since which it is this upstream
}

// spoken is a Service port and what is spoken to it.
type spoken struct{ upstream, protocol string }

// use is a backend of an Ingress that leads somewhere.
type use struct {
	src *source
	n   int
}

// compareUses orders them as they count: what the controller itself says first, then the
// oldest Ingress.
func compareUses(a, b use) int {
	if a.src == b.src {
		return cmp.Compare(a.n, b.n)
	}
	switch {
	case a.src.entry == nil:
		return -1
	case b.src.entry == nil:
		return 1
	}
	return byAge(a.src.entry, b.src.entry)
}

// lead returns where a Service port leads, decided or not.
func (s *servers) lead(b *backend, protocol string) *lead {
	key := spoken{b.upstreamName(), protocol}
	l := s.k.leads[key]
	if l == nil {
		l = &lead{key: key, k: s.k, c: s.c.index, group: s.m.group(key.upstream)}
		s.k.leads[key] = l
		l.group.leads = append(l.group.leads, l)
	}
	return l
}

// group returns the group of an upstream.
func (m *Memo) group(upstream string) *group {
	name, _, _ := strings.Cut(upstream, "@")
	g := m.groups[name]
	if g == nil {
		g = &group{name: name}
		m.groups[name] = g
	}
	return g
}

// stir has a group decided in this translation.
func (m *Memo) stir(g *group) {
	if g.stirred != m.turn {
		g.stirred = m.turn
		m.stirred = append(m.stirred, g)
	}
}

// uses adds what an Ingress uses to where it leads.
func (m *Memo) uses(src *source) {
	for n, b := range src.backends {
		b.lead.uses = append(b.lead.uses, use{src, n})
		m.stir(b.lead.group)
	}
}

// usesNoLonger takes it away again.
func (m *Memo) usesNoLonger(src *source) {
	for _, b := range src.backends {
		b.lead.uses = slices.DeleteFunc(b.lead.uses, func(u use) bool { return u.src == src })
		m.stir(b.lead.group)
	}
}

// decide finds out where the leads of all groups lead that were stirred.
func (m *Memo) decide() {
	for _, g := range m.stirred {
		for _, l := range g.leads {
			if l.upstream != nil {
				l.upstream.leads--
				m.unlead(l.upstream)
			}
			slices.SortFunc(l.uses, compareUses)
		}
		g.leads = slices.DeleteFunc(g.leads, func(l *lead) bool {
			if len(l.uses) == 0 {
				delete(l.k.leads, l.key)
			}
			return len(l.uses) == 0
		})
		slices.SortFunc(g.leads, func(a, b *lead) int { return cmp.Or(cmp.Compare(a.c, b.c), compareUses(a.uses[0], b.uses[0])) })
		for _, l := range g.leads {
			m.decideLead(l)
		}
		if len(g.leads) == 0 {
			delete(m.groups, g.name)
		}
	}
}

// decideLead makes the upstream of a Service port, unless another one has made the same:
// of the objects that use the port the first one decides on the settings. Two controllers
// or two protocols that want different things get an upstream each.
func (m *Memo) decideLead(l *lead) {
	first := l.uses[0]
	b, f, settings := first.src.backends[first.n], &first.src.found[first.n], first.src.settings
	settings.protocol = l.protocol(f)
	if sticky := l.sticky(); sticky != nil {
		settings.sticky = sticky
	}
	u := m.upstream(l.key.upstream)
	for another := ""; u.leads > 0 && (!settings.of(&u.Upstream) || u.External != f.external); {
		if another == "" {
			another = l.key.upstream + "@" + m.controllers[l.c].name
		} else {
			another += "@" + l.key.protocol
		}
		u = m.upstream(another)
	}
	if u.leads == 0 {
		m.make(u, model.Upstream{
			Name: u.Name, Namespace: b.service.namespace, Service: b.service.name, Port: b.port,
			Protocol: settings.protocol, Balancing: settings.Balancing, Sticky: settings.sticky, ServiceIP: settings.service,
			External: f.external, ExternalP: f.port, Origin: f.origin,
		})
	}
	u.leads++
	if l.upstream != u {
		l.upstream, l.moved = u, m.turn
		for _, of := range l.uses {
			m.stirHosts(l.k, of.src)
		}
	}
}

// sticky returns the cookie affinity that the first Ingress asks for: it counts for the
// port, and each Ingress sets cookies for its own paths.
func (l *lead) sticky() *model.Sticky {
	for _, of := range l.uses {
		if of.src.entry != nil && of.src.settings.sticky != nil {
			return of.src.settings.sticky
		}
	}
	return nil
}
