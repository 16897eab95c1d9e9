package routing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
	"github.com/pierhead/pierhead/internal/upstream"
)

// Env is what Compile takes from outside the configuration.
type Env struct {
	// Pools returns the pool of an upstream by name, or nil.
	Pools func(name string) *upstream.Pool
	// State is what outlives tables.
	State *exchange.State
	// Steps makes the chain of a route; nil is policy.Steps.
	Steps func([]model.Policy, *policy.Env) (exchange.Chain, exchange.Forward, error)

	// Last is a table that was compiled with the same Pools, State and Steps, of which
	// everything that has not changed is shared; nil is none.
	Last *Table
	// PoolsVersion differs when Pools may return another pool for a name.
	PoolsVersion uint64
}

// HealthPath is answered with 200 and without a log line on the catch-all host, unless
// a rule of the catch-all names it.
const HealthPath = "/healthz"

// Compile makes the table of one controller. A route that cannot be built as it is
// written answers 503, with a Problem that says why; it never is more open than it was
// meant to be, and it never stops another one.
func Compile(c *model.Controller, env Env) (*Table, []model.Problem) {
	if env.Steps == nil {
		env.Steps = policy.Steps
	}
	k := &compiler{env: env, t: &Table{
		Controller:   c.Name,
		Settings:     c.Settings,
		poolsVersion: env.PoolsVersion,
	}}
	if env.Last != nil {
		k.last = lastHosts{env.Last.hosts, env.Last.from, env.Last.odd, env.PoolsVersion == env.Last.poolsVersion}
	}
	hosts := k.name(c.Hosts)
	k.t.hosts, k.t.from = make([]*host, 0, len(hosts)+1), hosts
	for _, m := range hosts {
		k.host(m)
	}
	if k.t.names.catchAll >= 0 {
		k.t.catchAll = k.t.hosts[k.t.names.catchAll]
	} else {
		m := &model.Host{Origin: c.Origin}
		k.t.from = append(slices.Clip(hosts), m)
		k.t.catchAll = k.host(m)
	}
	return k.t, k.problems
}

type compiler struct {
	env      Env
	t        *Table
	problems []model.Problem

	last lastHosts
}

func (k *compiler) problem(o model.Origin, field, value, reason, remedy string) {
	k.problems = append(k.problems, model.Problem{Origin: o, Field: field, Value: value,
		Reason: reason, Remedy: remedy, Severity: model.Error})
}

// host adds one host.
func (k *compiler) host(m *model.Host) *host {
	h, odd := k.shared(m)
	if h == nil {
		h = k.build(m)
		k.problems = append(k.problems, h.problems...)
		odd = len(h.problems)+len(h.kept) > 0
	}
	k.t.hosts = append(k.t.hosts, h)
	if odd {
		k.t.odd = append(k.t.odd, h)
	}
	return h
}

// build compiles one host.
func (k *compiler) build(m *model.Host) *host {
	h := &host{name: strings.ToLower(m.Name), from: m}
	before := k.problems
	k.problems = nil
	compile := func() { k.routes(h, m) }
	if k.env.State != nil {
		h.kept = k.env.State.Record(compile)
	} else {
		compile()
	}
	h.problems, k.problems = k.problems, before
	return h
}

// routes compiles the routes of a host.
func (k *compiler) routes(h *host, m *model.Host) {
	regex := m.Regex || slices.ContainsFunc(m.Routes, func(r model.Route) bool { return r.PathType == model.Regex })
	ps := &patterns{}
	for i := range m.Routes {
		r, p := k.route(m, &m.Routes[i], regex)
		h.routes = append(h.routes, r)
		ps.list = append(ps.list, p)
	}
	if regex {
		ps.sort()
		h.patterns = ps
	} else {
		h.paths = k.paths(h)
	}
	h.none = answerRoute(m, "", notFoundReply)
	if h.name == "" && !slices.ContainsFunc(h.routes, func(r *Route) bool { return r.Path == HealthPath }) {
		h.health = answerRoute(m, HealthPath, healthyReply)
		h.health.NoLog = true
	}
}

