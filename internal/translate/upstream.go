package translate

import (
	"github.com/pierhead/pierhead/internal/model"
)

// upstream is one of all upstreams of a translation.
type upstream struct {
	mark
	model.Upstream
	made    uint64 // the last translation that made it
	changed uint64 // the translation that made something else of it
}

// make makes an upstream what it is in this translation.
func (m *Memo) make(u *upstream, now model.Upstream) {
	u.made = m.turn
	m.made++
	if u.Upstream != now {
		u.Upstream, u.changed = now, m.turn
	}
}

// upstream returns the upstream of that name, made or not.
func (m *Memo) upstream(name string) *upstream {
	u := m.upstreams[name]
	if u == nil {
		u = &upstream{Upstream: model.Upstream{Name: name}}
		m.upstreams[name] = u
	}
	return u
}

// lead is where a Service port leads in one controller, for those who speak one protocol
// to it.
type lead struct {
	name     string // of the upstream, unless somebody else has that
	shared   *upstream
	upstream *upstream
	decided  uint64        // the last translation that decided it
	moved    uint64        // the translation since which it is this upstream
	sticky   *model.Sticky // of the first Ingress that asks for it
	stuck    uint64        // the last translation that set sticky
}

// spoken is a Service port and what is spoken to it.
type spoken struct{ upstream, protocol string }

// lead returns where a Service port leads, decided or not.
func (s *servers) lead(b *backend, protocol string) *lead {
	key := spoken{b.upstreamName(), protocol}
	l := s.k.leads[key]
	if l == nil {
		l = &lead{name: key.upstream, shared: s.m.upstream(key.upstream)}
		s.k.leads[key] = l
	}
	return l
}

// stick notes who of all that use a Service port is the first to ask for cookie affinity:
// it counts for the port, and each Ingress sets cookies for its own paths.
func (s *servers) stick(src *source) {
	if src.settings.sticky == nil {
		return
	}
	for _, b := range src.backends {
		if b.lead.stuck != s.m.turn {
			b.lead.stuck, b.lead.sticky = s.m.turn, src.settings.sticky
		}
	}
}

// upstreamSettings is what a controller and the first Ingress that uses a Service
// port say of it.
type upstreamSettings struct {
	protocol string
	balance  string
	sticky   *model.Sticky
	external bool // ExternalName Services are resolved
	service  bool // the address of the Service stands for its endpoints
}

// of tells whether an upstream has these settings.
func (s upstreamSettings) of(u *model.Upstream) bool {
	if u.Protocol != s.protocol || u.Balance != s.balance || u.ServiceIP != s.service || (u.Sticky == nil) != (s.sticky == nil) {
		return false
	}
	return s.sticky == nil || *u.Sticky == *s.sticky
}

// found is what the Service of a backend says.
type found struct {
	external string // name and port of an ExternalName Service
	port     uint16
	origin   model.Origin // of the Service, or of who names it where there is none
}

// find checks a backend and tells its owner when it leads nowhere.
func (b *backend) find(o *Objects, r *report, opt Options, s upstreamSettings) found {
	var f found
	f.external, f.port = b.check(o, r, opt, s)
	f.origin = b.at(b.nameField)
	if svc := o.service(b.service); svc != nil {
		f.origin = svc.origin
	}
	return f
}

// decide makes the upstream for a backend, unless the controller has it: of the objects
// that use a Service port the first one decides on the settings. Two controllers or two
// protocols that want different things get an upstream each.
func (s *servers) decide(b *backend, f *found, first *upstreamSettings) {
	l, turn := b.lead, s.m.turn
	if l.decided == turn {
		return
	}
	l.decided = turn
	s.k.decided++
	settings := *first
	if l.stuck == turn {
		settings.sticky = l.sticky
	}
	u := l.shared
	for another := ""; u.made == turn && (!settings.of(&u.Upstream) || u.External != f.external); {
		if another == "" {
			another = l.name + "@" + s.c.name
		} else {
			another += "@" + settings.protocol
		}
		u = s.m.upstream(another)
	}
	if u.made != turn {
		s.m.make(u, model.Upstream{
			Name: u.Name, Namespace: b.service.namespace, Service: b.service.name, Port: b.port,
			Protocol: settings.protocol, Balance: settings.balance, Sticky: settings.sticky, ServiceIP: settings.service,
			External: f.external, ExternalP: f.port, Origin: f.origin,
		})
	}
	if l.upstream != u {
		l.upstream, l.moved = u, turn
	}
}
