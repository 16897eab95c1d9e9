package kubectl

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/pierhead/pierhead/internal/control"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

func lintCommand() *subcommand {
	var secrets, strict bool
	var severity string
	return &subcommand{
		name: "lint", short: "what is wrong with the cluster's Ingresses, ConfigMaps and controllers",
		usage: ` [flags]

Reads the Ingresses, Services, IngressClasses, the controllers' Deployments and DaemonSets
(ingress-nginx's too) and the ConfigMaps they name, and translates them as a controller
would: every value that is wrong, unknown, removed or not served is told with object,
field, reason and remedy. It asks no controller, so it tells before Pierhead is installed
what will differ. Secrets are read only with --secrets; what depends on them is named as
not checked otherwise, as is all that you have no right to read.
Exit status: 0, or 1 with errors (with --strict: with warnings too), or 2 when the command
line is wrong.

flags:
  -A, --all-namespaces      all namespaces; the default unless -n is given
      --secrets             check the content of the Secrets that Ingresses name too
      --severity LEVEL      the least that text shows: error, warning or info
                            (default warning)
      --strict              warnings count as errors
` + commonUsage + `  -o, --output FORMAT       text, json or yaml (default text)

examples:
  kubectl pierhead lint
  kubectl pierhead lint -n shop --severity info
`,
		flags: func(k *call) {
			k.flags.StringVarP(&k.output, "output", "o", "text", "")
			k.flags.BoolVarP(&k.allNamespaces, "all-namespaces", "A", false, "")
			k.flags.BoolVar(&secrets, "secrets", false, "")
			k.flags.BoolVar(&strict, "strict", false, "")
			k.flags.StringVar(&severity, "severity", "warning", "")
		},
		run: func(ctx context.Context, k *call) error {
			var least model.Severity
			if err := firstOf(k.noWords(), k.format("text")); err != nil {
				return err
			}
			if err := least.UnmarshalText([]byte(severity)); err != nil {
				return UsageError{fmt.Errorf("lint: --%w", err)}
			}
			s := newScope(k, secrets)
			if err := s.read(ctx); err != nil {
				return err
			}
			l := s.lint()
			if k.data() {
				if err := k.print(l); err != nil {
					return err
				}
			} else {
				l.write(k, least)
			}
			if l.Errors > 0 || strict && l.Warnings > 0 {
				return ErrFound
			}
			return nil
		},
	}
}

// Lint is what lint found.
type Lint struct {
	Ingresses   int             `json:"ingresses"`   // that were read
	Controllers []string        `json:"controllers"` // that they were checked for
	Assumed     bool            `json:"assumed"`     // no controller is seen: one without flags is taken
	Problems    []model.Problem `json:"problems"`
	Unchecked   []Unchecked     `json:"unchecked"`
	Errors      int             `json:"errors"`
	Warnings    int             `json:"warnings"`
	Infos       int             `json:"infos"`
}

// Unchecked is something that could not be looked at.
type Unchecked struct {
	What string   `json:"what"`
	Why  string   `json:"why"`
	For  []string `json:"for"` // what depends on it
}

// lint translates what was read.
func (s *scope) lint() *Lint {
	opt := translate.Options{ForeignBalancers: true}
	if s.controllers == 0 {
		opt.Default = &translate.Default{Flags: translate.DefaultFlags()}
	}
	plan := control.Check(s.objects, nil, control.Rules{Translate: opt})
	l := &Lint{Ingresses: s.ingresses, Controllers: []string{}, Problems: []model.Problem{}, Unchecked: []Unchecked{}}
	l.Assumed = opt.Default != nil
	for _, c := range plan.Config.Controllers {
		l.Controllers = append(l.Controllers, c.Name)
	}
	for _, p := range plan.Problems {
		if s.unknown(p) {
			continue
		}
		l.Problems = append(l.Problems, p)
		switch p.Severity {
		case model.Error:
			l.Errors++
		case model.Warning:
			l.Warnings++
		default:
			l.Infos++
		}
	}
	l.Unchecked = append(l.Unchecked, s.unchecked...)
	return l
}

// unreadServices is what is not checked when Services may not be read.
const unreadServices = "Services"

// unknown tells whether a problem is only that something was not read, and notes what
// depends on that.
func (s *scope) unknown(p model.Problem) bool {
	for i := range s.unchecked {
		u := &s.unchecked[i]
		if u.What == unreadServices && strings.Contains(p.Reason, " could not be read; requests") {
			return true
		}
		if strings.Contains(p.Reason, u.What+" could not be read") {
			u.For = append(u.For, strings.TrimSuffix(p.Origin.String()+" "+p.Field, " "))
			return true
		}
	}
	return false
}

// write prints what was found, object by object.
func (l *Lint) write(k *call, least model.Severity) {
	w := k.Stdout
	last := ""
	hidden := 0
	for _, p := range l.Problems {
		if p.Severity < least {
			hidden++
			continue
		}
		if object := p.Origin.String(); object != last {
			if last != "" {
				fmt.Fprintln(w)
			}
			fmt.Fprintln(w, object)
			last = object
		}
		level := p.Severity.String()
		where := strings.TrimSpace(p.Field)
		if p.Value != "" {
			where += fmt.Sprintf(" = %q", cut(p.Value, 200))
		}
		fmt.Fprintf(w, "  %s%s  %s\n", k.colored(level, level), strings.Repeat(" ", len("warning")-len(level)), strings.TrimPrefix(where+": "+p.Reason, ": "))
		if p.Remedy != "" {
			fmt.Fprintf(w, "           %s\n", p.Remedy)
		}
	}
	if last != "" {
		fmt.Fprintln(w)
	}
	l.writeUnchecked(w)
	takers := strings.Join(l.Controllers, ", ")
	if l.Assumed {
		takers = "a controller without flags, since none is seen"
	}
	fmt.Fprintf(w, "%s for %s: %s, %s, %s", count(l.Ingresses, "Ingress"), takers,
		count(l.Errors, "error"), count(l.Warnings, "warning"), count(l.Infos, "info"))
	if hidden > 0 {
		fmt.Fprintf(w, " (%d not shown: see --severity)", hidden)
	}
	fmt.Fprintln(w)
}

// mostNamed is how many things of one kind are named that were not checked.
const mostNamed = 5

// writeUnchecked says what was not looked at, for each reason once.
func (l *Lint) writeUnchecked(w io.Writer) {
	var reasons []string
	by := map[string][]Unchecked{}
	for _, u := range l.Unchecked {
		if by[u.Why] == nil {
			reasons = append(reasons, u.Why)
		}
		by[u.Why] = append(by[u.Why], u)
	}
	for _, why := range reasons {
		fmt.Fprintf(w, "not checked (%s):\n", why)
		for i, u := range by[why] {
			if i == mostNamed {
				fmt.Fprintf(w, "  and %d more; -o json names all\n", len(by[why])-i)
				break
			}
			text := u.What
			if len(u.For) > 0 {
				text += ", for " + strings.Join(u.For[:min(len(u.For), mostNamed)], ", ")
			}
			fmt.Fprintln(w, "  "+text)
		}
	}
}
