package policy

var (
	maxConnections = Int("max-connections", 0, 0, 1<<20, "Connections in use to one endpoint at a time; 0: no bound.", global)
	maxPending     = Int("max-pending", 0, 0, 1<<20, "Requests that wait while every endpoint is at max-connections, in order of arrival and for proxy-connect-timeout at most; 0: none does.", global)
	retryBudget    = Int("retry-budget", 0, 0, 100, "Further tries that may be under way, in percent of the requests that the endpoints have at hand; three may be in any case. 0: no bound.", global)
)

var _ = Register(Unit{
	Name: "circuit",
	Doc: "Ours: bounds that keep a slow or failing Service from taking everything with it. When every endpoint is at max-connections a request waits if max-pending allows it, and is answered 503 (`upstream-full`) " +
		"if not, or if it has waited in vain. " +
		"Connections that wait idle for their next request do not count, as with nginx. A failure beyond retry-budget is answered as it is. " +
		"Each replica counts for itself, all its event loops together. The first Ingress that names a Service decides.",
	Follows: "nginx max_conns, and the queue of its commercial version",
	Keys:    []Key{maxConnections, maxPending, retryBudget},
	Apply: func(d *Draft) {
		b := &d.res.Upstream.Balancing
		b.MaxConnections, b.RetryBudget = maxConnections.Get(d), retryBudget.Get(d)
		if b.MaxConnections > 0 {
			b.MaxPending = maxPending.Get(d)
		} else if maxPending.Own(d) {
			d.Warn(maxPending, "nothing waits without max-connections", "set max-connections, for example to 100")
		}
	},
	Example: `
-- annotations --
pierhead.dev/max-connections: "100"
pierhead.dev/max-pending: "50"
pierhead.dev/retry-budget: "20"
-- upstream --
MaxConnections: 100
MaxPending: 50
RetryBudget: 20
`,
})
