package policy

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
)

var (
	blockAgents   = List("block-user-agents", nil, "texts or regular expressions", "User agents that are refused: the whole text, or after ~ or ~* a regular expression.", checkMatcher, only, bad(Close))
	blockReferers = List("block-referers", nil, "texts or regular expressions", "Referers that are refused, written as in block-user-agents.", checkMatcher, only, bad(Close))
)

var _ = Register(Unit{
	Name: "block", Doc: "Refuses requests by their User-Agent or Referer on every route of the controller, with 403.", Follows: "nginx map",
	Keys: []Key{blockAgents, blockReferers},
	Apply: func(d *Draft) {
		if p := (&Block{Agents: blockAgents.Get(d), Referers: blockReferers.Get(d)}); len(p.Agents)+len(p.Referers) > 0 {
			d.Use(p)
		}
	},
	Example: `
-- configmap --
block-user-agents: badbot,~*scan(ner)?
-- conversation --
request: GET http://app.example.com/
  User-Agent: BadBot
reply: 403
request: GET http://app.example.com/
  User-Agent: Mozilla/5.0 Scanner
reply: 403
request: GET http://app.example.com/
  User-Agent: badbot/2
upstream:
`,
})

// Block refuses requests by who they say they are.
type Block struct {
	Used
	Agents   []string `json:"agents,omitempty"`
	Referers []string `json:"referers,omitempty"`
}

// PolicyName returns "block".
func (*Block) PolicyName() string { return "block" }

// Phase returns Preflight: the host refuses before anything of the path answers.
func (*Block) Phase() exchange.Phase { return exchange.Preflight }

// Build makes the step.
func (p *Block) Build(*Env) (any, error) {
	agents, err := parseMatchers(p.Agents)
	if err != nil {
		return nil, err
	}
	referers, err := parseMatchers(p.Referers)
	if err != nil {
		return nil, err
	}
	return &blockStep{agents, referers}, nil
}

type blockStep struct{ agents, referers []matcher }

// Request refuses what a matcher finds.
func (s *blockStep) Request(x *exchange.Exchange) *exchange.Reply {
	if len(s.agents) > 0 && matches(s.agents, x.In.Header.GetKnown(message.UserAgent)) ||
		len(s.referers) > 0 && matches(s.referers, x.In.Header.GetKnown(message.Referer)) {
		return &forbidden
	}
	return nil
}

// matcher is a whole text, or a regular expression.
type matcher struct {
	text string
	re   *regexp.Regexp
}

func parseMatcher(s string) (matcher, error) {
	if !strings.HasPrefix(s, "~") {
		return matcher{text: s}, nil
	}
	pattern := s[1:]
	if fold, ok := strings.CutPrefix(pattern, "*"); ok {
		pattern = "(?i)" + fold
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return matcher{}, fmt.Errorf("%q is not a regular expression that Go can match: %w", s, err)
	}
	return matcher{re: re}, nil
}

func checkMatcher(s string) error { _, err := parseMatcher(s); return err }

func parseMatchers(list []string) (ms []matcher, err error) {
	for _, s := range list {
		m, err := parseMatcher(s)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
	}
	return ms, nil
}

func matches(ms []matcher, s string) bool {
	for i := range ms {
		if m := &ms[i]; m.re != nil && m.re.MatchString(s) || m.re == nil && strings.EqualFold(m.text, s) {
			return true
		}
	}
	return false
}
