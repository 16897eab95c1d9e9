package policy

var (
	loadBalance = Enum("load-balance", "round_robin",
		[]string{"round_robin", "ewma", "least_requests", "chash", "chashsubset", "sticky_balanced", "sticky_persistent"},
		"round_robin: in turn. ewma: of two by chance the one that answers faster of late. least_requests, which is ours: of two by chance the one with fewer requests at hand. "+
			"The others need upstream-hash-by or affinity, which are enough alone.", global, bad(Reject))
	hashBy     = Variables("upstream-hash-by", "", "Requests with the same text go to the same endpoint.", bad(Reject))
	hashSubset = Bool("upstream-hash-by-subset", false, "The text chooses a subset of the endpoints, and chance one of them.", bad(Reject))
	subsetSize = Int("upstream-hash-by-subset-size", 3, 0, 1<<16, "Endpoints in a subset; 0 is 3.", bad(Reject))
)

var _ = Register(Unit{
	Name: "load-balance",
	Doc: "How requests are spread over endpoints: by affinity, else by upstream-hash-by, else by load-balance. The first Ingress that names a Service decides. " +
		"Each replica does so for itself. When the endpoints change, upstream-hash-by moves only the requests of those that came or went; " +
		"when one fails, its requests are tried at the next on the ring. An empty text is a text as any other: its requests all go to one endpoint. " +
		"ewma forgets in 10 s; what counts is the time to connect and the time to the end of the answer, of whose body 10 s at most, and a failure for a second at least. " +
		"A new endpoint begins with the mean of the others.",
	Follows: "ingress-nginx",
	Keys:    []Key{loadBalance, hashBy, hashSubset, subsetSize},
	Apply: func(d *Draft) {
		b := &d.res.Upstream.Balancing
		b.Balance, b.HashBy = loadBalance.Get(d), hashBy.Get(d)
		switch {
		case b.HashBy != "":
			b.Balance = "hash"
			if hashSubset.Get(d) {
				if b.Subset = subsetSize.Get(d); b.Subset == 0 {
					b.Subset = 3
				}
			}
		case needsMore(b.Balance):
			if loadBalance.Own(d) && affinity.Get(d) == "" && !stickyGlobal.Get(d) {
				warnBalance(d)
			}
			b.Balance = "round_robin"
		}
	},
	Settings: func(d *Draft, _ *Global) {
		if needsMore(loadBalance.Get(d)) {
			warnBalance(d)
		}
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/upstream-hash-by: $arg_user$remote_addr
nginx.ingress.kubernetes.io/upstream-hash-by-subset: "true"
-- upstream --
Balance: hash
HashBy: $arg_user$remote_addr
Subset: 3
`,
})

// needsMore reports whether a value of load-balance says nothing by itself.
func needsMore(balance string) bool {
	switch balance {
	case "chash", "chashsubset", "sticky_balanced", "sticky_persistent":
		return true
	}
	return false
}

// warnBalance tells that a value of load-balance says nothing by itself.
func warnBalance(d *Draft) {
	switch loadBalance.Get(d) {
	case "chash", "chashsubset":
		d.Warn(loadBalance, "it needs upstream-hash-by: round_robin is used without", "set upstream-hash-by, which is enough alone")
	default:
		d.Warn(loadBalance, "it needs affinity: round_robin is used without", "set affinity: cookie and affinity-mode")
	}
}
