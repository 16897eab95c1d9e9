package policy

import (
	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

var satisfy = Enum("satisfy", "all", []string{"all", "any"}, "all: every guard must let the client in. any: one is enough.")

var _ = Register(Unit{
	Name:    "satisfy",
	Doc:     "Says how the guards of an Ingress go together: source ranges, passwords, external authentication.",
	Follows: "nginx satisfy",
	Keys:    []Key{satisfy},
	Apply: func(d *Draft) {
		if satisfy.Get(d) == "any" {
			d.Use(&Satisfy{Any: true})
		}
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/satisfy: any
nginx.ingress.kubernetes.io/whitelist-source-range: 10.0.0.0/8
nginx.ingress.kubernetes.io/auth-type: basic
nginx.ingress.kubernetes.io/auth-secret: basic-auth
-- secret basic-auth --
auth: someuser:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
-- conversation --
request: GET http://app.example.com/ from 10.1.2.3
upstream:
request: GET http://app.example.com/ from 192.0.2.7
reply: 401
request: GET http://app.example.com/ from 192.0.2.7
  Authorization: Basic c29tZXVzZXI6c2VjcmV0
upstream:
`,
})

// Satisfy makes one guard enough.
type Satisfy struct {
	Used
	Any bool `json:"any"`
}

// PolicyName returns "satisfy".
func (*Satisfy) PolicyName() string { return "satisfy" }

func satisfiesAny(ps []model.Policy) bool {
	for _, p := range ps {
		if s, ok := p.(*Satisfy); ok && s.Any {
			return true
		}
	}
	return false
}

// guard is a step that Satisfy counts.
type guard interface {
	exchange.Step
	guard()
}

// anyOf puts one step in the place of the guards among parts, when there are
// several.
func anyOf(parts []placed) []placed {
	all := &anyGuard{}
	var rest []placed
	at := -1
	for _, p := range parts {
		g, ok := p.step.(guard)
		if !ok {
			rest = append(rest, p)
			continue
		}
		all.guards = append(all.guards, g)
		if at < 0 {
			at = len(rest)
			rest = append(rest, placed{p.phase, all})
		}
	}
	if len(all.guards) < 2 {
		return parts
	}
	return rest
}

type anyGuard struct{ guards []guard }

// Request goes on when one guard does. Else it answers as the last one, or rather
// as one that asks for a password.
func (a *anyGuard) Request(x *exchange.Exchange) *exchange.Reply {
	var refused *exchange.Reply
	for _, g := range a.guards {
		r := g.Request(x)
		if r == nil {
			return nil
		}
		if refused == nil || refused.Status != 401 {
			refused = r
		}
	}
	return refused
}
