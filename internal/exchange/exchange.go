// Package exchange is one request on its way through: what is known of it, the
// phases it passes, the steps that may answer or change it, and how it can fail.
//
// Policies are written against this package. It knows no route table, no socket
// and no Kubernetes object.
package exchange

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/pierhead/pierhead/internal/message"
)

// Exchange is one request and its response.
type Exchange struct {
	In   *message.Request  // as the client sent it: read only
	Out  *message.Request  // as the upstream will get it; steps of phase Rewrite change it
	Resp *message.Response // the answer on its way to the client; response steps change it

	Conn     *Conn      // the client connection
	ClientIP netip.Addr // the client's address after PROXY protocol and trusted headers
	Scheme   string     // "http" or "https" as the client sees it (trusted headers considered)
	Host     string     // host as the client sees it, port included
	HostName string     // Host in lower case without port: what routes are matched by
	Port     string     // port as the client sees it
	Path     string     // normalized path: decoded, slashes merged, dots resolved
	Query    string     // without '?'
	Route    *Route     // nil until matched

	User      string // who basic or external authentication let in
	RequestID string
	Granted   message.Header // fields that external authentication hands to the upstream; "" removes one
	Cookies   message.Header // Set-Cookie fields of external authentication, for the client

	Upstream UpstreamInfo // how the tries went, for log and metrics
	Affinity Affinity     // what a sticky policy found and wants
	Holding  bool         // limit-connections counts this exchange until its Log
	HoldKey  [16]byte     // under which key it does

	Start    time.Time
	End      time.Time // when the answer was sent, or given up; zero before
	Received int64     // body bytes read from the client
	Status   int       // answered to the client, or 499 when it left
	Sent     int64     // bytes sent to the client, head included
	BodySent int64     // bytes of the body sent to the client
	Complete bool      // the answer was sent whole
	Run      Runtime

	own   Reply
	arena []byte
}

// Conn is what an Exchange knows of the connection it came by.
type Conn struct {
	Peer        netip.AddrPort // TCP peer
	Client      netip.AddrPort // source told by the PROXY protocol, else Peer
	ProxyPort   uint16         // destination port told by the PROXY protocol, else 0
	Local       netip.AddrPort
	ServerPort  string // port the listener stands for: 80 or 443, wherever it is bound
	TLS         *tls.ConnectionState
	Serial      uint64 // number of the connection in this process
	Requests    int64  // requests so far, this one included
	UseProxy    bool   // the listener expects the PROXY protocol
	ListenerTLS bool
	HTTP3       bool // the listener speaks HTTP/3 as well, on its UDP port
}

// Route is what the exchange needs of the route that took it.
type Route struct {
	ID        string
	Namespace string
	Ingress   string
	Service   string
	Port      string // of the service, as the rule has it
	Path      string // as the rule has it
	Host      string // as the rule has it; "" is the catch-all
	TLS       bool   // the host has a TLS entry
	Upstream  string // name of the upstream: namespace-service-port
	Forward   Forward
	NoLog     bool
}

// UpstreamInfo tells how the tries went.
type UpstreamInfo struct {
	Tries []Try // in order
	Holds bool  // the endpoint that was picked last counts this exchange (max-connections)
}

// Try is one attempt at one endpoint.
type Try struct {
	Addr    netip.AddrPort
	Status  int // 0: none came
	Connect time.Duration
	Header  time.Duration // to the response head
	Total   time.Duration
	Length  int64 // body bytes
	Reused  bool
	Err     Kind
}

// Affinity carries a session from the sticky policy to the balancer and back.
type Affinity struct {
	Key    string // cookie value of the client, or "" when it has none
	Picked string // key of the endpoint that was picked
	Fresh  bool   // Picked is not what Key asked for: the client must be told
}

// Runtime is what the proxy offers to steps. Its calls may wait.
type Runtime interface {
	// Do asks another server and fills resp, whose body the caller reads and then
	// closes with done. It reads like a blocking call.
	Do(x *Exchange, url *URL, req *message.Request, resp *message.Response) (done func(), err error)
	// Await runs f, which may block or burn CPU, away from the event loop.
	Await(f func())
	// Now is the loop's clock: read once per turn.
	Now() time.Time
}

// Step is a policy ready to run on requests. A Reply ends the request half; nil
// goes on.
type Step interface{ Request(*Exchange) *Reply }

// ResponseStep changes the head of the answer, also of a Reply of our own. Steps
// run in the reverse order of the chain.
type ResponseStep interface{ Response(*Exchange) }

// LogStep runs when the exchange is over, whatever came of it.
type LogStep interface{ Log(*Exchange) }

// Chain is the flat list of what a route does, split by what its steps can.
type Chain struct {
	Request  []Step
	Response []ResponseStep
	Log      []LogStep
}

// Append adds a step, which has at least one of the three abilities.
func (c *Chain) Append(step any) {
	if s, ok := step.(Step); ok {
		c.Request = append(c.Request, s)
	}
	if s, ok := step.(ResponseStep); ok {
		c.Response = append(c.Response, s)
	}
	if s, ok := step.(LogStep); ok {
		c.Log = append(c.Log, s)
	}
}

// Reset makes x ready for the next request and keeps its memory.
func (x *Exchange) Reset() {
	tries, arena, in, out, resp := x.Upstream.Tries[:0], x.arena[:0], x.In, x.Out, x.Resp
	granted, cookies, fields := x.Granted, x.Cookies, x.own.Fields
	granted.Reset()
	cookies.Reset()
	clear(fields)
	*x = Exchange{In: in, Out: out, Resp: resp, Granted: granted, Cookies: cookies, arena: arena}
	x.Upstream.Tries = tries
	x.own.Fields = fields[:0]
	if out != nil {
		out.Reset()
	}
	if resp != nil {
		resp.Reset()
	}
}

// Bytes begins a text made for this exchange: append to what it returns and give
// the result to Text. Only one text is made at a time, and none across a wait.
func (x *Exchange) Bytes() []byte {
	if cap(x.arena)-len(x.arena) < 256 {
		x.arena = make([]byte, 0, max(1024, 2*cap(x.arena)))
	}
	return x.arena[len(x.arena):]
}

// Text ends a text begun with Bytes: a string that is valid until the exchange
// ends, made without allocation.
func (x *Exchange) Text(b []byte) string {
	if n := len(x.arena) + len(b); n <= cap(x.arena) && len(b) > 0 && &x.arena[:n][len(x.arena)] == &b[0] {
		x.arena = x.arena[:n]
	}
	return message.String(b)
}
