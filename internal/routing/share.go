package routing

import (
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// shared returns the host of the last table when it would be compiled to the same again,
// or nil. Hosts come sorted by name, so the two lists are gone through side by side.
func (k *compiler) shared(m *model.Host) *host {
	for len(k.last) > 0 && k.last[0].from != m && strings.Compare(k.last[0].from.Name, m.Name) < 0 {
		k.last = k.last[1:]
	}
	if len(k.last) == 0 {
		return nil
	}
	h := k.last[0]
	if h.from.Name == m.Name {
		k.last = k.last[1:]
	}
	if !sameRoutes(h.from, m) || !k.samePools && !k.hasPools(h) {
		return nil
	}
	if len(h.kept) > 0 {
		k.env.State.Renew(h.kept)
	}
	return h
}

// sameRoutes tells whether two hosts have the same list of routes, not only an equal
// one, and nothing else that counts for the routes differs. Aliases and certificate do
// not.
func sameRoutes(a, b *model.Host) bool {
	return a == b || model.Identical(a.Routes, b.Routes) && a.Name == b.Name && a.TLS == b.TLS && a.Regex == b.Regex && a.Origin == b.Origin
}

// hasPools tells whether the pools of a host are those of their names now.
func (k *compiler) hasPools(h *host) bool {
	for _, r := range h.routes {
		if r.Upstream != "" && r.Pool != k.pool(r.Upstream) {
			return false
		}
	}
	return true
}

// Gone calls f with every route that the table before had and t has not. One that belongs
// to another Ingress or leads to another Service is another one.
func (t *Table) Gone(before *Table, f func(*Route)) {
	now := t.hosts
	for _, had := range before.hosts {
		if len(now) > 0 && now[0] == had {
			now = now[1:]
			continue
		}
		for len(now) > 0 && strings.Compare(now[0].from.Name, had.from.Name) < 0 {
			now = now[1:]
		}
		var has *host
		if len(now) > 0 && now[0].from.Name == had.from.Name {
			has = now[0]
		}
		if has == had {
			continue
		}
		for _, r := range had.routes {
			if has == nil || !slices.ContainsFunc(has.routes, r.counts) {
				f(r)
			}
		}
	}
}

// counts tells whether another route is counted together with this one.
func (r *Route) counts(o *Route) bool {
	return r.ID == o.ID && r.Namespace == o.Namespace && r.Ingress == o.Ingress && r.Service == o.Service
}
