package policy

import (
	"crypto/md5"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
)

const cookieName = "[A-Za-z0-9_.~!#$%&'*+^`|-]+"

var (
	affinity       = Enum("affinity", "", []string{"cookie"}, "Sends a client to the endpoint it was first sent to, by a cookie.")
	affinityMode   = Enum("affinity-mode", "balanced", []string{"balanced", "persistent"}, "balanced: some clients move when endpoints change. persistent: a client stays until its endpoint is gone.")
	stickyName     = Text("session-cookie-name", "INGRESSCOOKIE", cookieName, "cookie name", "The cookie's name.")
	stickyPath     = Text("session-cookie-path", "", `/[^\s;,\\"]*`, "path", "The cookie's Path; the rule's path when it is not set.")
	stickyDomain   = Text("session-cookie-domain", "", `\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*`, "domain", "The cookie's Domain.")
	stickyMaxAge   = Int("session-cookie-max-age", 0, -1<<31, 1<<31-1, "The cookie's Max-Age in seconds.", shown(""))
	stickyExpires  = Int("session-cookie-expires", 0, -1<<31, 1<<31-1, "The cookie's Expires, in seconds from now.", shown(""))
	stickySameSite = Enum("session-cookie-samesite", "", []string{"None", "Lax", "Strict"}, "The cookie's SameSite.")
	stickySkip     = Bool("session-cookie-conditional-samesite-none", false, "Leave SameSite=None out for browsers that misread it.")
	stickySecure   = Bool("session-cookie-secure", false, "The cookie is Secure over http too; over https it always is.")
	stickyGlobal   = Bool("enable-sticky-sessions", false, "Of 2017: affinity: cookie for every Ingress, with a cookie named route.", only)
)

var _ = Register(Unit{
	Name: "sticky",
	Doc: "Keeps a client at one endpoint by a cookie, which is HttpOnly, and Secure over https. " +
		"It is set only when an endpoint was chosen anew. Affinity goes before load-balance. " +
		"Of the Ingresses that lead to a Service the first with affinity decides its mode; cookies are set on the paths of those that have it.",
	Follows: "RFC 6265; ingress-nginx",
	Keys: []Key{affinity, affinityMode, stickyName, stickyPath, stickyDomain, stickyMaxAge, stickyExpires,
		stickySameSite, stickySkip, stickySecure, stickyGlobal},
	Apply: applySticky,
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/affinity: cookie
nginx.ingress.kubernetes.io/session-cookie-name: route
nginx.ingress.kubernetes.io/session-cookie-max-age: "3600"
-- conversation --
request: GET https://app.example.com/
upstream:
picked: k3
reply: 200
  Set-Cookie: route=k3|4a3eed8b9fdd31eec0786e1c1f7a96bc; Max-Age=3600; Path=/; Secure; HttpOnly
`,
})

func applySticky(d *Draft) {
	old := stickyGlobal.Get(d)
	if affinity.Get(d) == "" && !old {
		return
	}
	p := &Sticky{Mode: affinityMode.Get(d), Path: stickyPath.Get(d), Domain: stickyDomain.Get(d),
		SameSite: stickySameSite.Get(d), Conditional: stickySkip.Get(d), Secure: stickySecure.Get(d)}
	name, named := stickyName.Lookup(d)
	if p.Cookie = name; old && !named && affinity.Get(d) == "" {
		p.Cookie = "route"
	}
	if n, set := stickyMaxAge.Lookup(d); set {
		p.MaxAge = &n
	}
	if n, set := stickyExpires.Lookup(d); set {
		p.Expires = &n
	}
	d.res.Upstream.Sticky = &model.Sticky{Cookie: p.Cookie, Mode: p.Mode}
	d.Use(p)
}

// Sticky carries the session cookie to the balancer and back.
type Sticky struct {
	Used
	Cookie      string `json:"cookie"`
	Mode        string `json:"mode"`
	Path        string `json:"path,omitempty"` // "": the rule's
	Domain      string `json:"domain,omitempty"`
	MaxAge      *int   `json:"maxAge,omitempty"`  // seconds
	Expires     *int   `json:"expires,omitempty"` // seconds from now
	SameSite    string `json:"sameSite,omitempty"`
	Conditional bool   `json:"conditional,omitempty"`
	Secure      bool   `json:"secure,omitempty"`
}

// PolicyName returns "sticky".
func (*Sticky) PolicyName() string { return "sticky" }

// Phase returns Rewrite: the last thing before an endpoint is picked.
func (*Sticky) Phase() exchange.Phase { return exchange.Rewrite }

// Build makes the step.
func (p *Sticky) Build(env *Env) (any, error) {
	s := &stickyStep{Sticky: p, suffix: "|" + upstreamMark(env.Route.Upstream), path: p.Path}
	if s.path == "" {
		s.path = env.Route.Path
	}
	if p.Domain != "" {
		s.attributes = "; Domain=" + p.Domain
	}
	s.attributes += "; Path=" + s.path
	if p.MaxAge != nil {
		s.maxAge = "; Max-Age=" + strconv.Itoa(*p.MaxAge)
	}
	return s, nil
}

// upstreamMark is the part of the cookie that says whose key it holds, so that a
// cookie of one service is none of another.
func upstreamMark(name string) string {
	first := md5.Sum([]byte(name))
	second := md5.Sum([]byte(hex.EncodeToString(first[:]) + name))
	return hex.EncodeToString(second[:])
}

type stickyStep struct {
	*Sticky
	suffix     string
	path       string
	maxAge     string
	attributes string
}

// Request finds the key of the client's session.
func (s *stickyStep) Request(x *exchange.Exchange) *exchange.Reply {
	v, _ := x.Cookie(s.Cookie)
	if key, ok := strings.CutSuffix(v, s.suffix); ok {
		x.Affinity.Key = key
	}
	return nil
}

// Response tells the client its key when it is a new one.
func (s *stickyStep) Response(x *exchange.Exchange) {
	if !x.Affinity.Fresh || x.Affinity.Picked == "" {
		return
	}
	b := append(append(append(x.Bytes(), s.Cookie...), '='), x.Affinity.Picked...)
	b = append(b, s.suffix...)
	if s.Expires != nil {
		b = append(b, "; Expires="...)
		b = x.Run.Now().Add(time.Duration(*s.Expires)*time.Second).UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
	}
	b = append(append(b, s.maxAge...), s.attributes...)
	if s.Secure || x.Conn.Secure() {
		b = append(b, "; Secure"...)
	}
	b = append(b, "; HttpOnly"...)
	if s.SameSite != "" && !(s.SameSite == "None" && s.Conditional && misreadsNone(x.In.Header.GetKnown(message.UserAgent))) {
		b = append(append(b, "; SameSite="...), s.SameSite...)
	}
	x.Resp.Header.AddKnown(message.SetCookie, x.Text(b))
}

// misreadsNone reports whether a browser takes SameSite=None for Strict, or drops
// the cookie: Chrome 51 to 66, and Safari of iOS 12 and macOS 10.14.
func misreadsNone(agent string) bool {
	if strings.Contains(agent, "iPhone OS 12_") || strings.Contains(agent, "iPad; CPU OS 12_") {
		return true
	}
	if _, v, ok := strings.Cut(agent, "Chrome/"); ok {
		major, _, _ := strings.Cut(v, ".")
		n, err := strconv.Atoi(major)
		return err == nil && n >= 51 && n <= 66
	}
	return strings.Contains(agent, "Mac OS X 10_14") && strings.Contains(agent, "Safari/")
}
