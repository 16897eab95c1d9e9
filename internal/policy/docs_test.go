package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/manual"
)

func TestAnnotationsPage(t *testing.T) {
	manual.Compare(t, "annotations.md", "annotations", sections(OnRoute))
	manual.Compare(t, "annotations.md", "not served", notServed(knownAnnotations))
}

func TestConfigMapPage(t *testing.T) {
	manual.Compare(t, "configmap.md", "keys", sections(OnController))
	manual.Compare(t, "configmap.md", "not served", notServed(knownConfig))
	manual.Compare(t, "configmap.md", "variables", "`$"+strings.Join(exchange.Variables(), "` `$")+"`\n")
}

// sections is the section of every unit that has keys of the scope.
func sections(scope Scope) string {
	var b strings.Builder
	for _, u := range Units() {
		var rows []string
		for _, k := range u.Keys {
			if d := k.decl(); d.Scope&scope != 0 && d.unit == u.Name {
				rows = append(rows, row(d, scope))
			}
		}
		if rows == nil {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\nFollows: %s.\n\n", u.Name, u.Doc, u.Follows)
		if scope == OnRoute {
			b.WriteString("| annotation | type | default | bad value | meaning |\n|---|---|---|---|---|\n")
		} else {
			b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
		}
		b.WriteString(strings.Join(rows, ""))
		b.WriteString(shownExample(u, scope))
	}
	return b.String() + "\n"
}

func row(d *Decl, scope Scope) string {
	name := "`" + d.Name + "`"
	doc := d.Doc
	if len(d.Aliases) > 0 {
		doc += " Also written `" + strings.Join(d.Aliases, "`, `") + "`."
	}
	def := d.Default
	if d.Name == "log-format-upstream" {
		def = "see below"
	}
	if def != "" {
		def = "`" + def + "`"
	}
	if scope == OnRoute && d.Scope&OnController != 0 {
		def = strings.TrimPrefix(def+" or the ConfigMap's", " or ")
	}
	cells := []string{name, d.Type, def}
	if scope == OnRoute {
		cells = append(cells, d.OnBad.String())
	}
	return "| " + strings.ReplaceAll(strings.Join(append(cells, doc), " | "), "\n", " ") + " |\n"
}

// shownExample is the example of a unit, on the page where its first part belongs.
func shownExample(u *Unit, scope Scope) string {
	files := txtar.Parse([]byte(u.Example)).Files
	onRoute := slices.ContainsFunc(files, func(f txtar.File) bool { return f.Name == "annotations" })
	if len(files) == 0 || onRoute != (scope == OnRoute) {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n")
	for _, f := range files {
		fmt.Fprintf(&b, "```text\n# %s\n%s```\n", f.Name, f.Data)
	}
	return b.String()
}

// notServed lists names that are known and not served, by what is said about them.
func notServed(t table) string {
	by := map[string][]string{}
	for name, k := range t {
		reason, remedy := k.words()
		if remedy != "" {
			reason += "; " + remedy
		}
		if k.closes != nil {
			reason += "; closes the route where it may be a guard"
		}
		if k.rejects != nil {
			reason += "; the Ingress is not served"
		}
		by[reason] = append(by[reason], "`"+name+"`")
	}
	var reasons []string
	for r, names := range by {
		slices.Sort(names)
		reasons = append(reasons, r)
	}
	slices.Sort(reasons)
	var b strings.Builder
	b.WriteString("\n| name | what Pierhead says |\n|---|---|\n")
	for _, r := range reasons {
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(by[r], " "), r)
	}
	return b.String() + "\n"
}

func TestWordsOfDocuments(t *testing.T) {
	for _, u := range Units() {
		if u.Doc == "" || !strings.HasSuffix(u.Doc, ".") || u.Follows == "" {
			t.Errorf("%s says too little about itself: %q, follows %q", u.Name, u.Doc, u.Follows)
		}
	}
	for _, d := range Decls() {
		if !strings.HasSuffix(d.Doc, ".") {
			t.Errorf("%s is told by %q, which is no sentence", d.Name, d.Doc)
		}
	}
}

func TestOrderOfPolicies(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| policy | phase of its request half | also changes answers |\n|---|---|---|\n")
	for _, p := range order {
		phase, answers := "none: it sets how requests are sent on", ""
		if c, ok := p.(Builder); ok && p.PolicyName() != "no-access-log" {
			phase = c.Phase().String()
		}
		if responds[p.PolicyName()] {
			answers = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.PolicyName(), phase, answers)
	}
	manual.Compare(t, "phases.md", "policies", b.String()+"\n")
}

// responds lists the policies whose steps have a response half, which
// TestRespondsIsTrue holds.
var responds = map[string]bool{"cors": true, "sticky": true, "auth-cookies": true, "hsts": true}

func TestRespondsIsTrue(t *testing.T) {
	for _, p := range order {
		b, ok := p.(Builder)
		if !ok {
			continue
		}
		step, err := b.Build(&Env{Route: &exchange.Route{Path: "/x", TLS: true}, State: exchange.NewState()})
		if err != nil || step == nil {
			continue // needs more than an empty policy; those change no answers
		}
		if _, ok := step.(exchange.ResponseStep); ok != responds[p.PolicyName()] {
			t.Errorf("%s changes answers: %v", p.PolicyName(), ok)
		}
	}
}
