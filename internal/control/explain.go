package control

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
	"github.com/pierhead/pierhead/internal/routing"
)

// Explain tells what the controllers of a Plan do with a request. Without a name it
// tells it for those that have the host, or for all when none has.
func Explain(p *Plan, controller string, req *admin.Request) []admin.Explanation {
	tables, _ := Tables(p)
	var named, rest []admin.Explanation
	for i := range p.Config.Controllers {
		c := &p.Config.Controllers[i]
		if controller != "" && controller != c.Name {
			continue
		}
		e := explainOne(p, c, tables[c.Name], req)
		if e.Host != "" || controller != "" {
			named = append(named, e)
		} else {
			rest = append(rest, e)
		}
	}
	if len(named) == 0 {
		return rest
	}
	return named
}

func explainOne(p *Plan, c *model.Controller, t *routing.Table, req *admin.Request) admin.Explanation {
	e := admin.Explanation{Controller: c.Name, Listener: req.URL.Scheme, Considered: []admin.Considered{}, Steps: []admin.Step{}, Endpoints: []string{}}
	all := t.Explain(hostOf(req), pathOf(req))
	if len(all) == 1 {
		e.Refused = all[0].Why
		return e
	}
	e.Host, e.HostWhy = all[0].Host, all[0].Why
	for _, h := range c.Hosts {
		if e.Listener == "https" && h.Name == e.Host {
			if e.Certificate = h.Certificate; e.Certificate == "" {
				e.Certificate = "the default certificate"
			}
			if strings.EqualFold(req.URL.Hostname(), h.Name) { // the name that a client asks for
				e.Passthrough = h.Passthrough
			}
		}
	}
	for _, one := range all[1:] {
		r := one.Route
		k := admin.Considered{Path: r.Path, PathType: r.PathType.String(), From: from(r.Origin), Taken: one.Taken, Why: one.Why}
		e.Considered = append(e.Considered, k)
		if one.Taken {
			e.Route = k
			explainRoute(&e, p, r)
			o := outcome(r, req, len(e.Endpoints) > 0)
			e.Outcome = &o
		}
	}
	return e
}

// explainRoute adds what the route that takes the request does.
func explainRoute(e *admin.Explanation, p *Plan, r *routing.Route) {
	e.Closed, e.Upstream, e.Steps = r.Closed, r.Upstream, stepsOf(r)
	for i := range p.Config.Upstreams {
		up := &p.Config.Upstreams[i]
		if up.Name != r.Upstream {
			continue
		}
		e.Balance, e.Health = balanceOf(up), healthOf(up)
		if up.External != "" {
			e.Endpoints = append(e.Endpoints, fmt.Sprintf("%s:%d, resolved at run time", up.External, up.ExternalP))
		}
	}
	for _, s := range p.Endpoints {
		if s.Upstream == r.Upstream {
			for _, a := range s.Endpoints {
				e.Endpoints = append(e.Endpoints, a.String())
			}
		}
	}
}

// balanceOf tells how an endpoint is chosen, unless that is in turn.
func balanceOf(up *model.Upstream) string {
	switch {
	case up.Sticky != nil:
		return "by the cookie " + up.Sticky.Cookie
	case up.Subset > 0:
		return fmt.Sprintf("one of %d by the text of %s", up.Subset, up.HashBy)
	case up.HashBy != "":
		return "by the text of " + up.HashBy
	case up.Balance == "round_robin":
		return ""
	}
	return up.Balance
}

// stepsOf lists what a route does, in the order in which it is done.
func stepsOf(r *routing.Route) []admin.Step {
	steps := []admin.Step{}
	for _, pol := range r.Policies {
		s := admin.Step{Phase: "setting", Policy: pol.PolicyName(), From: []string{}}
		if b, ok := pol.(policy.Builder); ok {
			s.Phase = b.Phase().String()
		}
		s.Value = valueOf(pol)
		if u, ok := pol.(interface{ Written() []policy.Written }); ok {
			for _, w := range u.Written() {
				s.From = append(s.From, fmt.Sprintf("%s = %q: %s", w.Field, w.Value, from(w.Origin)))
			}
		}
		steps = append(steps, s)
	}
	if r.Upstream != "" {
		steps = append(steps, admin.Step{Phase: exchange.Available.String(), Policy: "available", Value: "503 while the upstream has no endpoint", From: []string{}})
	}
	order(steps)
	return steps
}

// order sorts steps by phase and keeps the order inside a phase.
func order(steps []admin.Step) {
	rank := map[string]int{}
	for ph := exchange.PostRead; ph <= exchange.Respond; ph++ {
		rank[ph.String()] = int(ph)
	}
	rank["setting"] = int(exchange.Respond) + 1
	for i := 1; i < len(steps); i++ {
		for j := i; j > 0 && rank[steps[j].Phase] < rank[steps[j-1].Phase]; j-- {
			steps[j], steps[j-1] = steps[j-1], steps[j]
		}
	}
}

// from tells where an object or value was written.
func from(o model.Origin) string {
	if at := o.Place(); at != "" {
		return o.String() + " at " + at
	}
	return o.String()
}

// valueOf prints a policy without where it came from.
func valueOf(pol model.Policy) string {
	b, err := json.Marshal(pol)
	if err != nil {
		return err.Error()
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(b, &m) != nil {
		return string(b)
	}
	delete(m, "from")
	delete(m, "digest") // of passwords: whoever has it may try some
	if len(m) == 0 {
		return ""
	}
	b, err = json.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(b), `","`, `", "`)
}
