package routing

import (
	"fmt"
	"slices"
	"strings"
)

// Considered is one thing that was looked at on the way from a host and a path to a
// route: first how the host was found, then its routes in order.
type Considered struct {
	Host  string // name of the entry; "" is the catch-all
	Route *Route // nil in the first, which is about the host
	Taken bool
	Why   string
}

// Explain tells what Match does and why. Host and path are as a client would send
// them.
func (t *Table) Explain(host, path string) []Considered {
	name, _, err := ParseHost(host, nil)
	if err != nil {
		return []Considered{{Why: fmt.Sprintf("the request is answered 400: %v", err)}}
	}
	path, _, err = Normalize(path, nil)
	if err != nil {
		return []Considered{{Why: fmt.Sprintf("the request is answered 400: %v", err)}}
	}
	h, why := t.host(name)
	all := []Considered{{Host: h.name, Taken: true, Why: why}}
	taken := h.match(path)
	seen := false
	for _, r := range h.inOrder() {
		c := Considered{Host: h.name, Route: r}
		switch {
		case r == taken || r == taken.leadsTo:
			c.Route, c.Taken, seen = taken, true, true
			c.Why = h.whyTaken(taken, path)
		case seen:
			c.Why = "comes after the route that takes the request"
		default:
			c.Why = h.whyNot(r, path)
		}
		all = append(all, c)
	}
	if !seen {
		all = append(all, Considered{Host: h.name, Route: taken, Taken: true, Why: "the controller answers it itself"})
	}
	return all
}

// inOrder lists the routes in the order in which they are preferred.
func (h *host) inOrder() []*Route {
	if h.patterns != nil {
		rs := make([]*Route, len(h.patterns.list))
		for i, p := range h.patterns.list {
			rs[i] = p.route
		}
		return rs
	}
	rs := slices.Clone(h.routes)
	slices.SortStableFunc(rs, func(a, b *Route) int {
		if n := len(b.Path) - len(a.Path); n != 0 {
			return n
		}
		if a.exact() != b.exact() {
			if a.exact() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Path, b.Path)
	})
	return rs
}

func (h *host) whyTaken(r *Route, path string) string {
	switch {
	case h.patterns != nil:
		return fmt.Sprintf("the expression %q matches %q from its start", r.Path, path)
	case r.exact():
		return fmt.Sprintf("the path is %q", path)
	case len(r.Path) > len(path):
		return fmt.Sprintf("only the final slash of %q is missing: 301 adds it", r.Path)
	}
	return fmt.Sprintf("%q is the longest prefix of %q", r.Path, path)
}

func (h *host) whyNot(r *Route, path string) string {
	switch {
	case h.patterns != nil:
		return fmt.Sprintf("the expression %q does not match %q from its start", r.Path, path)
	case r.exact():
		return fmt.Sprintf("the path is %q, not %q", path, r.Path)
	case strings.HasPrefix(path, r.Path):
		if element := strings.HasSuffix(r.Path, "/") || path == r.Path || path[len(r.Path)] == '/'; !element {
			return fmt.Sprintf("%q begins with %q, but only with a part of a path element", path, r.Path)
		}
		return fmt.Sprintf("another route of host %q has the same path", h.name)
	}
	return fmt.Sprintf("%q does not begin with %q", path, r.Path)
}
