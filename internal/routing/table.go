package routing

import (
	"iter"
	"strings"
	"sync/atomic"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/upstream"
)

// Route is one path of one host, ready to serve.
type Route struct {
	exchange.Route
	Chain exchange.Chain
	Pool  *upstream.Pool // nil: the chain answers every request itself

	PathType model.PathType
	Policies []model.Policy // what Chain was made from
	Implicit bool
	Closed   string // why every request is answered 503, or ""
	Origin   model.Origin

	leadsTo *Route // of a redirect that adds the final slash: where that leads
}

func (r *Route) exact() bool { return r.PathType == model.Exact }

// Table is the hosts of one controller, compiled. Nothing changes it.
type Table struct {
	Controller string
	Settings   model.Settings

	names    *names
	hosts    []*host // in the order of the configuration
	catchAll *host   // one of them

	from []*model.Host // what the hosts were compiled from
	odd  []*host       // those with problems, or with a State of their own

	poolsVersion uint64
}

// host is one server name with its routes.
type host struct {
	name     string
	routes   []*Route
	health   *Route    // /healthz of the catch-all
	paths    *paths    // nil when patterns is not
	patterns *patterns // of a host whose paths are regular expressions
	none     *Route    // 404 for a path that no route takes

	// What it was compiled from, for tables that share it.
	from     *model.Host
	kept     exchange.Kept
	problems []model.Problem
}

func (h *host) match(path string) *Route {
	if h.health != nil && path == h.health.Path {
		return h.health
	}
	var r *Route
	if h.patterns != nil {
		r = h.patterns.match(path)
	} else {
		r = h.paths.match(path)
	}
	if r == nil {
		r = h.none
	}
	return r
}

// Match finds the route for x.HostName and x.Path and sets x.Route. There always is
// one: what no rule takes is answered by a route of the catch-all.
func (t *Table) Match(x *exchange.Exchange) *Route {
	h, _ := t.host(x.HostName)
	r := h.match(x.Path)
	x.Route = &r.Route
	return r
}

// Named tells whether a rule or an alias names this host, in lower case: the whole name,
// or a wildcard as it is written.
func (t *Table) Named(host string) bool {
	_, named := t.names.whole[host]
	if below, ok := strings.CutPrefix(host, "*"); ok && !named {
		_, rule := t.names.wildHost[below]
		_, alias := t.names.wildAlias[below]
		return rule || alias
	}
	return named
}

// How a host was found: the answer of Table.host for people.
const (
	byName      = "the host is named by a rule or an alias"
	byWildAlias = "the host lies below a wildcard alias"
	byWildHost  = "the host is one label below a wildcard rule"
	byNothing   = "no rule names the host: the catch-all takes it"
)

// host returns the entry for a name in lower case without port, and why that one: the
// exact name first, then wildcard aliases (longest first), then wildcard rules.
func (t *Table) host(name string) (*host, string) {
	if name == "" {
		return t.catchAll, byNothing
	}
	n := t.names
	if at, ok := n.whole[name]; ok {
		return t.hosts[at], byName
	}
	if len(n.wildAlias) > 0 {
		for i := 1; i < len(name); i++ {
			if name[i] == '.' {
				if at, ok := n.wildAlias[name[i:]]; ok {
					return t.hosts[at], byWildAlias
				}
			}
		}
	}
	if len(n.wildHost) > 0 {
		if i := strings.IndexByte(name, '.'); i > 0 && isLabel(name[:i]) {
			if at, ok := n.wildHost[name[i:]]; ok {
				return t.hosts[at], byWildHost
			}
		}
	}
	return t.catchAll, byNothing
}

// isLabel reports whether s is what "*" stands for in a host rule: letters, digits,
// "_" and "-".
func isLabel(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return s != ""
}

// Routes lists the routes of the configuration, host by host.
func (t *Table) Routes() iter.Seq[*Route] {
	return func(yield func(*Route) bool) {
		for _, h := range t.hosts {
			for _, r := range h.routes {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// RoutesOf lists the routes of the host entry of that name.
func (t *Table) RoutesOf(name string) iter.Seq[*Route] {
	return func(yield func(*Route) bool) {
		for _, h := range t.hosts {
			for _, r := range h.routes {
				if h.name == name && !yield(r) {
					return
				}
			}
		}
	}
}

// Live holds the table that serves. A request loads it once and keeps to it.
type Live struct{ p atomic.Pointer[Table] }

// Load returns the table that serves, or nil before the first Swap.
func (l *Live) Load() *Table { return l.p.Load() }

// Swap makes t the table that serves and returns the one before, which goes on
// serving the requests that loaded it.
func (l *Live) Swap(t *Table) *Table { return l.p.Swap(t) }
