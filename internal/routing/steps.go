package routing

import (
	"net/url"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/upstream"
)

// The answers of a route's own that are the same for every request.
var (
	closedReply      = &exchange.Reply{Status: exchange.RouteClosed.Status(), Err: exchange.RouteClosed}
	unavailableReply = &exchange.Reply{Status: exchange.NoEndpoint.Status(), Err: exchange.NoEndpoint}
	notFoundReply    = &exchange.Reply{Status: exchange.NoRoute.Status(), Err: exchange.NoRoute}
	healthyReply     = &exchange.Reply{Status: 200, Body: []byte{}, Type: "text/plain"}
)

// Answer is the step that gives one and the same answer to every request.
type Answer struct{ Reply *exchange.Reply }

// Request returns the answer.
func (a *Answer) Request(*exchange.Exchange) *exchange.Reply { return a.Reply }

// Available answers 503 while the route's upstream has no endpoint: before limits
// count the request and before anybody is asked for a password.
type Available struct{ Pool *upstream.Pool }

// Request answers when the pool is empty. The first request for a name that is not
// resolved yet waits for that.
func (a *Available) Request(x *exchange.Exchange) *exchange.Reply {
	if !a.Pool.Resolved() {
		x.Run.Await(a.Pool.Resolve)
	}
	if a.Pool.Empty() {
		return unavailableReply
	}
	return nil
}

// AddSlash answers a path that lacks the final slash of a Prefix rule, such as /foo
// for the rule /foo/, as nginx does: 301 with scheme of the connection, host without
// port, and the query.
type AddSlash struct{ Path string } // the rule's path, escaped

// Request returns the redirect.
func (a *AddSlash) Request(x *exchange.Exchange) *exchange.Reply {
	b := x.Bytes()
	if x.Conn.ListenerTLS || x.Conn.TLS != nil {
		b = append(b, "https://"...)
	} else {
		b = append(b, "http://"...)
	}
	if x.HostName != "" {
		b = append(b, x.HostName...)
	} else {
		b = x.Conn.Local.Addr().AppendTo(b)
	}
	b = append(b, a.Path...)
	if x.Query != "" {
		b = append(b, '?')
		b = append(b, x.Query...)
	}
	return &exchange.Reply{Status: 301, Fields: []exchange.ReplyField{{Name: "Location", Value: x.Text(b)}}}
}

// slashRedirect returns the route that answers for to when the final slash of its
// path is missing. Nothing of the chain's request half runs, all else does.
func slashRedirect(to *Route) *Route {
	r := *to
	r.Chain.Request = []exchange.Step{&AddSlash{Path: (&url.URL{Path: to.Path}).EscapedPath()}}
	r.Pool, r.leadsTo = nil, to
	return &r
}
