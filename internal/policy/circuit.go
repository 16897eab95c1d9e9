package policy

var (
	maxConnections = Int("max-connections", 0, 0, 1<<20, "Connections in use to one endpoint at a time; 0: no bound.", global)
	retryBudget    = Int("retry-budget", 0, 0, 100, "Further tries that may be under way, in percent of the requests that the endpoints have at hand; three may be in any case. 0: no bound.", global)
)

var _ = Register(Unit{
	Name: "circuit",
	Doc: "Ours: bounds that keep a slow or failing Service from taking everything with it. When every endpoint is at max-connections a request is answered 503 at once (`upstream-full`); nothing waits. " +
		"Connections that wait idle for their next request do not count, as with nginx. A failure beyond retry-budget is answered as it is. " +
		"Each replica counts for itself, all its event loops together. The first Ingress that names a Service decides.",
	Follows: "nginx max_conns",
	Keys:    []Key{maxConnections, retryBudget},
	Apply: func(d *Draft) {
		b := &d.res.Upstream.Balancing
		b.MaxConnections, b.RetryBudget = maxConnections.Get(d), retryBudget.Get(d)
	},
	Example: `
-- annotations --
pierhead.dev/max-connections: "100"
pierhead.dev/retry-budget: "20"
-- upstream --
MaxConnections: 100
RetryBudget: 20
`,
})
