package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
)

var originPattern = regexp.MustCompile(`\A(\*|null|[A-Za-z][A-Za-z0-9+.-]*://(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?)\z`)

const fieldList = `[A-Za-z0-9*_, -]+`

var (
	enableCORS      = Bool("enable-cors", false, "Answers cross-origin requests.", bad(Drop))
	corsOrigin      = List("cors-allow-origin", []string{"*"}, "origins", "Who may read: *, null, https://app.example.com, https://*.example.com (one label).", checkOrigin, bad(Drop))
	corsMethods     = Text("cors-allow-methods", "GET, PUT, POST, DELETE, PATCH, OPTIONS", `[A-Za-z*, ]+`, "list of methods", "Access-Control-Allow-Methods.")
	corsHeaders     = Text("cors-allow-headers", "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization", fieldList, "list of header names", "Access-Control-Allow-Headers.")
	corsExpose      = Text("cors-expose-headers", "", fieldList, "list of header names", "Access-Control-Expose-Headers.")
	corsCredentials = Bool("cors-allow-credentials", true, "Send Access-Control-Allow-Credentials: true.", bad(Drop))
	corsMaxAge      = Int("cors-max-age", 1728000, 0, 1<<31-1, "Access-Control-Max-Age, in seconds.")
)

func checkOrigin(s string) error {
	if !originPattern.MatchString(s) {
		return fmt.Errorf("%q is not an origin such as https://app.example.com", s)
	}
	return nil
}

var _ = Register(Unit{
	Name: "cors",
	Doc: "Answers OPTIONS itself with 204, before redirects, limits and access, and sets Access-Control-* on every answer, " +
		"also on errors. Requests of other origins go on without.",
	Follows: "Fetch Standard",
	Keys:    []Key{enableCORS, corsOrigin, corsMethods, corsHeaders, corsExpose, corsCredentials, corsMaxAge},
	Apply: func(d *Draft) {
		if !enableCORS.Get(d) {
			return
		}
		d.Use(&CORS{Origins: corsOrigin.Get(d), Methods: corsMethods.Get(d), Headers: corsHeaders.Get(d),
			Expose: corsExpose.Get(d), Credentials: corsCredentials.Get(d), MaxAge: corsMaxAge.Get(d)})
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/enable-cors: "true"
nginx.ingress.kubernetes.io/cors-allow-origin: https://*.example.com
-- conversation --
request: OPTIONS http://app.example.com/
  Origin: https://www.example.com
reply: 204
  Access-Control-Allow-Origin: https://www.example.com
  Access-Control-Allow-Methods: GET, PUT, POST, DELETE, PATCH, OPTIONS
  Access-Control-Max-Age: 1728000
request: GET http://app.example.com/
  Origin: https://evil.comhttps://www.example.com
upstream:
reply: 200
  !Access-Control-Allow-Origin
`,
})

// CORS lets scripts of other origins read answers.
type CORS struct {
	Used
	Origins     []string `json:"origins"`
	Methods     string   `json:"methods"`
	Headers     string   `json:"headers"`
	Expose      string   `json:"expose,omitempty"`
	Credentials bool     `json:"credentials"`
	MaxAge      int      `json:"maxAge"`
}

// PolicyName returns "cors".
func (*CORS) PolicyName() string { return "cors" }

// Phase returns Preflight.
func (*CORS) Phase() exchange.Phase { return exchange.Preflight }

// Build makes the step.
func (p *CORS) Build(*Env) (any, error) {
	s := &corsStep{CORS: p, maxAge: strconv.Itoa(p.MaxAge)}
	for _, o := range p.Origins {
		if o == "*" {
			s.everyone = true
		}
		before, after, wild := strings.Cut(o, "*")
		s.origins = append(s.origins, origin{before, after, wild})
	}
	return s, nil
}

type corsStep struct {
	*CORS
	maxAge   string
	everyone bool
	origins  []origin
}

// origin is one allowed origin: a text, or a text with one label left open.
type origin struct {
	before, after string
	wild          bool
}

func (o *origin) is(s string) bool {
	if !o.wild {
		return strings.EqualFold(s, o.before)
	}
	n := len(s) - len(o.before) - len(o.after)
	if n < 1 || !strings.EqualFold(s[:len(o.before)], o.before) || !strings.EqualFold(s[len(s)-len(o.after):], o.after) {
		return false
	}
	for _, c := range []byte(s[len(o.before) : len(o.before)+n]) {
		if letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-'; !letter {
			return false
		}
	}
	return true
}

// allowed returns what Access-Control-Allow-Origin says, or "".
func (s *corsStep) allowed(x *exchange.Exchange) string {
	if s.everyone {
		return "*"
	}
	asks := x.In.Header.GetKnown(message.Origin)
	for i := range s.origins {
		if asks != "" && s.origins[i].is(asks) {
			return asks
		}
	}
	return ""
}

var preflight = exchange.Reply{Status: 204, Fields: []exchange.ReplyField{{Name: "Content-Type", Value: "text/plain charset=UTF-8"}}}

// Request answers OPTIONS.
func (s *corsStep) Request(x *exchange.Exchange) *exchange.Reply {
	if x.In.Method == "OPTIONS" && s.allowed(x) != "" {
		return &preflight
	}
	return nil
}

// Response sets the fields in place of the upstream's.
func (s *corsStep) Response(x *exchange.Exchange) {
	o := s.allowed(x)
	if o == "" {
		return
	}
	h := &x.Resp.Header
	h.Set("Access-Control-Allow-Origin", o)
	if s.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Allow-Methods", s.Methods)
	h.Set("Access-Control-Allow-Headers", s.Headers)
	if s.Expose != "" {
		h.Set("Access-Control-Expose-Headers", s.Expose)
	}
	h.Set("Access-Control-Max-Age", s.maxAge)
}
