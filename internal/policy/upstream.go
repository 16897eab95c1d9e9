package policy

import (
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
)

var (
	connectTimeout = Seconds("proxy-connect-timeout", 5*time.Second, "Time to connect to an endpoint.", global)
	sendTimeout    = Seconds("proxy-send-timeout", time.Minute, "Longest gap between two writes to an endpoint.", global)
	readTimeout    = Seconds("proxy-read-timeout", time.Minute, "Longest gap between two reads from an endpoint.", global)
)

var _ = Register(Unit{
	Name: "timeouts", Doc: "How long an endpoint may take. No value bounds the whole answer, only its gaps.", Follows: "nginx proxy",
	Keys: []Key{connectTimeout, sendTimeout, readTimeout},
	Apply: func(d *Draft) {
		p := &Timeouts{Connect: connectTimeout.Get(d), Send: sendTimeout.Get(d), Read: readTimeout.Get(d)}
		f := exchange.DefaultForward
		if p.Connect != f.ConnectTimeout || p.Send != f.SendTimeout || p.Read != f.ReadTimeout {
			d.Use(p)
		}
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
-- forward --
ReadTimeout: 1h0m0s
ConnectTimeout: 5s
`,
})

// Timeouts bounds how long an endpoint may take.
type Timeouts struct {
	Used
	Connect time.Duration `json:"connect"`
	Send    time.Duration `json:"send"`
	Read    time.Duration `json:"read"`
}

// PolicyName returns "timeouts".
func (*Timeouts) PolicyName() string { return "timeouts" }

// Configure sets them.
func (p *Timeouts) Configure(f *exchange.Forward) {
	f.ConnectTimeout, f.SendTimeout, f.ReadTimeout = p.Connect, p.Send, p.Read
}

var (
	bodySize      = Size("proxy-body-size", 1<<20, "1m", "Largest request body; 413 above it. 0 is no limit.", global)
	requestBuffer = OnOff("proxy-request-buffering", true, "Read the whole request body before an endpoint is asked.", global)
	headSize      = Size("proxy-buffer-size", 4<<10, "4k", "Largest response head; 502 above it.", global)
)

var _ = Register(Unit{
	Name: "sizes", Doc: "How much is taken from clients and endpoints.", Follows: "nginx proxy",
	Keys: []Key{bodySize, requestBuffer, headSize},
	Apply: func(d *Draft) {
		p := &BodySize{Limit: bodySize.Get(d), Buffer: requestBuffer.Get(d), Head: int(min(headSize.Get(d), 1<<24))}
		f := exchange.DefaultForward
		if p.Limit != f.BodyLimit || p.Buffer != f.BufferRequest || p.Head != f.HeadLimit {
			d.Use(p)
		}
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/proxy-body-size: 8m
nginx.ingress.kubernetes.io/proxy-request-buffering: "off"
-- forward --
BodyLimit: 8388608
BufferRequest: false
HeadLimit: 4096
`,
})

// BodySize bounds what is taken from clients and endpoints.
type BodySize struct {
	Used
	Limit  int64 `json:"limit"`  // of a request body; 0 is none
	Buffer bool  `json:"buffer"` // request bodies are read whole first
	Head   int   `json:"head"`   // of a response head
}

// PolicyName returns "sizes".
func (*BodySize) PolicyName() string { return "sizes" }

// Configure sets them.
func (p *BodySize) Configure(f *exchange.Forward) {
	f.BodyLimit, f.BufferRequest, f.HeadLimit = p.Limit, p.Buffer, p.Head
}

var retryWords = []string{"error", "timeout", "invalid_header", "http_500", "http_502", "http_503", "http_504", "http_403", "http_404", "http_429", "non_idempotent", "off"}

var retryOn = map[string]exchange.RetryOn{
	"error": exchange.RetryError, "timeout": exchange.RetryTimeout, "invalid_header": exchange.RetryInvalidHeader,
	"http_500": exchange.Retry500, "http_502": exchange.Retry502, "http_503": exchange.Retry503, "http_504": exchange.Retry504,
	"http_403": exchange.Retry403, "http_404": exchange.Retry404, "http_429": exchange.Retry429, "non_idempotent": exchange.RetryNonIdempotent,
}

var (
	nextUpstream   = Words("proxy-next-upstream", []string{"error", "timeout"}, retryWords, "After which failures another endpoint is tried, as long as the client has seen nothing.", global)
	nextTries      = Int("proxy-next-upstream-tries", 3, 0, 1<<16, "Tries in all; 0 is no bound.", global)
	nextTimeout    = Seconds("proxy-next-upstream-timeout", 0, "Time in which a further try may start; 0 is no bound.", global)
	retryAnyMethod = Bool("retry-non-idempotent", false, "Repeat POST, LOCK and PATCH too.", only)
)

var _ = Register(Unit{
	Name: "retries",
	Doc: "When a request is sent to another endpoint. POST, LOCK and PATCH are repeated only with non_idempotent, " +
		"or when nothing of them was sent.",
	Follows: "nginx proxy_next_upstream",
	Keys:    []Key{nextUpstream, nextTries, nextTimeout, retryAnyMethod},
	Apply: func(d *Draft) {
		p := &Retries{On: nextUpstream.Get(d), Tries: nextTries.Get(d), Within: nextTimeout.Get(d), AnyMethod: retryAnyMethod.Get(d)}
		f := exchange.DefaultForward
		if p.on() != f.RetryOn || p.Tries != f.Tries || p.Within != f.TryTimeout {
			d.Use(p)
		}
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/proxy-next-upstream: error timeout http_502
nginx.ingress.kubernetes.io/proxy-next-upstream-tries: "2"
-- forward --
Tries: 2
RetryOn: 35
`,
})

// Retries says when a request is sent to another endpoint.
type Retries struct {
	Used
	On        []string      `json:"on"` // the words of proxy-next-upstream
	Tries     int           `json:"tries"`
	Within    time.Duration `json:"within,omitempty"`
	AnyMethod bool          `json:"anyMethod,omitempty"`
}

// PolicyName returns "retries".
func (*Retries) PolicyName() string { return "retries" }

func (p *Retries) on() (r exchange.RetryOn) {
	for _, w := range p.On {
		if w == "off" {
			return 0
		}
		r |= retryOn[w]
	}
	if p.AnyMethod {
		r |= exchange.RetryNonIdempotent
	}
	return r
}

// Configure sets them.
func (p *Retries) Configure(f *exchange.Forward) {
	f.RetryOn, f.Tries, f.TryTimeout = p.on(), p.Tries, p.Within
}

var vhost = Variables("upstream-vhost", "", "The Host sent to endpoints, instead of the client's.", bad(Reject))

var _ = Register(Unit{
	Name: "upstream-vhost", Doc: "Sends another Host to the endpoints. X-Forwarded-Host is the client's still.", Follows: "ingress-nginx",
	Keys: []Key{vhost},
	Apply: func(d *Draft) {
		if h := vhost.Get(d); h != "" {
			if strings.ContainsAny(h, " \t/") {
				d.Fail(vhost, "the text is not a host", "write a name such as app.internal")
				return
			}
			d.Use(&VHost{Host: h})
		}
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/upstream-vhost: $service_name.internal
-- conversation --
request: GET http://app.example.com/
upstream:
  Host: app.internal
  X-Forwarded-Host: app.example.com
`,
})

// VHost sends another Host to endpoints.
type VHost struct {
	Used
	Host string `json:"host"` // may hold variables
}

// PolicyName returns "upstream-vhost".
func (*VHost) PolicyName() string { return "upstream-vhost" }

// Phase returns Rewrite.
func (*VHost) Phase() exchange.Phase { return exchange.Rewrite }

// Build makes the step.
func (p *VHost) Build(*Env) (any, error) {
	t, err := exchange.ParseTemplate(p.Host)
	if err != nil {
		return nil, err
	}
	return &vhostStep{t}, nil
}

type vhostStep struct{ host *exchange.Template }

// Request sets the Host that is sent on.
func (s *vhostStep) Request(x *exchange.Exchange) *exchange.Reply {
	x.Out.Host = fieldText(x, s.host)
	return nil
}
