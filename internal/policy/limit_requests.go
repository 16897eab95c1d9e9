package policy

import (
	"net/netip"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/limit"
)

var (
	limitRPS    = Int("limit-rps", 0, 0, 1<<20, "Requests per second from one client; 0 is no limit.", bad(Reject))
	limitRPM    = Int("limit-rpm", 0, 0, 1<<24, "Requests per minute from one client; 0 is no limit.", bad(Reject))
	limitBurst  = Int("limit-burst-multiplier", 5, 1, 1<<10, "How many more may come at once: so many times the limit.")
	limitExcept = CIDRs("limit-allowlist", "Clients that are neither counted nor limited.", also("limit-whitelist"), bad(Reject))
	limitStatus = Codes("limit-req-status-code", 503, 400, 599, "The status of requests over limit-rps or limit-rpm.", only)
	limitKey    = Variables("limit-conn-zone-variable", "$binary_remote_addr", "What is counted together, for all limits; a request for which it is empty is not limited.", only)
)

var _ = Register(Unit{
	Name: "limit-requests",
	Doc: "Bounds how fast one client may ask, over all paths of the Ingress and in each replica: a leaky bucket. " +
		"From rest, the burst and one more pass at once; then as many as the limit. The others are answered 503. " +
		"With both limits, both must allow.",
	Follows: "nginx limit_req (nodelay)",
	Keys:    []Key{limitRPS, limitRPM, limitBurst, limitExcept, limitStatus, limitKey},
	Apply: func(d *Draft) {
		p := &LimitRequests{PerSecond: limitRPS.Get(d), PerMinute: limitRPM.Get(d)}
		if p.PerSecond == 0 && p.PerMinute == 0 {
			return
		}
		p.Multiplier, p.Except = limitBurst.Get(d), limitExcept.Get(d)
		p.Status, p.Key = limitStatus.Get(d), limitKey.Get(d)
		d.Use(p)
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/limit-rps: "5"
nginx.ingress.kubernetes.io/limit-allowlist: 10.0.0.0/8
-- conversation --
request: GET http://app.example.com/ from 192.0.2.7 x26
upstream:
request: GET http://app.example.com/ from 192.0.2.7
reply: 503
request: GET http://app.example.com/ from 192.0.2.8
upstream:
request: GET http://app.example.com/ from 10.1.2.3 x60
upstream:
`,
})

// LimitRequests bounds requests per time for each client.
type LimitRequests struct {
	Used
	PerSecond  int            `json:"perSecond,omitempty"`
	PerMinute  int            `json:"perMinute,omitempty"`
	Multiplier int            `json:"multiplier"`
	Except     []netip.Prefix `json:"except,omitempty"`
	Status     int            `json:"status"`
	Key        string         `json:"key"`
}

// PolicyName returns "limit-requests".
func (*LimitRequests) PolicyName() string { return "limit-requests" }

// Phase returns PreAccess.
func (*LimitRequests) Phase() exchange.Phase { return exchange.PreAccess }

// maxLimitKeys is how many clients are remembered for one Ingress: about what
// nginx's 5 MB hold.
const maxLimitKeys = 1 << 16

// Build makes the step. Its counters are those of the Ingress and outlive tables.
func (p *LimitRequests) Build(env *Env) (any, error) {
	by, err := newCountedBy(p.Key, p.Except)
	if err != nil {
		return nil, err
	}
	s := &limitRequestsStep{by: by, refused: exchange.Reply{Status: p.Status}}
	if p.PerSecond > 0 {
		s.rates = append(s.rates, limit.Rate{Requests: p.PerSecond, Per: time.Second, Burst: p.PerSecond * p.Multiplier})
	}
	if p.PerMinute > 0 {
		s.rates = append(s.rates, limit.Rate{Requests: p.PerMinute, Per: time.Minute, Burst: p.PerMinute * p.Multiplier})
	}
	s.counters = exchange.Keep(env.State, "limit-requests:"+env.ingress(), func() *limit.Requests { return limit.NewRequests(maxLimitKeys) })
	return s, nil
}

type limitRequestsStep struct {
	by       countedBy
	rates    []limit.Rate
	counters *limit.Requests
	refused  exchange.Reply
}

// Request counts the request and refuses it when it is one too many.
func (s *limitRequestsStep) Request(x *exchange.Exchange) *exchange.Reply {
	k, counted := s.by.key(x)
	if !counted || s.counters.Allow(k, x.Run.Now(), s.rates) {
		return nil
	}
	return &s.refused
}

// countedBy says what is counted together.
type countedBy struct {
	except []netip.Prefix
	text   *exchange.Template // nil: the client's address
}

func newCountedBy(key string, except []netip.Prefix) (countedBy, error) {
	c := countedBy{except: except}
	if key == "$binary_remote_addr" || key == "$remote_addr" {
		return c, nil
	}
	t, err := exchange.ParseTemplate(key)
	c.text = t
	return c, err
}

// key returns the key of x, unless x is not to be counted.
func (c *countedBy) key(x *exchange.Exchange) (limit.Key, bool) {
	if contains(c.except, x.ClientIP) {
		return limit.Key{}, false
	}
	if c.text == nil {
		return limit.AddrKey(x.ClientIP), true
	}
	b := c.text.Append(x.Bytes(), x)
	return limit.TextKey(b), len(b) > 0
}
