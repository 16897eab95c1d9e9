package proxy

import (
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/upstream"
)

// tell tells the pool how a try at e went, so that it may choose by it. What the client
// broke off says nothing of the endpoint.
func (t *trip) tell(e *upstream.Endpoint, try *exchange.Try) {
	if try.Err.Source() == exchange.Downstream {
		return
	}
	t.route.Pool.Tell(e, t.slot.loop.Now(), took(try), failed(try, t.x.Route.Forward.RetryOn))
}

// longestBody bounds what the body of an answer counts for: how long a stream of events
// goes on says nothing of its endpoint. It is the time in which scores forget.
const longestBody = 10 * time.Second

// took is the time that a try counts for, ingress-nginx's: to connect, and from the
// beginning of that to the end of the answer. A tunnel counts until it was agreed to.
func took(try *exchange.Try) time.Duration {
	whole := min(try.Total, try.Header+longestBody)
	if try.Status == 101 {
		whole = try.Header
	}
	return try.Connect + whole
}

// failed reports whether the endpoint is to blame: for a failure that is not of one
// request's own making, or for a status that proxy-next-upstream names. Like nginx's, 403
// and 404 are no failures.
func failed(try *exchange.Try, on exchange.RetryOn) bool {
	if try.Err == exchange.UpstreamHeadTooLarge {
		return false
	}
	const answers = exchange.Retry403 | exchange.Retry404
	return try.Err.Source() == exchange.Upstream || on&^answers&statusCondition(try.Status) != 0
}

// release tells the pool that the try is over, where it counts that.
func (t *trip) release() {
	if t.x.Upstream.Holds {
		t.x.Upstream.Holds = false
		t.route.Pool.Release(t.picked)
	}
	if t.again {
		t.again = false
		t.route.Pool.Over()
	}
}
