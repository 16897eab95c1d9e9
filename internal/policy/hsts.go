package policy

import (
	"strconv"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
)

var (
	hsts           = Bool("hsts", true, "Send Strict-Transport-Security on every answer over TLS.", only)
	hstsSubdomains = Bool("hsts-include-subdomains", true, "Add includeSubDomains.", only)
	hstsMaxAge     = Int("hsts-max-age", 31536000, 0, 1<<31-1, "Its max-age, in seconds.", only)
	hstsPreload    = Bool("hsts-preload", false, "Add preload.", only)
)

var _ = Register(Unit{
	Name: "hsts", Doc: "Tells browsers to come by https only, in place of what the upstream says about it.", Follows: "RFC 6797",
	Keys: []Key{hsts, hstsSubdomains, hstsMaxAge, hstsPreload},
	Apply: func(d *Draft) {
		if !hsts.Get(d) {
			return
		}
		text := "max-age=" + strconv.Itoa(hstsMaxAge.Get(d))
		if hstsSubdomains.Get(d) {
			text += "; includeSubDomains"
		}
		if hstsPreload.Get(d) {
			text += "; preload"
		}
		d.Use(&HSTS{Value: text})
	},
	Example: `
-- configmap --
hsts-max-age: "15724800"
hsts-preload: "true"
-- conversation --
request: GET https://app.example.com/
upstream:
reply: 200
  Strict-Transport-Security: max-age=15724800; includeSubDomains; preload
request: GET http://app.example.com/
upstream:
reply: 200
  !Strict-Transport-Security
`,
})

// HSTS sets Strict-Transport-Security on answers over TLS.
type HSTS struct {
	Used
	Value string `json:"value"`
}

// PolicyName returns "hsts".
func (*HSTS) PolicyName() string { return "hsts" }

// Phase returns Respond.
func (*HSTS) Phase() exchange.Phase { return exchange.Respond }

// Build makes the step.
func (p *HSTS) Build(*Env) (any, error) { return p, nil }

// Response sets the field.
func (p *HSTS) Response(x *exchange.Exchange) {
	if x.Conn.Secure() {
		x.Resp.Header.SetKnown(message.StrictTransportSecurity, p.Value)
	}
}
