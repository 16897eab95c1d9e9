package policy

import (
	"net/netip"

	"github.com/pierhead/pierhead/internal/exchange"
)

var (
	allowlist = CIDRs("allowlist-source-range", "Only these clients are let in; empty lets all in. The ConfigMap's list counts where an Ingress has none.",
		global, also("whitelist-source-range"), bad(Close))
	denylist   = CIDRs("denylist-source-range", "These clients are refused, whatever the other list says.", global, bad(Close))
	blockCIDRs = CIDRs("block-cidrs", "These clients are refused on every route.", only, bad(Close))
)

var _ = Register(Unit{
	Name:    "source-range",
	Doc:     "Lets clients in by their address; the others get 403.",
	Follows: "nginx allow and deny",
	Keys:    []Key{allowlist, denylist},
	Apply: func(d *Draft) {
		p := &SourceRange{Allow: allowlist.Get(d), Deny: denylist.Get(d)}
		if len(p.Allow) == 0 && len(p.Deny) == 0 {
			return
		}
		d.Use(p)
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/whitelist-source-range: 10.0.0.0/8, 2001:db8::/32
nginx.ingress.kubernetes.io/denylist-source-range: 10.6.6.6
-- conversation --
request: GET http://app.example.com/ from 10.1.2.3
upstream:
request: GET http://app.example.com/ from 2001:db8::7
upstream:
request: GET http://app.example.com/ from 10.6.6.6
reply: 403
request: GET http://app.example.com/ from 192.0.2.7
reply: 403
`,
})

// SourceRange lets clients in by their address.
type SourceRange struct {
	Used
	Allow []netip.Prefix `json:"allow,omitempty"` // empty: all
	Deny  []netip.Prefix `json:"deny,omitempty"`
}

// PolicyName returns "source-range".
func (*SourceRange) PolicyName() string { return "source-range" }

// Phase returns Access.
func (*SourceRange) Phase() exchange.Phase { return exchange.Access }

// Build makes the step.
func (p *SourceRange) Build(*Env) (any, error) { return p, nil }

func (*SourceRange) guard() {}

var forbidden = exchange.Reply{Status: 403}

// Request refuses clients by their address.
func (p *SourceRange) Request(x *exchange.Exchange) *exchange.Reply {
	if contains(p.Deny, x.ClientIP) || len(p.Allow) > 0 && !contains(p.Allow, x.ClientIP) {
		return &forbidden
	}
	return nil
}

var _ = Register(Unit{
	Name: "block-cidrs", Doc: "Refuses clients by their address on every route of the controller, with 403.", Follows: "nginx deny",
	Keys: []Key{blockCIDRs},
	Apply: func(d *Draft) {
		if list := blockCIDRs.Get(d); len(list) > 0 {
			d.Use(&BlockCIDRs{Deny: list})
		}
	},
	Example: `
-- configmap --
block-cidrs: 192.0.2.0/24
-- conversation --
request: GET http://app.example.com/ from 192.0.2.7
reply: 403
request: GET http://app.example.com/ from 198.51.100.7
upstream:
`,
})

// BlockCIDRs refuses clients everywhere.
type BlockCIDRs struct {
	Used
	Deny []netip.Prefix `json:"deny"`
}

// PolicyName returns "block-cidrs".
func (*BlockCIDRs) PolicyName() string { return "block-cidrs" }

// Phase returns Access.
func (*BlockCIDRs) Phase() exchange.Phase { return exchange.Access }

// Build makes the step.
func (p *BlockCIDRs) Build(*Env) (any, error) { return p, nil }

// Request refuses clients by their address.
func (p *BlockCIDRs) Request(x *exchange.Exchange) *exchange.Reply {
	if contains(p.Deny, x.ClientIP) {
		return &forbidden
	}
	return nil
}
