package proxy

import (
	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/upstream"
)

// tell tells the pool how a try at e went, so that it may choose by it. What the client
// broke off says nothing of the endpoint.
func (t *trip) tell(e *upstream.Endpoint, try *exchange.Try) {
	if try.Err.Source() == exchange.Downstream {
		return
	}
	took := try.Header
	if took == 0 { // there was no connection
		took = try.Total
	}
	t.route.Pool.Tell(e, t.slot.loop.Now(), took, failed(try, t.x.Route.Forward.RetryOn))
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
