package proxy

import (
	"errors"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/upstream"
)

// runtime is what steps may ask of the proxy (exchange.Runtime). There is one for
// each loop; its calls may wait.
type runtime struct {
	loop   *loop.Loop
	client *upstream.Client
}

var errNoClient = errors.New("server was made without a client: steps cannot ask other servers")

// askTimeout bounds each part of a request of a step: nginx's defaults, since the
// timeouts of a route are about its upstream.
const askTimeout = 60 * time.Second

// Do asks another server. Of the route only the bound on the answer's head counts.
func (r *runtime) Do(x *exchange.Exchange, url *exchange.URL, req *message.Request, resp *message.Response) (func(), error) {
	if r.client == nil {
		return nil, errNoClient
	}
	fwd := exchange.Forward{
		ConnectTimeout: askTimeout, SendTimeout: askTimeout, ReadTimeout: askTimeout,
		HeadLimit: exchange.DefaultForward.HeadLimit,
	}
	if x.Route != nil {
		fwd.HeadLimit = x.Route.Forward.HeadLimit
	}
	return r.client.Do(r.loop, url, req, resp, &fwd)
}

// Await runs f away from the loop.
func (r *runtime) Await(f func()) { r.loop.Await(f) }

// Now is the loop's clock.
func (r *runtime) Now() time.Time { return r.loop.Now() }
