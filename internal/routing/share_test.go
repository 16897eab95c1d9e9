package routing

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
	"github.com/pierhead/pierhead/internal/upstream"
)

// explained prints all that a table does with some requests.
func explained(t *Table) (text string) {
	for r := range t.Routes() {
		text += fmt.Sprintln(r.ID, r.Path, r.Upstream, r.Closed, len(r.Chain.Request), len(r.Chain.Response), r.Pool != nil, r.TLS)
	}
	for _, host := range []string{"a.x", "b.x", "c.x", "alias.x", "other.x", "d.y", ""} {
		for _, path := range []string{"/", "/a", "/a/b", "/healthz"} {
			for _, e := range t.Explain(host, path) {
				text += fmt.Sprintln(host, path, e.Host, e.Why, e.Taken)
			}
		}
	}
	return text
}

// TestShared: after any sequence of changes a table that shares hosts with the one
// before is what a fresh one is, with the same problems, and hosts that did not change
// are the very same.
func TestShared(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		pools := upstream.NewSet(nil)
		state := exchange.NewState()
		make := func(name string) model.Host {
			h := model.Host{Name: name, TLS: r.IntN(3) == 0}
			for n := range r.IntN(4) {
				path := []string{"/", "/a", "/a/b", "/(", "/a"}[r.IntN(5)]
				rt := model.Route{ID: fmt.Sprint(name, "|", n, path), Path: path, PathType: model.PathType(r.IntN(3)), Upstream: []string{"", "one", "two", "none"}[r.IntN(4)]}
				if r.IntN(2) == 0 {
					rt.Policies = append(rt.Policies, &policy.Closed{Reason: "closed"})
				}
				h.Routes = append(h.Routes, rt)
			}
			if r.IntN(2) == 0 {
				h.Aliases = []string{[]string{"alias.x", "other.x", "a.x", "*.y"}[r.IntN(4)]}
			}
			return h
		}
		hosts := map[string]model.Host{}
		var last *Table
		protocols := []string{"HTTP", "HTTP"}
		for step := range 60 {
			name := []string{"", "a.x", "b.x", "c.x", "*.x"}[r.IntN(5)]
			if hosts[name] = make(name); r.IntN(4) == 0 {
				delete(hosts, name)
			}
			if h, ok := hosts["a.x"]; ok && r.IntN(4) == 0 {
				h.TLS = !h.TLS // the routes are the same list
				hosts["a.x"] = h
			}
			if r.IntN(5) == 0 {
				protocols[r.IntN(2)] = []string{"HTTP", "HTTPS"}[r.IntN(2)]
			}
			pools.Apply([]model.Upstream{{Name: "one", Protocol: protocols[0]}, {Name: "two", Protocol: protocols[1]}}, upstream.DefaultKeepAlive)
			c := &model.Controller{Name: "c"}
			for _, h := range hosts {
				c.Hosts = append(c.Hosts, &h)
			}
			slices.SortFunc(c.Hosts, func(a, b *model.Host) int { return compareNames(a.Name, b.Name) })
			got, gotProblems := Compile(c, Env{Pools: pools.Pool, State: state, Last: last, PoolsVersion: pools.Version()})
			want, wantProblems := Compile(c, Env{Pools: pools.Pool, State: exchange.NewState()})
			if a, b := explained(got), explained(want); a != b {
				t.Fatalf("seed %d, step %d: shared\n%s\nfresh\n%s", seed, step, a, b)
			}
			if !slices.Equal(gotProblems, wantProblems) {
				t.Fatalf("seed %d, step %d: problems %v, want %v", seed, step, gotProblems, wantProblems)
			}
			for route := range got.Routes() {
				if route.Pool != nil && route.Pool != pools.Pool(route.Upstream) {
					t.Fatalf("seed %d, step %d: route %s has a pool that is gone", seed, step, route.ID)
				}
			}
			checkGone(t, last, got)
			last = got
		}
	}
}

func compareNames(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// checkGone compares Gone with the plain rule.
func checkGone(t *testing.T, before, now *Table) {
	t.Helper()
	if before == nil {
		return
	}
	there, want, got := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for r := range now.Routes() {
		there[r.ID] = true
	}
	for r := range before.Routes() {
		if !there[r.ID] {
			want[r.ID] = true
		}
	}
	now.Gone(before, func(r *Route) { got[r.ID] = true })
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("gone: %v, want %v", got, want)
	}
}

// TestSharedHostIsTheSame: one host of two changes; the other is not compiled again,
// and what it keeps in the State stays there.
func TestSharedHostIsTheSame(t *testing.T) {
	host := func(name string) model.Host {
		return model.Host{Name: name, Routes: []model.Route{{ID: name, Path: "/(a|b)", PathType: model.Regex}}}
	}
	a, b := host("a.x"), host("b.x")
	state := exchange.NewState()
	first, _ := Compile(&model.Controller{Hosts: pointers(a, b)}, Env{State: state})
	last := first
	for range 5 {
		state.Sweep()
		b = host("b.x")
		b.Routes[0].Path = "/(c|d)"
		last, _ = Compile(&model.Controller{Hosts: pointers(a, b)}, Env{State: state, Last: last})
	}
	at := func(t *Table, name string) any { h, _ := t.host(name); return h }
	if at(last, "a.x") != at(first, "a.x") || at(last, "b.x") == at(first, "b.x") {
		t.Error("the host that did not change is not shared, or the other one is")
	}
	made := false
	exchange.Keep(state, "routing/regex /(a|b)", func() compiledRegex { made = true; return compiledRegex{} })
	if made {
		t.Error("what the shared host was built with is dropped from the State")
	}
}
