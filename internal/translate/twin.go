package translate

import (
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/policy"
)

// addTwins adds the hosts that from-to-www-redirect asks for: the name with or
// without "www." in front, which redirects to the host. A name that is a host of its
// own stays that.
func (s *servers) addTwins() {
	plain := s.c.plainRoute()
	for _, h := range slices.Clone(s.order) {
		name, ok := strings.CutPrefix(h.Name, "www.")
		if !ok {
			name = "www." + h.Name
		}
		if !h.twin || s.hosts[name] != nil || h.Name == "" || strings.HasPrefix(h.Name, "*.") {
			continue
		}
		to := policy.TwinRedirect(s.c.global, h.Name)
		s.addHost(name, h.Origin, &routeBuilder{
			Route:    implicit(target{}, h.Origin, ""),
			policies: append(slices.Clone(plain.Policies), to),
		})
		twin := s.hosts[name]
		twin.TLS = h.TLS
		if kp := s.certs.named(h.Certificate); kp != nil && kp.covers(name) {
			twin.Certificate = h.Certificate
		}
	}
}

// named returns the key pair of that name, or nil.
func (cs *certificates) named(name string) *keyPair {
	namespace, secret, _ := strings.Cut(name, "/")
	return cs.read[id{namespace, secret}]
}
