package exchange

import "fmt"

// Source says on whose side a failure lies.
type Source uint8

// The three sides.
const (
	Internal Source = iota
	Downstream
	Upstream
)

// String returns the side's name.
func (s Source) String() string { return [...]string{"internal", "downstream", "upstream"}[s] }

// Kind says what failed. Status, log level, metric label and retry follow from it:
// the table below is the only place that decides them, and docs/errors.md is made
// from it.
type Kind uint8

// The kinds of failure.
const (
	OK Kind = iota
	BadRequest
	HeadTooLarge
	URITooLong
	BodyTooLarge
	ClientTimeout
	ClientGone
	NoRoute
	NoEndpoint
	UpstreamFull
	RouteClosed
	ConnectFailed
	ConnectTimeout
	UpstreamClosed
	UpstreamTimeout
	UpstreamInvalid
	UpstreamHeadTooLarge
	UpstreamReset
	AuthUnavailable
	Overloaded
	Storage
	BadField
	Panic
	numKinds
)

// Retry says whether another attempt is safe.
type Retry uint8

// The answers.
const (
	RetryNo Retry = iota
	// RetryYes: nothing of the request reached an endpoint.
	RetryYes
	// RetryIdempotent: something was sent; only requests that may be repeated.
	RetryIdempotent
)

type kindInfo struct {
	name   string
	source Source
	status int // answered to the client when no head was sent yet; 0: nothing can be answered
	retry  Retry
	cond   RetryOn // which condition of proxy-next-upstream covers it
	doc    string
}

var kinds = [numKinds]kindInfo{
	OK:                   {"ok", Internal, 200, RetryNo, 0, "No failure."},
	BadRequest:           {"bad-request", Downstream, 400, RetryNo, 0, "The request is not valid HTTP (RFC 9112, RFC 9113)."},
	HeadTooLarge:         {"head-too-large", Downstream, 400, RetryNo, 0, "A field, or all of the head, is larger than `large-client-header-buffers` allows."},
	URITooLong:           {"uri-too-long", Downstream, 414, RetryNo, 0, "The request line is longer than `large-client-header-buffers` allows."},
	BodyTooLarge:         {"body-too-large", Downstream, 413, RetryNo, 0, "The body is larger than `proxy-body-size`."},
	ClientTimeout:        {"client-timeout", Downstream, 408, RetryNo, 0, "The client did not send in time (`client-header-timeout`, `client-body-timeout`, `client-body-min-rate`)."},
	ClientGone:           {"client-gone", Downstream, 499, RetryNo, 0, "The client closed the connection; 499 is only logged."},
	NoRoute:              {"no-route", Internal, 404, RetryNo, 0, "No rule matches and there is no default backend."},
	NoEndpoint:           {"no-endpoint", Upstream, 503, RetryNo, 0, "The service has no ready endpoint."},
	UpstreamFull:         {"upstream-full", Internal, 503, RetryNo, 0, "Every endpoint of the service is at `max-connections`, and `max-pending` requests wait already, or this one has waited in vain."},
	RouteClosed:          {"route-closed", Internal, 503, RetryNo, 0, "A guard of the route could not be built; the object's Problem says why."},
	ConnectFailed:        {"connect-failed", Upstream, 502, RetryYes, RetryError, "An endpoint refused the connection."},
	ConnectTimeout:       {"connect-timeout", Upstream, 504, RetryYes, RetryTimeout, "No connection within `proxy-connect-timeout`."},
	UpstreamClosed:       {"upstream-closed", Upstream, 502, RetryIdempotent, RetryError, "The endpoint closed before a whole response head."},
	UpstreamTimeout:      {"upstream-timeout", Upstream, 504, RetryIdempotent, RetryTimeout, "Nothing read or written within `proxy-read-timeout` or `proxy-send-timeout`."},
	UpstreamInvalid:      {"upstream-invalid", Upstream, 502, RetryIdempotent, RetryInvalidHeader, "The response head is not valid HTTP."},
	UpstreamHeadTooLarge: {"upstream-head-too-large", Upstream, 502, RetryNo, 0, "The response head is larger than `proxy-buffer-size`."},
	UpstreamReset:        {"upstream-reset", Upstream, 502, RetryNo, 0, "The endpoint broke off inside the response body; the client sees a broken answer."},
	AuthUnavailable:      {"auth-unavailable", Upstream, 500, RetryNo, 0, "The service of `auth-url` answered with neither 2xx, 401 nor 403, or not at all."},
	Overloaded:           {"overloaded", Internal, 503, RetryNo, 0, "This process is at one of its own limits."},
	Storage:              {"storage", Internal, 500, RetryNo, 0, "The temporary file for a request body could not be written or read."},
	BadField:             {"bad-field", Internal, 500, RetryNo, 0, "A policy made a field that is not valid in HTTP; it was not sent."},
	Panic:                {"panic", Internal, 500, RetryNo, 0, "A bug of ours; the stack is logged."},
}

// String returns the name of the kind, which is also its metric label.
func (k Kind) String() string { return kinds[k].name }

// Source returns whose side the failure lies on.
func (k Kind) Source() Source { return kinds[k].source }

// Status returns the status that answers it.
func (k Kind) Status() int { return kinds[k].status }

// Retry returns whether another attempt is safe.
func (k Kind) Retry() Retry { return kinds[k].retry }

// RetryOn returns the condition of proxy-next-upstream that covers it.
func (k Kind) RetryOn() RetryOn { return kinds[k].cond }

// Doc returns the sentence that docs/errors.md prints.
func (k Kind) Doc() string { return kinds[k].doc }

// Kinds lists all kinds of failure.
func Kinds() []Kind {
	var ks []Kind
	for k := OK + 1; k < numKinds; k++ {
		ks = append(ks, k)
	}
	return ks
}

// Error is a failure of one exchange.
type Error struct {
	Kind Kind
	Err  error // what was seen, or nil
}

// Error names the side, the kind and what was seen.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s", e.Kind.Source(), e.Kind)
	}
	return fmt.Sprintf("%s: %s: %v", e.Kind.Source(), e.Kind, e.Err)
}

// Unwrap returns what was seen.
func (e *Error) Unwrap() error { return e.Err }
