package policy

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

// order is the order in which policies run: the one list of it. Phases ascend;
// inside a phase the order is nginx's. Response halves run from the end of the list
// to its beginning. Policies without a step stand at the end.
var order = []model.Policy{
	// PostRead
	&Client{}, // whose address and which scheme the rest is about

	// Preflight
	&Block{},   // belongs to the host: before anything of the path
	&AppRoot{}, // belongs to the host: before anything of the path
	&CORS{},
	// Redirect
	&Redirect{},    // permanent and temporal
	&Closed{},      // a closed route answers nothing but redirects that show nothing
	&SSLRedirect{}, // before limits: a redirected request is not counted
	// Available: the step of Env
	// PreAccess
	&LimitRequests{}, // counts requests that fail to log in: it slows down guessing
	&LimitConnections{},
	// Access
	&BlockCIDRs{},
	&SourceRange{}, // cheaper than asking for a password
	&BasicAuth{},
	&ExternalAuth{}, // after the passwords: another server is asked for each request
	// Rewrite
	&Forwarded{},         // first, so that what follows may replace its fields
	&DropAuthorization{}, // our passwords are not the upstream's
	&GrantedHeaders{},
	&Rewrite{},
	&VHost{},
	&Sticky{},
	// Respond
	&AuthCookies{},
	&HSTS{},
	// without a step
	&Satisfy{}, &Server{},
	&Timeouts{}, &BodySize{}, &Retries{}, &AccessLog{},
}

var ranks = func() map[reflect.Type]int {
	m := map[reflect.Type]int{}
	for i, p := range order {
		m[reflect.TypeOf(p)] = i
	}
	return m
}()

// rank returns a policy's place in the order; one that is not in it comes last.
func rank(p model.Policy) int {
	if i, ok := ranks[reflect.TypeOf(p)]; ok {
		return i
	}
	return len(order)
}

// Sort puts policies in the order in which their steps run.
func Sort(ps []model.Policy) {
	slices.SortStableFunc(ps, func(a, b model.Policy) int { return rank(a) - rank(b) })
}

// Steps makes the steps of a route from its policies, and how its requests are sent
// on. An error is a policy that cannot be built: the route must be closed.
func Steps(ps []model.Policy, env *Env) (exchange.Chain, exchange.Forward, error) {
	ps = slices.Clone(ps)
	Sort(ps)
	var chain exchange.Chain
	forward := exchange.DefaultForward
	parts := make([]placed, 0, len(ps)+1)
	for _, p := range ps {
		if _, ok := ranks[reflect.TypeOf(p)]; !ok {
			return chain, forward, fmt.Errorf("policy %q has no place in the order", p.PolicyName())
		}
		if c, ok := p.(Configurer); ok {
			c.Configure(&forward)
		}
		b, ok := p.(Builder)
		if !ok {
			continue
		}
		step, err := b.Build(env)
		if err != nil {
			return exchange.Chain{}, forward, fmt.Errorf("%s: %w", p.PolicyName(), err)
		}
		if step != nil {
			parts = append(parts, placed{b.Phase(), step})
		}
	}
	if env.Available != nil {
		parts = append(parts, placed{exchange.Available, env.Available})
		slices.SortStableFunc(parts, func(a, b placed) int { return int(a.phase) - int(b.phase) })
	}
	if satisfiesAny(ps) {
		parts = anyOf(parts)
	}
	for _, p := range parts {
		chain.Append(p.step)
	}
	return chain, forward, nil
}

// placed is a step and its phase.
type placed struct {
	phase exchange.Phase
	step  any
}
