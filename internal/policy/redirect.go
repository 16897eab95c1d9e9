package policy

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/pierhead/pierhead/internal/exchange"
)

const targetPattern = `[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%{}]+`

var (
	permanentRedirect     = Text("permanent-redirect", "", targetPattern, "URL or path", "Answers every request with a redirect to here; variables may be used.", bad(Reject))
	permanentRedirectCode = Int("permanent-redirect-code", 301, 0, 1<<31-1, "Its status, 300 to 308.", bad(Reject))
	temporalRedirect      = Text("temporal-redirect", "", `https?://`+targetPattern, "http or https URL", "As permanent-redirect, with 302; wins over it.", bad(Drop))
	temporalRedirectCode  = Int("temporal-redirect-code", 302, 0, 1<<31-1, "Its status, 300 to 307.")
	fromToWWW             = Bool("from-to-www-redirect", false, "The host with or without www. in front redirects to the host.", bad(Reject))
)

var _ = Register(Unit{
	Name: "redirect",
	Doc: "Answers every request of the Ingress with a redirect. It comes before limits, access and the redirect to https; " +
		"the path that was asked for is not appended.",
	Follows: "RFC 9110, section 15.4; nginx return",
	Keys:    []Key{permanentRedirect, permanentRedirectCode, temporalRedirect, temporalRedirectCode, fromToWWW},
	Apply: func(d *Draft) {
		d.res.Host.FromToWWW = fromToWWW.Get(d)
		p := &Redirect{}
		if p.To = temporalRedirect.Get(d); p.To != "" {
			p.Code = codeWithin(d, temporalRedirectCode, 307)
		} else if p.To = permanentRedirect.Get(d); p.To != "" {
			p.Code = codeWithin(d, permanentRedirectCode, 308)
		} else {
			return
		}
		if _, err := exchange.ParseTemplate(p.To); err != nil {
			k := permanentRedirect
			if temporalRedirect.Get(d) != "" {
				k = temporalRedirect
			}
			d.Fail(k, err.Error(), "")
			return
		}
		d.Use(p)
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/permanent-redirect: https://www.example.com/new
-- conversation --
request: GET http://app.example.com/a
reply: 301
  Location: https://www.example.com/new
`,
})

// codeWithin returns the code of a redirect, or the default when it is none.
func codeWithin(d *Draft, k *Value[int], high int) int {
	n := k.Get(d)
	if n < 300 || n > high {
		d.Warn(k, fmt.Sprintf("the code is not between 300 and %d: %d is used", high, k.def), "")
		return k.def
	}
	return n
}

// Redirect answers every request with a redirect.
type Redirect struct {
	Used
	Code     int    `json:"code"`
	To       string `json:"to"`
	CutSlash bool   `json:"cutSlash,omitempty"` // the last slash is cut off
}

// TwinRedirect returns the redirect of a name with or without "www." to the host
// that asked for it, as the controller's settings have it.
func TwinRedirect(g *Global, host string) *Redirect {
	code := redirectCode.Get(newDraft(&Input{Settings: g}))
	return &Redirect{Code: code, To: "$pass_access_scheme://" + host + ":$pass_port$request_uri", CutSlash: true}
}

// PolicyName returns "redirect".
func (*Redirect) PolicyName() string { return "redirect" }

// Phase returns Redirect.
func (*Redirect) Phase() exchange.Phase { return exchange.Redirect }

// Build makes the step.
func (p *Redirect) Build(*Env) (any, error) {
	to, err := exchange.ParseTemplate(p.To)
	if err != nil {
		return nil, err
	}
	return &redirectStep{code: p.Code, to: to, path: strings.HasPrefix(p.To, "/"), cut: p.CutSlash}, nil
}

type redirectStep struct {
	code int
	to   *exchange.Template
	path bool // of this host
	cut  bool // the last slash
}

// Request answers the redirect.
func (s *redirectStep) Request(x *exchange.Exchange) *exchange.Reply {
	b := x.Bytes()
	if s.path {
		b = append(append(append(b, x.Conn.Scheme()...), "://"...), withoutPort(x.In.Host)...)
	}
	b = s.to.Append(b, x)
	if s.cut {
		b = bytes.TrimSuffix(b, slash)
	}
	return x.Answer(s.code).Add("Location", x.Text(clean(b)))
}

var slash = []byte("/")

var appRoot = Text("app-root", "", `/[^\s"'\\]*`, "absolute path", "Where a request for exactly / is redirected, on the whole host.", bad(Drop))

var _ = Register(Unit{
	Name: "app-root", Doc: "Redirects requests for the root of the host to a path, with 302, before the path's own rules.", Follows: "ingress-nginx",
	Keys: []Key{appRoot},
	Apply: func(d *Draft) {
		if to := appRoot.Get(d); to != "" {
			d.OnHost(&AppRoot{To: to})
		}
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/app-root: /app1
-- conversation --
request: GET http://app.example.com/
reply: 302
  Location: http://app.example.com/app1
request: GET http://app.example.com/app1
upstream:
`,
})

// AppRoot redirects the root of a host.
type AppRoot struct {
	Used
	To string `json:"to"`
}

// PolicyName returns "app-root".
func (*AppRoot) PolicyName() string { return "app-root" }

// Phase returns Preflight: the host answers before the path does.
func (*AppRoot) Phase() exchange.Phase { return exchange.Preflight }

// Build makes the step.
func (p *AppRoot) Build(*Env) (any, error) { return p, nil }

// Request redirects requests for "/".
func (p *AppRoot) Request(x *exchange.Exchange) *exchange.Reply {
	if x.Path != "/" {
		return nil
	}
	b := append(append(x.Bytes(), x.Conn.Scheme()...), "://"...)
	return x.Answer(302).Add("Location", x.Text(append(append(b, x.In.Host...), p.To...)))
}
