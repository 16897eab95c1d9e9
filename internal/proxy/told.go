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
	t.route.Pool.Tell(e, t.slot.loop.Now(), took, try.Err.Source() == exchange.Upstream)
}
