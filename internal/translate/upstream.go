package translate

import (
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// upstream is one of all upstreams of a translation.
type upstream struct {
	mark
	model.Upstream
	leads   int    // how many lead to it
	made    uint64 // the last translation in which a stream or load balancer made it
	changed uint64 // the translation that made something else of it
	unled   bool   // it is among those that are perhaps nobody's
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

// taken tells whether somebody has said what an upstream is, in this translation.
func (m *Memo) taken(u *upstream) bool { return u.leads > 0 || u.made == m.turn }

// make makes an upstream what it is now.
func (m *Memo) make(u *upstream, now model.Upstream) {
	if had := u.Sticky; had != nil && now.Sticky != nil && *had == *now.Sticky {
		now.Sticky = had
	}
	if u.Upstream != now {
		u.Upstream, u.changed, m.altered = now, m.turn, true
	}
}

// pass makes an upstream that no Ingress leads to, for this translation.
func (m *Memo) pass(u *upstream, now model.Upstream) {
	u.made = m.turn
	m.make(u, now)
	m.unlead(u)
}

// unlead notes that an upstream is perhaps nobody's.
func (m *Memo) unlead(u *upstream) {
	if !u.unled {
		u.unled = true
		m.unled = append(m.unled, u)
	}
}

// upstreamSettings is what a controller and the first Ingress that uses a Service
// port say of it.
type upstreamSettings struct {
	protocol string
	told     bool // the Ingress names the protocol
	model.Balancing
	sticky   *model.Sticky
	external bool // ExternalName Services are resolved
	service  bool // the address of the Service stands for its endpoints
}

func (s *servers) settings(u policy.Upstream) upstreamSettings {
	return upstreamSettings{protocol: u.Protocol, told: u.Told, Balancing: u.Balancing, sticky: u.Sticky, external: !s.c.DisableExternalName, service: u.ServiceIP}
}

// of tells whether an upstream has these settings.
func (s upstreamSettings) of(u *model.Upstream) bool {
	if u.Protocol != s.protocol || u.Balancing != s.Balancing || u.ServiceIP != s.service || (u.Sticky == nil) != (s.sticky == nil) {
		return false
	}
	return s.sticky == nil || *u.Sticky == *s.sticky
}

// found is what the Service of a backend says.
type found struct {
	external string // name and port of an ExternalName Service
	port     uint16
	h2c      bool         // its port says that HTTP/2 without TLS is spoken there
	origin   model.Origin // of the Service, or of who names it where there is none
}

// find checks a backend and tells its owner when it leads nowhere.
func (b *backend) find(o *Objects, r *report, opt Options, s upstreamSettings) found {
	var f found
	f.external, f.port = b.check(o, r, opt, s)
	f.origin = b.at(b.nameField)
	if svc := o.service(b.service); svc != nil {
		f.origin = svc.origin
		f.h2c = b.speaksH2C(r, svc, s)
	}
	return f
}
