package routing

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

// plainMatch is the rule of path matching as it is written down: the longest path
// wins, Exact before Prefix; a path that only lacks the final slash of a Prefix is
// redirected, unless something else takes exactly that path.
func plainMatch(h *model.Host, path string) string {
	var best *model.Route
	redirect := ""
	for i := range h.Routes {
		r := &h.Routes[i]
		matches := false
		switch {
		case r.PathType == model.Exact:
			matches = path == r.Path
		case strings.HasSuffix(r.Path, "/"):
			matches = strings.HasPrefix(path, r.Path)
			if path+"/" == r.Path {
				redirect = ">" + r.ID
			}
		default:
			matches = path == r.Path || strings.HasPrefix(path, r.Path+"/")
		}
		if matches && (best == nil || len(r.Path) > len(best.Path) ||
			len(r.Path) == len(best.Path) && r.PathType == model.Exact) {
			best = r
		}
	}
	switch {
	case best != nil && best.Path == path:
		return best.ID
	case redirect != "":
		return redirect
	case best != nil:
		return best.ID
	}
	return ""
}

// plainRegex is the rule for hosts with expressions.
func plainRegex(h *model.Host, path string, matches func(pattern, path string) bool) string {
	rs := slices.Clone(h.Routes)
	slices.SortStableFunc(rs, func(a, b model.Route) int {
		if len(a.Path) != len(b.Path) {
			return len(b.Path) - len(a.Path)
		}
		return strings.Compare(b.Path, a.Path)
	})
	for _, r := range rs {
		if matches(r.Path, path) {
			return r.ID
		}
	}
	return ""
}

// plainHost is the rule of host matching.
func plainHost(hosts []model.Host, name string) *model.Host {
	byName := func(n string) *model.Host {
		for i := range hosts {
			if hosts[i].Name == n {
				return &hosts[i]
			}
		}
		return nil
	}
	if h := byName(name); h != nil {
		return h
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		if h := byName("*." + parent); h != nil {
			return h
		}
	}
	return byName("")
}

// randomPath is made of few letters, so that random paths meet.
func randomPath(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(4) {
		b.WriteByte('/')
		for range 1 + r.IntN(2) {
			b.WriteByte("ab-."[r.IntN(4)])
		}
		if s := b.String(); strings.HasSuffix(s, "/.") || strings.HasSuffix(s, "/..") {
			b.WriteByte('a')
		}
	}
	if b.Len() == 0 || r.IntN(3) == 0 {
		b.WriteByte('/')
	}
	return b.String()
}

func randomHost(r *rand.Rand, name string, regex bool) model.Host {
	h := model.Host{Name: name, Regex: regex}
	seen := map[string]bool{}
	for range r.IntN(10) {
		t := []model.PathType{model.Prefix, model.Exact}[r.IntN(2)]
		id := fmt.Sprint(name, t, randomPath(r))
		path := strings.TrimPrefix(id, fmt.Sprint(name, t))
		if !seen[id] {
			seen[id] = true
			h.Routes = append(h.Routes, model.Route{ID: id, Path: path, PathType: t})
		}
	}
	return h
}

func TestMatchIsThePlainRule(t *testing.T) {
	names := []string{"", "a.x", "b.x", "*.x", "*.a.x", "x"}
	asked := []string{"", "a.x", "b.x", "c.x", "x", "y", "c.a.x", "c.b.x", "a.x.y"}
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var hosts []model.Host
		for _, n := range names {
			if n == "" || r.IntN(2) == 0 {
				hosts = append(hosts, randomHost(r, n, false))
			}
		}
		table := compile(t, hosts...)
		for range 20 {
			x := exchange.Exchange{HostName: asked[r.IntN(len(asked))], Path: randomPath(r)}
			got := table.Match(&x)
			id := got.ID
			if got.leadsTo != nil {
				id = ">" + id
			}
			if want := plainMatch(plainHost(hosts, x.HostName), x.Path); id != want {
				t.Fatalf("seed %d: %s%s is taken by %q, the plain rule says %q; rules %+v", seed, x.HostName, x.Path, id, want, plainHost(hosts, x.HostName).Routes)
			}
			explained := table.Explain(x.HostName, encode(x.Path))
			if i := slices.IndexFunc(explained, func(c Considered) bool { return c.Taken && c.Route != nil }); i < 0 || explained[i].Route != got {
				t.Fatalf("seed %d: Explain(%s, %s) does not take the route that Match takes: %+v", seed, x.HostName, x.Path, explained)
			}
		}
	}
}

func TestRegexMatchIsThePlainRule(t *testing.T) {
	// In these paths only "." is special; it stands for any one byte.
	matches := func(pattern, path string) bool {
		if len(path) < len(pattern) {
			return false
		}
		for i := range len(pattern) {
			if pattern[i] != '.' && pattern[i] != path[i] {
				return false
			}
		}
		return true
	}
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 2))
		h := randomHost(r, "h", true)
		table := compile(t, h)
		for range 20 {
			x := exchange.Exchange{HostName: "h", Path: randomPath(r)}
			upper := x
			upper.Path = strings.ToUpper(x.Path)
			want := plainRegex(&h, x.Path, matches)
			if got := table.Match(&x).ID; got != want {
				t.Fatalf("seed %d: %s is taken by %q, the plain rule says %q", seed, x.Path, got, want)
			}
			if got := table.Match(&upper).ID; got != want {
				t.Fatalf("seed %d: %s is taken by %q, and %s by %q", seed, upper.Path, got, x.Path, want)
			}
		}
	}
}
