package routing

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// names says which host of a table a name belongs to, by its place among Table.hosts.
// Tables of hosts that are called the same share its maps: nothing changes them.
type names struct {
	whole     map[string]int32 // host rules and aliases
	wildAlias map[string]int32 // alias "*.x" by ".x": any number of labels below x
	wildHost  map[string]int32 // host rule "*.x" by ".x": exactly one label below x
	catchAll  int32            // -1 where no host is it

	of   []*model.Host // what it was made from
	sure bool          // without a problem
}

// fits tells whether the names of these hosts are the same, and nothing was wrong.
func (n *names) fits(hosts []*model.Host) bool {
	return n != nil && n.sure && slices.EqualFunc(n.of, hosts, func(a, b *model.Host) bool {
		return a == b || a.Name == b.Name && slices.Equal(a.Aliases, b.Aliases)
	})
}

// place is where a name of a rule stands in the names.
func (n *names) place(name string) (in map[string]int32, key string) {
	key = strings.ToLower(name)
	if strings.HasPrefix(key, "*.") {
		return n.wildHost, key[1:]
	}
	return n.whole, key
}

// name finds out which host each name belongs to, and returns the hosts of the table: of
// two with one name the first.
func (k *compiler) name(hosts []*model.Host) []*model.Host {
	if k.env.Last != nil && k.env.Last.names.fits(hosts) {
		n := *k.env.Last.names
		n.of = hosts // the old list goes
		k.t.names = &n
		return hosts
	}
	n := &names{whole: make(map[string]int32, len(hosts)), wildAlias: map[string]int32{}, wildHost: map[string]int32{}, catchAll: -1, of: hosts}
	k.t.names = n
	before := len(k.problems)
	kept := make([]*model.Host, 0, len(hosts))
	for _, m := range hosts {
		in, key := n.place(m.Name)
		if _, twice := in[key]; twice || key == "" && n.catchAll >= 0 {
			k.problem(m.Origin, "host", m.Name, "host is there twice; the first entry is served", "put the rules of a host into one entry")
			continue
		}
		if key == "" {
			n.catchAll = int32(len(kept))
		} else {
			in[key] = int32(len(kept))
		}
		kept = append(kept, m)
	}
	for i, m := range kept {
		for _, alias := range m.Aliases {
			k.alias(n, kept, i, alias)
		}
	}
	n.sure = len(k.problems) == before
	return kept
}

// alias adds a further name of host number i. A name that a rule has is the rule's; of
// two hosts with one alias the first has it.
func (k *compiler) alias(n *names, hosts []*model.Host, i int, alias string) {
	m := hosts[i]
	in, key := n.whole, strings.ToLower(alias)
	if strings.HasPrefix(key, "*.") {
		in, key = n.wildAlias, key[1:]
	}
	if key == "" || strings.ContainsAny(key, "*~") {
		k.problem(m.Origin, "alias", alias, "alias is not served: a wildcard can only be the whole first label", `write whole names, or names like "*.example.com"`)
		return
	}
	prev, taken := in[key]
	if !taken {
		in[key] = int32(i)
	} else if other := strings.ToLower(hosts[prev].Name); int(prev) != i && other != strings.ToLower(alias) {
		k.problem(m.Origin, "alias", alias, fmt.Sprintf("alias is taken by host %q", other), "remove it from one of the hosts")
	}
}
