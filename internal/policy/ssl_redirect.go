package policy

import (
	"errors"
	"strings"

	"github.com/pierhead/pierhead/internal/exchange"
)

var (
	sslRedirect      = Bool("ssl-redirect", true, "Redirect http to https when the host has a TLS entry.", global)
	forceSSLRedirect = Bool("force-ssl-redirect", false, "Redirect http to https for hosts without a TLS entry too: TLS ends in front.", global)
	keepSlash        = Bool("preserve-trailing-slash", false, "Keep the last slash of the URI in the redirect; else it is cut.", global)
	portInRedirect   = Bool("use-port-in-redirects", false, "Name the https port in the redirect.", global)
	redirectCode     = key("http-redirect-code", "301, 302, 307 or 308", 308, "308", "The status of redirects to https and to or from www.", parseRedirectCode, []option{only})
	noTLSRedirect    = List("no-tls-redirect-locations", []string{"/.well-known/acme-challenge"}, "path prefixes", "Paths of rules that begin with one of these are not redirected.", nil, only)
)

func parseRedirectCode(s string) (int, error) {
	n, err := parseInt(s, 301, 308)
	if err != nil || n > 302 && n < 307 {
		return 0, errors.New("the code is none of 301, 302, 307, 308")
	}
	return n, nil
}

var _ = Register(Unit{
	Name: "ssl-redirect",
	Doc: "Sends clients from http to https, before anything is counted or asked. The scheme is that of the connection; " +
		"with `use-forwarded-headers` it is X-Forwarded-Proto.",
	Follows: "ingress-nginx; RFC 9110, section 15.4",
	Keys:    []Key{sslRedirect, forceSSLRedirect, keepSlash, portInRedirect, redirectCode, noTLSRedirect},
	Apply: func(d *Draft) {
		p := &SSLRedirect{Force: forceSSLRedirect.Get(d), Code: redirectCode.Get(d), KeepSlash: keepSlash.Get(d), Except: noTLSRedirect.Get(d)}
		if portInRedirect.Get(d) {
			p.Port = "443"
		}
		if sslRedirect.Get(d) || p.Force {
			d.Use(p)
		}
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/force-ssl-redirect: "true"
-- conversation --
request: POST http://app.example.com/a/b/?x=/
reply: 308
  Location: https://app.example.com/a/b/?x=
request: GET http://app.example.com:8080/
reply: 308
  Location: https://app.example.com
request: GET https://app.example.com/a
upstream:
`,
})

// SSLRedirect answers plain http with a redirect to https.
type SSLRedirect struct {
	Used
	Force     bool     `json:"force,omitempty"`
	Code      int      `json:"code"`
	KeepSlash bool     `json:"keepSlash,omitempty"`
	Port      string   `json:"port,omitempty"` // named in the redirect, or ""
	Except    []string `json:"except,omitempty"`
}

// PolicyName returns "ssl-redirect".
func (*SSLRedirect) PolicyName() string { return "ssl-redirect" }

// Phase returns Redirect.
func (*SSLRedirect) Phase() exchange.Phase { return exchange.Redirect }

// Build makes the step, if the route is one to redirect.
func (p *SSLRedirect) Build(env *Env) (any, error) {
	if !p.Force && !env.Route.TLS || under(env.Route.Path, p.Except) {
		return nil, nil
	}
	return p, nil
}

// Request redirects what did not come by https.
func (p *SSLRedirect) Request(x *exchange.Exchange) *exchange.Reply {
	if x.Scheme != "http" {
		return nil
	}
	b := append(append(x.Bytes(), "https://"...), withoutPort(x.Host)...)
	if p.Port != "" {
		b = append(append(b, ':'), p.Port...)
	}
	uri := x.In.Target
	if !p.KeepSlash {
		uri = strings.TrimSuffix(uri, "/")
	}
	return x.Answer(p.Code).Add("Location", x.Text(append(b, uri...)))
}

// withoutPort cuts the port off a host.
func withoutPort(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}
