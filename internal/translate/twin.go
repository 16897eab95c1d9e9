package translate

import (
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// twinOf is what the host that redirects to another one is made from.
type twinOf struct {
	name        string
	origin      model.Origin
	tls         bool
	certificate string
	covers      bool
	plain       *policy.Result
	global      *policy.Global
}

// addTwins adds the hosts that from-to-www-redirect asks for: the name with or
// without "www." in front, which redirects to the host. A name that is a host of its
// own stays that.
func (s *servers) addTwins() {
	had := s.k.twins
	s.k.twins = map[string]*host{}
	for _, h := range inOrder(s.k.twinned) {
		name, ok := strings.CutPrefix(h.name, "www.")
		if !ok {
			name = "www." + h.name
		}
		if s.k.hosts[name] != nil || s.k.twins[name] != nil || h.name == "" || strings.HasPrefix(h.name, "*.") {
			continue
		}
		twin := had[name]
		if twin == nil {
			twin = newHost(name)
		}
		s.k.twins[name] = twin
		s.k.roll.hold(twin)
		of := twinOf{h.name, h.Origin, h.TLS, h.Certificate, h.pair != nil && h.pair.covers(name), s.c.plain, s.c.global}
		if twin.twinOf != of {
			twin.twinOf = of
			s.assembleTwin(twin)
		}
	}
	for _, twin := range had {
		s.k.roll.release(twin)
	}
}

// assembleTwin makes a host that redirects to another one.
func (s *servers) assembleTwin(twin *host) {
	of := &twin.twinOf
	b := &hostBuilder{host: twin, s: s, r: &report{}}
	b.Host = model.Host{Name: twin.name, Origin: of.origin, TLS: of.tls}
	if of.covers {
		b.Certificate = of.certificate
	}
	b.routes = map[routeKey]*routeBuilder{{"/", model.Prefix}: {
		Route:    implicit(target{}, of.origin, ""),
		policies: append(slices.Clone(of.plain.Policies), policy.TwinRedirect(of.global, of.name)),
	}}
	b.finish()
	twin.built = s.m.turn
	s.publish(twin, nil)
}
