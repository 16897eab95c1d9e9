package proxy

import (
	"errors"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/upstream"
	"github.com/pierhead/pierhead/internal/wire/http1"
	"github.com/pierhead/pierhead/internal/wire/http2"
)

// maxTries bounds the tries of routes that have no bound of their own, so that an
// upstream that refuses at once cannot keep a request turning for ever.
const maxTries = 32

// retries decides whether a request is sent again (proxy-next-upstream).
type retries struct {
	t     *trip
	f     *exchange.Forward
	start time.Time
	count int                // connections asked for
	again bool               // the pool counts the next try as a further one
	stale int                // of them, kept ones that were dead
	dead  *upstream.Endpoint // whose kept connection was dead: it is asked once more, on a fresh one
}

// another reports whether a failed try may be followed by another one.
func (r *retries) another(o outcome) bool {
	if o.kind == exchange.NoEndpoint || o.kind == exchange.UpstreamFull || !r.repeatable() {
		return false
	}
	if o.stale && r.safe() {
		r.stale++ // costs none of the tries: the endpoint did not see it
		return true
	}
	r.dead = nil
	if r.f.RetryOn&o.kind.RetryOn() == 0 {
		return false
	}
	switch o.kind.Retry() {
	case exchange.RetryYes:
		return r.left()
	case exchange.RetryIdempotent:
		return r.safe() && r.left()
	}
	return false
}

// byStatus reports whether the endpoint's answer is put aside for another try.
func (r *retries) byStatus(status int) bool {
	return r.f.RetryOn&statusCondition(status) != 0 && r.repeatable() && r.safe() && r.left()
}

// repeatable reports whether the request can be sent again from its first byte.
func (r *retries) repeatable() bool { return !r.t.headSent && !r.t.streamed }

// safe reports whether sending it again does no harm: nothing of it reached the
// endpoint, or doing it twice is as doing it once.
func (r *retries) safe() bool {
	if !r.t.sent || r.f.RetryOn&exchange.RetryNonIdempotent != 0 {
		return true
	}
	switch r.t.x.In.Method {
	case "POST", "LOCK", "PATCH":
		return false
	}
	return true
}

// left reports whether the number and the time of tries, and the pool's budget, allow one
// more, which then counts.
func (r *retries) left() bool {
	limit := r.f.Tries
	if limit <= 0 {
		limit = maxTries
	}
	if r.count-r.stale >= limit {
		return false
	}
	if r.f.TryTimeout > 0 && r.t.slot.loop.Now().Sub(r.start) >= r.f.TryTimeout {
		return false
	}
	var allowed bool
	allowed, r.again = r.t.route.Pool.Again()
	return allowed
}

// statusCondition is the condition of proxy-next-upstream that names a status.
func statusCondition(status int) exchange.RetryOn {
	switch status {
	case 403:
		return exchange.Retry403
	case 404:
		return exchange.Retry404
	case 429:
		return exchange.Retry429
	case 500:
		return exchange.Retry500
	case 502:
		return exchange.Retry502
	case 503:
		return exchange.Retry503
	case 504:
		return exchange.Retry504
	}
	return 0
}

// connectKind names the failure of a connection attempt.
func connectKind(err error) exchange.Kind {
	if errors.Is(err, loop.ErrTimeout) {
		return exchange.ConnectTimeout
	}
	return exchange.ConnectFailed
}

// upstreamKind names a failure between connecting and the response head.
func upstreamKind(err error) exchange.Kind {
	var held *holdError
	var client *clientError
	switch {
	case errors.As(err, &client):
		return exchange.ClientGone
	case errors.As(err, &held):
		return exchange.Storage
	case errors.Is(err, loop.ErrTimeout):
		return exchange.UpstreamTimeout
	case errors.Is(err, http1.ErrHeadTooLarge), errors.Is(err, http2.ErrHeadTooLarge):
		return exchange.UpstreamHeadTooLarge
	case errors.Is(err, http1.ErrInvalid), errors.Is(err, http2.ErrInvalid), errors.Is(err, errUnasked), errors.Is(err, errInterim):
		return exchange.UpstreamInvalid
	}
	return exchange.UpstreamClosed
}

// bodyKind names a failure to read the request body.
func bodyKind(err error) exchange.Kind {
	var held *holdError
	switch {
	case errors.Is(err, errBodyTooLarge):
		return exchange.BodyTooLarge
	case errors.As(err, &held):
		return exchange.Storage
	case errors.Is(err, loop.ErrTimeout):
		return exchange.ClientTimeout
	case errors.Is(err, http1.ErrInvalid), errors.Is(err, http2.ErrInvalid):
		return exchange.BadRequest
	}
	return exchange.ClientGone
}

// clientError is a failure to send to the client.
type clientError struct{ err error }

func (e *clientError) Error() string { return "client: " + e.err.Error() }
func (e *clientError) Unwrap() error { return e.err }
