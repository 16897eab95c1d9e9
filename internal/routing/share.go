package routing

import (
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// lastHosts are the hosts of the last table that may still be shared.
type lastHosts struct {
	hosts []*host
	from  []*model.Host
	odd   []*host
	pools bool // their pools are those of their names now
}

// next takes the first one away, and tells whether there is more to it than its routes.
func (l *lastHosts) next() (h *host, odd bool) {
	h = l.hosts[0]
	if odd = len(l.odd) > 0 && l.odd[0] == h; odd {
		l.odd = l.odd[1:]
	}
	l.hosts, l.from = l.hosts[1:], l.from[1:]
	return h, odd
}

// shared returns the host of the last table when it would be compiled to the same again,
// or nil, and whether it is odd. Hosts come sorted by name, so the two lists are gone
// through side by side; one that comes from the same value is not even looked into.
func (k *compiler) shared(m *model.Host) (h *host, odd bool) {
	l := &k.last
	for len(l.from) > 0 && l.from[0] != m && strings.Compare(l.from[0].Name, m.Name) < 0 {
		l.next()
	}
	if len(l.from) == 0 || l.from[0] != m && l.from[0].Name != m.Name {
		return nil, false
	}
	from := l.from[0]
	h, odd = l.next()
	if from == m && l.pools && !odd {
		return h, false
	}
	if !sameRoutes(from, m) || (!l.pools || odd && len(h.problems) > 0) && !k.hasPools(h) {
		return nil, false // a pool that was missing may be there now
	}
	if odd {
		k.problems = append(k.problems, h.problems...)
		if len(h.kept) > 0 {
			k.env.State.Renew(h.kept)
		}
	}
	return h, odd
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
			has, now = now[0], now[1:]
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
