package policy

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pierhead/pierhead/internal/exchange"
)

var (
	rewriteTarget   = Text("rewrite-target", "", `[A-Za-z0-9._~/:$-]+`, "path of letters, digits and ._~/:$-", "What the matched part of the path becomes; $1 to $9 are the groups of the rule's path.", bad(Drop))
	forwardedPrefix = Text("x-forwarded-prefix", "", `[A-Za-z0-9._~/:$-]+`, "path of letters, digits and ._~/:$-", "Sent as X-Forwarded-Prefix when a path is rewritten; $1 to $9 are groups.", bad(Reject))
	useRegex        = Bool("use-regex", false, "The paths of the whole host are regular expressions, without regard to case, anchored at their start.")
)

var _ = Register(Unit{
	Name: "rewrite",
	Doc: "Changes the path that is sent on. The rule's path is a regular expression for the normalized path, " +
		"wherever in it; the query stays. Without a rewrite the client's path goes on as it was written. " +
		"One such Ingress makes all paths of its host regular expressions.",
	Follows: "nginx rewrite",
	Keys:    []Key{rewriteTarget, forwardedPrefix, useRegex},
	Apply: func(d *Draft) {
		d.res.Host.Regex = useRegex.Get(d)
		to, prefix := rewriteTarget.Get(d), forwardedPrefix.Get(d)
		if to == "" {
			if prefix != "" {
				d.Warn(forwardedPrefix, "it is sent only with rewrite-target", "set rewrite-target")
			}
			return
		}
		if w, _ := d.written(rewriteTarget.d); w.Field == annotationField(OldPrefix+"/"+w.Key) && !strings.Contains(to, "$") {
			d.Warn(rewriteTarget, "until 2018 the rest of the path was appended; now only groups of the rule's path are", "write the path as /app(/|$)(.*) and the target as /$2")
		}
		d.res.Host.RewriteTarget = to
		d.Use(&Rewrite{Target: to, Prefix: prefix})
	},
	Example: `
-- annotations --
nginx.ingress.kubernetes.io/rewrite-target: /$2
nginx.ingress.kubernetes.io/x-forwarded-prefix: /api
-- path --
/api(/|$)(.*)
-- conversation --
request: GET http://app.example.com/API/users/a%20b?x=%2F
upstream:
  :path: /users/a%20b?x=%2F
  X-Forwarded-Prefix: /api
`,
})

// Rewrite changes the path that is sent on.
type Rewrite struct {
	Used
	Target string `json:"target"`
	Prefix string `json:"prefix,omitempty"`
}

// PolicyName returns "rewrite".
func (*Rewrite) PolicyName() string { return "rewrite" }

// Phase returns Rewrite.
func (*Rewrite) Phase() exchange.Phase { return exchange.Rewrite }

// Build makes the step, unless the target is the path itself.
func (p *Rewrite) Build(env *Env) (any, error) {
	if p.Target == env.Route.Path {
		return nil, nil
	}
	re, err := regexp.Compile("(?i)" + env.Route.Path)
	if err != nil {
		return nil, fmt.Errorf("path %q is not a regular expression that Go can match: %w", env.Route.Path, err)
	}
	return &rewriteStep{re: re, target: groups(p.Target), prefix: groups(p.Prefix),
		away: strings.HasPrefix(p.Target, "http://") || strings.HasPrefix(p.Target, "https://")}, nil
}

type rewriteStep struct {
	re     *regexp.Regexp
	target []groupPart
	prefix []groupPart
	away   bool // the target is a URL: nginx redirects there
}

// groupPart is a text, or a group of the match when group is 1 to 9.
type groupPart struct {
	text  string
	group int
}

func groups(s string) (parts []groupPart) {
	for s != "" {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 == len(s) {
			return append(parts, groupPart{text: s})
		}
		if c := s[i+1]; c >= '1' && c <= '9' {
			if i > 0 {
				parts = append(parts, groupPart{text: s[:i]})
			}
			parts = append(parts, groupPart{group: int(c - '0')})
			s = s[i+2:]
			continue
		}
		parts = append(parts, groupPart{text: s[:i+1]})
		s = s[i+1:]
	}
	return parts
}

// Request rewrites the path.
func (s *rewriteStep) Request(x *exchange.Exchange) *exchange.Reply {
	m := s.re.FindStringSubmatchIndex(x.Path)
	if m == nil {
		return nil
	}
	b := appendPath(x.Bytes(), s.target, x.Path, m, s.away)
	if x.Query != "" {
		b = append(append(b, '?'), x.Query...)
	}
	to := x.Text(b)
	if s.away {
		return x.Answer(302).Add("Location", to)
	}
	if to == "" || to[0] != '/' {
		to = x.Text(append(append(x.Bytes(), '/'), to...))
	}
	x.Out.Target = to
	if s.prefix != nil {
		x.Out.Header.Set("X-Forwarded-Prefix", x.Text(appendPath(x.Bytes(), s.prefix, x.Path, m, false)))
	}
	return nil
}

// appendPath puts the groups of match m in path into parts and encodes what a path
// cannot hold.
func appendPath(b []byte, parts []groupPart, path string, m []int, raw bool) []byte {
	for _, p := range parts {
		text := p.text
		if p.group > 0 {
			if 2*p.group+1 >= len(m) || m[2*p.group] < 0 {
				continue
			}
			text = path[m[2*p.group]:m[2*p.group+1]]
		} else if raw {
			b = append(b, text...)
			continue
		}
		b = appendEncoded(b, text)
	}
	return b
}

// appendEncoded encodes a decoded path again (RFC 3986, section 3.3).
func appendEncoded(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`%?#"<>\^{}|`+"`", c) >= 0 {
			b = append(b, '%', hex[c>>4], hex[c&15])
			continue
		}
		b = append(b, c)
	}
	return b
}
