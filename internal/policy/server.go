package policy

import (
	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
)

var _ = Register(Unit{
	Name: "server", Doc: "What answers tell about the software behind them: nothing, unless the ConfigMap says so.", Follows: "RFC 9110, section 10.2.4",
	Keys:     []Key{serverTokens, backendServer},
	Apply:    func(d *Draft) { d.Use(&Server{Tokens: serverTokens.Get(d), Pass: backendServer.Get(d)}) },
	Settings: func(d *Draft, g *Global) { g.Settings.ServerTokens = serverTokens.Get(d) },
	Example: `
-- configmap --
server-tokens: "true"
-- conversation --
request: GET http://app.example.com/
upstream:
answer: 200
  Server: Apache/2.4.62
reply: 200
  Server: pierhead
`,
})

// Server decides about the Server field of answers.
type Server struct {
	Used
	Tokens bool `json:"tokens,omitempty"` // ours is sent
	Pass   bool `json:"pass,omitempty"`   // the upstream's is passed on
}

// PolicyName returns "server".
func (*Server) PolicyName() string { return "server" }

// Phase returns Respond.
func (*Server) Phase() exchange.Phase { return exchange.Respond }

// Configure tells the proxy what to do with the upstream's field.
func (p *Server) Configure(f *exchange.Forward) { f.HideServer = !p.Pass }

// Build makes the step.
func (p *Server) Build(*Env) (any, error) { return p, nil }

// Response removes or sets the field.
func (p *Server) Response(x *exchange.Exchange) {
	h := &x.Resp.Header
	if !p.Pass {
		h.DelKnown(message.Server)
	}
	if p.Tokens {
		if _, has := h.LookupKnown(message.Server); !has {
			h.AddKnown(message.Server, "pierhead")
		}
	}
}
