package routing

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/exchange"
)

// patterns holds the routes of a host whose paths are regular expressions: all of
// them, whatever their path types, in the order in which they are tried.
type patterns struct{ list []pattern }

// pattern is one path: text without regard to case at the start of a request's path,
// or a regular expression.
type pattern struct {
	route *Route
	text  string         // compared when re is nil
	re    *regexp.Regexp // anchored at the start only
}

func (p *pattern) match(path string) bool {
	if p.re != nil {
		return p.re.MatchString(path)
	}
	return hasPrefixFold(path, p.text)
}

// match returns the first route whose pattern matches path.
func (ps *patterns) match(path string) *Route {
	for i := range ps.list {
		if ps.list[i].match(path) {
			return ps.list[i].route
		}
	}
	return nil
}

// sort puts the patterns in nginx's order: longest path text first, texts of one
// length in reverse lexical order.
func (ps *patterns) sort() {
	slices.SortStableFunc(ps.list, func(a, b pattern) int {
		return cmp.Or(cmp.Compare(len(b.route.Path), len(a.route.Path)), strings.Compare(b.route.Path, a.route.Path))
	})
}

// newPattern makes the pattern of a route. When its path is no expression that RE2
// knows, the route must be closed, and its pattern takes every path that begins with
// the text before the first special character: what it would have guarded goes to no
// other route.
func newPattern(r *Route, state *exchange.State) (pattern, error) {
	if isPlain(r.Path) {
		return pattern{route: r, text: r.Path}, nil
	}
	c := compileRegex(state, r.Path)
	if c.err != nil {
		return pattern{route: r, text: literalStart(r.Path)}, c.err
	}
	return pattern{route: r, re: c.re}, nil
}

type compiledRegex struct {
	re  *regexp.Regexp
	err error
}

// compileRegex compiles "^path" without regard to case, once for all tables that use
// the same text.
func compileRegex(state *exchange.State, path string) compiledRegex {
	compile := func() compiledRegex {
		re, err := regexp.Compile("(?i)^" + path)
		return compiledRegex{re, err}
	}
	if state == nil {
		return compile()
	}
	return exchange.Keep(state, "routing/regex "+path, compile)
}

// isPlain reports whether a pattern is ASCII text in which no byte is special.
func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 || strings.IndexByte(`\.+*?()|[]{}^$`, s[i]) >= 0 {
			return false
		}
	}
	return true
}

// literalStart returns text that everything the pattern can match begins with: "" when
// there is no telling.
func literalStart(pattern string) string {
	if hasAlternative(pattern) {
		return ""
	}
	end := 0
	for end < len(pattern) && isPlain(pattern[end:end+1]) {
		end++
	}
	if end < len(pattern) && strings.IndexByte("*?{", pattern[end]) >= 0 && end > 0 {
		end-- // the byte before is optional
	}
	return pattern[:end]
}

// hasAlternative reports whether a "|" stands outside of all groups, as far as that
// can be told of a pattern that does not compile: when in doubt, true.
func hasAlternative(pattern string) bool {
	depth := 0
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '[':
			return strings.Contains(pattern[i:], "|") // where the class ends is in doubt
		case '(':
			depth++
		case ')':
			depth--
		case '|':
			if depth <= 0 {
				return true
			}
		}
	}
	return false
}

// hasPrefixFold reports whether s begins with prefix, ASCII letters of either case
// being equal.
func hasPrefixFold(s, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := 0; i < len(prefix); i++ {
		a, b := s[i], prefix[i]
		if a != b && (a|0x20 != b|0x20 || a|0x20 < 'a' || a|0x20 > 'z') {
			return false
		}
	}
	return true
}
