package policy

import "github.com/pierhead/pierhead/internal/exchange"

// Closed answers every request of a route with 503: a guard of the route could not
// be built, or its policies could not. It has no annotation; a Problem says why.
type Closed struct {
	Used
	Reason string `json:"reason"`
}

// PolicyName returns "closed".
func (*Closed) PolicyName() string { return "closed" }

// Phase returns Redirect.
func (*Closed) Phase() exchange.Phase { return exchange.Redirect }

// Build makes the step.
func (p *Closed) Build(*Env) (any, error) { return p, nil }

var closedReply = exchange.Reply{Status: 503, Err: exchange.RouteClosed}

// Request refuses the request.
func (*Closed) Request(*exchange.Exchange) *exchange.Reply { return &closedReply }
