package exchange

import "time"

// Forward is how a route's requests are sent on. Policies fill it when a table is
// compiled (policy.Configurer); the proxy reads it.
type Forward struct {
	ConnectTimeout time.Duration // to connect to an endpoint
	SendTimeout    time.Duration // between two writes to it
	ReadTimeout    time.Duration // between two reads from it
	BodyLimit      int64         // of the request; 0 is none
	BufferRequest  bool          // read the whole body before an endpoint is asked
	HeadLimit      int           // bytes of a response head
	Tries          int           // attempts in all; 0 is no bound
	TryTimeout     time.Duration // in which a further attempt may start; 0 is no bound
	RetryOn        RetryOn
	VHost          string // Host sent on, when not the client's
	HideServer     bool   // the upstream's Server field is not passed on
}

// RetryOn says after which failures another attempt is made (proxy-next-upstream).
type RetryOn uint16

// The conditions of proxy-next-upstream.
const (
	RetryError RetryOn = 1 << iota
	RetryTimeout
	RetryInvalidHeader
	RetryNonIdempotent
	Retry500
	Retry502
	Retry503
	Retry504
	Retry403
	Retry404
	Retry429
)

// DefaultForward is nginx's behaviour under ingress-nginx's defaults.
var DefaultForward = Forward{
	ConnectTimeout: 5 * time.Second,
	SendTimeout:    60 * time.Second,
	ReadTimeout:    60 * time.Second,
	BodyLimit:      1 << 20,
	BufferRequest:  true,
	HeadLimit:      4 << 10,
	Tries:          3,
	RetryOn:        RetryError | RetryTimeout,
	HideServer:     true,
}