// paths arranges the routes of a host without regular expressions.
func (k *compiler) paths(h *host) *paths {
	ps, losers := newPaths(h.routes)
	for _, r := range losers {
		k.problem(r.Origin, "path", r.Path,
			fmt.Sprintf("another rule of host %q has the same path and path type; that one is served", h.name), "remove one of the rules")
	}
	return ps
}

// answerRoute returns a route of the controller itself.
func answerRoute(m *model.Host, path string, reply *exchange.Reply) *Route {
	r := &Route{Implicit: true, Origin: m.Origin}
	r.Route = exchange.Route{Host: m.Name, Path: path, TLS: m.TLS, Forward: exchange.DefaultForward}
	r.Chain.Append(&Answer{reply})
	return r
}

// route compiles one route; its pattern counts when the host's paths are regular
// expressions.
func (k *compiler) route(h *model.Host, m *model.Route, regex bool) (*Route, pattern) {
	r := &Route{
		Route: exchange.Route{
			ID: m.ID, Namespace: m.Namespace, Ingress: m.Ingress, Service: m.Service, Port: m.Port,
			Path: cmp.Or(m.Path, "/"), Host: h.Name, TLS: h.TLS, Upstream: m.Upstream,
		},
		PathType: m.PathType, Policies: m.Policies, Implicit: m.Implicit, Closed: m.Closed, Origin: m.Origin,
	}
	p := pattern{route: r}
	if regex {
		var err error
		if p, err = newPattern(r, k.env.State); err != nil {
			k.closed(r, "spec.rules[].http.paths[].path", r.Path, fmt.Sprintf("path is not a regular expression of RE2: %v", err),
				"write it without look-around and back-references, which RE2 does not have")
		}
	}
	if m.Upstream != "" {
		if r.Pool = k.pool(m.Upstream); r.Pool == nil {
			k.closed(r, "upstream", m.Upstream, "the upstream is not part of the configuration", "")
		}
	}
	k.chain(r)
	return r, p
}

func (k *compiler) pool(name string) *upstream.Pool {
	if k.env.Pools == nil {
		return nil
	}
	return k.env.Pools(name)
}

// chain builds the steps of a route. A policy that cannot be built closes the route;
// the others are built all the same, since what they do to answers still counts.
func (k *compiler) chain(r *Route) {
	env := &policy.Env{Route: &r.Route, State: k.env.State}
	if r.Pool != nil {
		env.Available = &Available{r.Pool}
	}
	chain, forward, err := k.env.Steps(k.withClosed(r, r.Policies), env)
	if err != nil {
		good := slices.DeleteFunc(slices.Clone(r.Policies), func(p model.Policy) bool {
			_, _, err := k.env.Steps([]model.Policy{p}, env)
			if err != nil {
				k.closed(r, p.PolicyName(), "", err.Error(), "")
			}
			return err != nil
		})
		if r.Closed == "" { // each can be built, all together cannot
			k.closed(r, "policies", "", err.Error(), "")
		}
		if chain, forward, err = k.env.Steps(k.withClosed(r, good), env); err != nil {
			chain, forward = exchange.Chain{}, exchange.DefaultForward
			chain.Append(&Answer{closedReply})
		}
	}
	r.Chain, r.Forward = chain, forward
	if r.Upstream == "" {
		r.Chain.Append(&Answer{notFoundReply})
	}
}

// withClosed adds the policy that answers 503 when the route is closed and has none.
func (k *compiler) withClosed(r *Route, ps []model.Policy) []model.Policy {
	if r.Closed == "" || slices.ContainsFunc(ps, func(p model.Policy) bool { _, ok := p.(*policy.Closed); return ok }) {
		return ps
	}
	return append(slices.Clone(ps), &policy.Closed{Reason: r.Closed})
}

// closed makes a route answer 503 and says why.
func (k *compiler) closed(r *Route, field, value, reason, remedy string) {
	if r.Closed == "" {
		r.Closed = reason
	}
	k.problem(r.Origin, field, value, fmt.Sprintf("%s; path %q of host %q answers 503", reason, r.Path, r.Host), remedy)
}
