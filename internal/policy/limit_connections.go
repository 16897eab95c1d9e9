package policy

import (
	"net/netip"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/limit"
)

var (
	limitConnections = Int("limit-connections", 0, 0, 1<<24, "Requests that one client may have in progress; 0 is no limit.", bad(Reject))
	limitConnStatus  = Codes("limit-conn-status-code", 503, 400, 599, "The status of requests over limit-connections.", only)
)

var _ = Register(Unit{
	Name: "limit-connections",
	Doc: "Bounds how many requests one client may have in progress, over all paths of the Ingress and in each replica. " +
		"Every stream of an HTTP/2 connection counts. One too many is answered 503.",
	Follows: "nginx limit_conn",
	Keys:    []Key{limitConnections, limitConnStatus, limitExcept, limitKey},
	Apply: func(d *Draft) {
		n := limitConnections.Get(d)
		if n == 0 {
			return
		}
		d.Use(&LimitConnections{Max: n, Except: limitExcept.Get(d), Status: limitConnStatus.Get(d), Key: limitKey.Get(d)})
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/limit-connections: "2"
-- conversation --
request: GET http://app.example.com/ from 192.0.2.7 x2 open
upstream:
request: GET http://app.example.com/ from 192.0.2.7
reply: 503
request: GET http://app.example.com/ from 192.0.2.8 x2
upstream:
`,
})

// LimitConnections bounds the requests in progress for each client.
type LimitConnections struct {
	Used
	Max    int            `json:"max"`
	Except []netip.Prefix `json:"except,omitempty"`
	Status int            `json:"status"`
	Key    string         `json:"key"`
}

// PolicyName returns "limit-connections".
func (*LimitConnections) PolicyName() string { return "limit-connections" }

// Phase returns PreAccess.
func (*LimitConnections) Phase() exchange.Phase { return exchange.PreAccess }

// Build makes the step. Its counters are those of the Ingress and outlive tables.
func (p *LimitConnections) Build(env *Env) (any, error) {
	by, err := newCountedBy(p.Key, p.Except)
	if err != nil {
		return nil, err
	}
	return &limitConnectionsStep{
		by: by, max: p.Max, refused: exchange.Reply{Status: p.Status},
		counters: exchange.Keep(env.State, "limit-connections:"+env.ingress(), limit.NewActive),
	}, nil
}

type limitConnectionsStep struct {
	by       countedBy
	max      int
	counters *limit.Active
	refused  exchange.Reply
}

// Request counts the request until its Log, or refuses it.
func (s *limitConnectionsStep) Request(x *exchange.Exchange) *exchange.Reply {
	k, counted := s.by.key(x)
	if !counted {
		return nil
	}
	if !s.counters.Acquire(k, s.max) {
		return &s.refused
	}
	x.Holding, x.HoldKey = true, k
	return nil
}

// Log gives back what Request counted.
func (s *limitConnectionsStep) Log(x *exchange.Exchange) {
	if x.Holding {
		x.Holding = false
		s.counters.Release(x.HoldKey)
	}
}
