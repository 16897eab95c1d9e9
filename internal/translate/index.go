package translate

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// index finds the Ingresses that have to do with another one: those that name the
// same host, path or alias. It follows Objects.Add and Objects.Remove, so that one
// Ingress can be looked at without going through all of them.
type index struct {
	hosts   map[string][]member   // by host as rules name it, in lower case; the oldest first
	paths   map[hostPath][]member // by host and path, whatever the path type; the oldest first
	aliases map[string][]member   // by alias, under whatever prefix it is written
}

// hostPath is what a rule is for. A default backend without rules counts as a rule for
// "/" of any host.
type hostPath struct{ host, path string }

// member is an Ingress in a list of the index.
type member struct {
	*entry[ingress]
	tls   bool // it has TLS entries
	alias bool // it may give the host aliases
	regex bool // it may make the paths of the host regular expressions
}

func newIndex() index {
	return index{hosts: map[string][]member{}, paths: map[hostPath][]member{}, aliases: map[string][]member{}}
}

// replace keeps the index when another Ingress comes to stand under a name; either
// may be nil.
func (x *index) replace(had, now *entry[ingress]) {
	if had == now {
		return
	}
	if had != nil {
		x.each(had, dropMember)
	}
	if now != nil {
		x.each(now, addMember)
	}
}

// each changes every list that the Ingress belongs to.
func (x *index) each(e *entry[ingress], change func([]member, member) []member) {
	names := aliasesOf(e.value)
	m := member{entry: e, tls: len(e.value.Spec.TLS) > 0, alias: len(names) > 0, regex: hasNote(e.value, "/use-regex") || hasNote(e.value, "/rewrite-target")}
	for _, host := range hostsOf(e.value) {
		keep(x.hosts, host, change(x.hosts[host], m))
	}
	for _, at := range pathsOf(e.value) {
		keep(x.paths, at, change(x.paths[at], m))
	}
	for _, name := range names {
		keep(x.aliases, name, change(x.aliases[name], m))
	}
}

// keep stores a list, or forgets the key of an empty one.
func keep[K comparable](lists map[K][]member, key K, list []member) {
	if len(list) == 0 {
		delete(lists, key)
		return
	}
	lists[key] = list
}

func place(list []member, m member) (int, bool) {
	return slices.BinarySearchFunc(list, m, func(a, b member) int { return byAge(a.entry, b.entry) })
}

func addMember(list []member, m member) []member {
	n, _ := place(list, m)
	return slices.Insert(list, n, m)
}

func dropMember(list []member, m member) []member {
	if n, ok := place(list, m); ok {
		return slices.Delete(list, n, n+1)
	}
	return list
}

// hostsOf lists the hosts that the rules of an Ingress name, each once.
func hostsOf(in *networkingv1.Ingress) []string {
	var hosts []string
	for _, rule := range in.Spec.Rules {
		hosts = append(hosts, strings.ToLower(rule.Host))
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// backendsOf goes through the rules of an Ingress. A default backend without rules
// counts as a rule for "/" of any host.
func backendsOf(in *networkingv1.Ingress) iter.Seq2[hostPath, *networkingv1.IngressBackend] {
	return func(yield func(hostPath, *networkingv1.IngressBackend) bool) {
		if len(in.Spec.Rules) == 0 && in.Spec.DefaultBackend != nil {
			yield(hostPath{"", "/"}, in.Spec.DefaultBackend)
			return
		}
		for _, rule := range in.Spec.Rules {
			if rule.HTTP == nil {
				continue
			}
			for i := range rule.HTTP.Paths {
				p := &rule.HTTP.Paths[i]
				if !yield(hostPath{strings.ToLower(rule.Host), cmp.Or(p.Path, "/")}, &p.Backend) {
					return
				}
			}
		}
	}
}

// pathsOf lists what the rules of an Ingress are for, each once.
func pathsOf(in *networkingv1.Ingress) []hostPath {
	var all []hostPath
	for at := range backendsOf(in) {
		all = append(all, at)
	}
	slices.SortFunc(all, func(a, b hostPath) int { return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.path, b.path)) })
	return slices.Compact(all)
}

// aliasesOf lists the names that may become aliases of an Ingress's hosts.
func aliasesOf(in *networkingv1.Ingress) []string {
	var names []string
	for key, value := range in.Annotations {
		if !strings.HasSuffix(key, "/server-alias") {
			continue
		}
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// hasNote tells whether an Ingress has an annotation of a name, whatever its prefix.
func hasNote(in *networkingv1.Ingress, name string) bool {
	for key := range in.Annotations {
		if strings.HasSuffix(key, name) {
			return true
		}
	}
	return false
}
