package translate

import (
	"slices"

	"github.com/pierhead/pierhead/internal/policy"
)

// near returns the Ingress of the Review and the others that decide what is said of
// it. The hosts are made by the rule "the first one is heard", so of the many that may
// share a host only the first that has something to say is taken along.
func (v *Review) near() set[ingress] {
	n := &nearby{v: v, found: set[ingress]{}, known: map[string]bool{}}
	aliases := aliasesOf(v.e.value)
	n.own = pathsOf(v.e.value)
	for _, at := range n.own {
		n.rivals(at)        // whose rule is served, and who has the catch-all
		n.patterns(at.host) // whether it is a regular expression
	}
	for _, host := range hostsOf(v.e.value) {
		if len(v.e.value.Spec.TLS) > 0 {
			n.first(v.o.index.hosts[host], func(m member) bool { return m.tls }, nil) // whose certificate is served
		}
		if len(aliases) > 0 {
			n.origin(host)
		}
	}
	for _, alias := range aliases {
		n.first(v.o.index.hosts[alias], nil, nil) // whether it is a host
		for _, m := range v.o.index.aliases[alias] {
			n.found[m.id] = m.entry
			for _, host := range hostsOf(m.value) {
				n.origin(host)
			}
		}
	}
	n.found[v.e.id] = v.e
	return n.found
}

// nearby gathers Ingresses that are near another one.
type nearby struct {
	v     *Review
	own   []hostPath // of the Ingress of the Review
	found set[ingress]
	known map[string]bool // hosts whose patterns were looked at
}

// rivals adds all that have a rule for a host and path.
func (n *nearby) rivals(at hostPath) {
	for _, m := range n.v.o.index.paths[at] {
		n.found[m.id] = m.entry
	}
}

// patterns adds those who make the paths of a host regular expressions. Only a rule that
// is served does, so rivals come along, up to the first Ingress that has no rival.
func (n *nearby) patterns(host string) {
	list := n.v.o.index.hosts[host]
	if n.known[host] {
		return
	}
	n.known[host] = true
	if !slices.ContainsFunc(list, func(m member) bool { return m.regex }) {
		return
	}
	n.first(list, nil, nil) // who has what no rule takes
	n.rivals(hostPath{host, "/"})
	for _, c := range n.v.cs {
		for _, m := range list {
			if m.id == n.v.e.id || !m.regex {
				continue
			}
			if result, ok := c.serves(n.v.added, m.entry, n.v.opt); ok && n.pattern(m, host, result.Host) {
				break
			}
		}
	}
}

// pattern adds an Ingress with the rivals that it has at a host, and tells whether it
// makes the paths of the host regular expressions whoever the rivals are.
func (n *nearby) pattern(m member, host string, says policy.Host) (sure bool) {
	if !says.Regex && says.RewriteTarget == "" {
		return false
	}
	n.found[m.id] = m.entry
	for at, b := range backendsOf(m.value) {
		if at.host != host {
			continue
		}
		n.rivals(at)
		alone := len(n.v.o.index.paths[at]) == 1 && !slices.Contains(n.own, at)
		leads := b.Service != nil && b.Service.Name != "" && at.path[0] == '/'
		sure = sure || alone && leads && (says.Regex || says.RewriteTarget != at.path)
	}
	return sure
}

// origin adds those who decide about the place of a host among the others and about its
// aliases.
func (n *nearby) origin(host string) {
	n.first(n.v.o.index.hosts[host], nil, nil)
	n.first(n.v.o.index.hosts[host], func(m member) bool { return m.alias }, func(r policy.Result) bool { return len(r.Host.Aliases) > 0 })
}

// first adds the oldest Ingress of a list that is served and fits, by what it is and by
// what its annotations come to, once for each controller. The Ingress of the Review does
// not count: it may have another place in the list now.
func (n *nearby) first(list []member, fits func(member) bool, says func(policy.Result) bool) {
	for _, c := range n.v.cs {
		for _, m := range list {
			if m.id == n.v.e.id || fits != nil && !fits(m) {
				continue
			}
			if result, ok := c.serves(n.v.added, m.entry, n.v.opt); ok && (says == nil || says(result)) {
				n.found[m.id] = m.entry
				break
			}
		}
	}
}
