package policy

import "github.com/pierhead/pierhead/internal/exchange"

var (
	serverTokens  = Bool("server-tokens", false, "Tell this server's name and version in Server, and its name instead of nginx's on error pages.", only)
	backendServer = Bool("allow-backend-server-header", false, "Pass the endpoint's Server field on.", only)
)

var _ = Register(Unit{
	Name: "server", Doc: "What answers tell about the software behind them: nothing but what nginx's error pages say, unless the ConfigMap says so.", Follows: "RFC 9110, section 10.2.4",
	Keys: []Key{serverTokens, backendServer},
	Apply: func(d *Draft) {
		if backendServer.Get(d) {
			d.Use(&Server{Pass: true})
		}
	},
	Settings: func(d *Draft, g *Global) { g.Settings.ServerTokens = serverTokens.Get(d) },
	Example: `
-- configmap --
allow-backend-server-header: "true"
-- forward --
HideServer: false
`,
})

// Server passes the endpoint's Server field on.
type Server struct {
	Used
	Pass bool `json:"pass"`
}

// PolicyName returns "server".
func (*Server) PolicyName() string { return "server" }

// Configure tells the proxy what to do with the field.
func (p *Server) Configure(f *exchange.Forward) { f.HideServer = !p.Pass }
