package routing

import (
	"slices"
	"strings"
)

// paths holds the Exact and Prefix routes of one host, sorted for search.
//
// Each node stands for one path with a final slash, such as "/foo/", and holds the
// routes that "/foo" and "/foo/" can mean. All nodes that are prefixes of a path lie
// on the parent chain of the last node that sorts before it.
type paths struct{ nodes []pathNode }

type pathNode struct {
	key      string // ends in "/"
	parent   int    // the longest other key that key begins with, or -1
	exact    *Route // Exact /foo
	exactDir *Route // Exact /foo/
	plain    *Route // Prefix /foo
	dir      *Route // Prefix /foo/, and Prefix /
	redirect *Route // answers /foo when only Prefix /foo/ is there
}

// slot returns where a route with this path belongs.
func (n *pathNode) slot(path string, exact bool) **Route {
	switch bare := len(path) < len(n.key); {
	case exact && bare:
		return &n.exact
	case exact:
		return &n.exactDir
	case bare:
		return &n.plain
	default:
		return &n.dir
	}
}

// take returns the route of this node that matches path, or nil.
func (n *pathNode) take(path string) *Route {
	k := len(n.key)
	if len(path) == k-1 && path == n.key[:k-1] {
		switch {
		case n.exact != nil:
			return n.exact
		case n.plain != nil:
			return n.plain
		}
		return n.redirect
	}
	if len(path) < k || path[:k] != n.key {
		return nil
	}
	switch {
	case len(path) == k && n.exactDir != nil:
		return n.exactDir
	case n.dir != nil:
		return n.dir
	}
	return n.plain
}

// match returns the route that takes path: Exact before Prefix, then the longest.
func (p *paths) match(path string) *Route {
	lo, hi := 0, len(p.nodes)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); sortsAfter(p.nodes[mid].key, path) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	for i := lo - 1; i >= 0; i = p.nodes[i].parent {
		if r := p.nodes[i].take(path); r != nil {
			return r
		}
	}
	return nil
}

// sortsAfter reports whether key sorts after path with a final slash.
func sortsAfter(key, path string) bool {
	n := min(len(key), len(path))
	if c := strings.Compare(key[:n], path[:n]); c != 0 {
		return c > 0
	}
	if len(key) <= len(path) {
		return false
	}
	if path != "" && path[len(path)-1] == '/' {
		return true
	}
	return key[n] > '/' || key[n] == '/' && len(key) > n+1
}

// newPaths sorts routes into nodes. It returns the routes whose place was taken by an
// earlier one; a route that was only implied gives way to one that was written.
func newPaths(routes []*Route) (*paths, []*Route) {
	p, at, losers := &paths{}, map[string]int{}, []*Route(nil)
	for _, r := range routes {
		key := r.Path
		if !strings.HasSuffix(key, "/") {
			key += "/"
		}
		i, ok := at[key]
		if !ok {
			i = len(p.nodes)
			at[key] = i
			p.nodes = append(p.nodes, pathNode{key: key})
		}
		switch s := p.nodes[i].slot(r.Path, r.exact()); {
		case *s == nil:
			*s = r
		case (*s).Implicit && !r.Implicit:
			*s = r
		case !r.Implicit:
			losers = append(losers, r)
		}
	}
	slices.SortFunc(p.nodes, func(a, b pathNode) int { return strings.Compare(a.key, b.key) })
	for i := range p.nodes {
		n := &p.nodes[i]
		n.parent = i - 1
		for n.parent >= 0 && !strings.HasPrefix(n.key, p.nodes[n.parent].key) {
			n.parent = p.nodes[n.parent].parent
		}
		if n.key != "/" && n.dir != nil && n.plain == nil && n.exact == nil {
			n.redirect = slashRedirect(n.dir)
		}
	}
	return p, losers
}
