package admission

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pierhead/pierhead/internal/model"
)

// What the API server hands on, in letters: 4,096 for all warnings of one request,
// whoever gives them, and beyond that 256 for each, and beyond that nothing. So that
// other webhooks have room too, ours are fewer.
const (
	allLimit     = 3500
	warningLimit = 1000
	tightLimit   = 256
	messageLimit = 4096 // of a refusal
	valueLimit   = 80   // of a value in a text
)

// warnings makes warnings of what is wrong with an Ingress, the worst first.
func warnings(in *networkingv1.Ingress, problems []model.Problem) []string {
	problems = slices.Clone(problems)
	slices.SortStableFunc(problems, func(a, b model.Problem) int { return int(b.Severity) - int(a.Severity) })
	var texts []string
	for _, p := range problems {
		texts = append(texts, sentence(p))
	}
	return fit(append(texts, badPaths(in)...))
}

// sentence says what is wrong where, to the one who writes the object.
func sentence(p model.Problem) string {
	var b strings.Builder
	if p.Field != "" {
		b.WriteString(p.Field)
		if p.Value != "" {
			fmt.Fprintf(&b, " = %q", shortened(p.Value))
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Reason)
	if p.Remedy != "" {
		b.WriteString("; " + p.Remedy)
	}
	return b.String()
}

// fit makes texts fit what the API server hands on. What is left out is counted.
func fit(texts []string) []string {
	total := 0
	for i, t := range texts {
		texts[i] = cut(printable(t), warningLimit)
		total += utf8.RuneCountInString(texts[i])
	}
	if total <= allLimit {
		return texts
	}
	const room = 100 // for the last one
	kept := allLimit - room
	for i, t := range texts {
		texts[i] = cut(t, tightLimit)
		if kept -= utf8.RuneCountInString(texts[i]); kept < 0 {
			return append(texts[:i], fmt.Sprintf("and %d more: pierhead check shows all of them", len(texts)-i))
		}
	}
	return texts
}

// printable replaces what cannot stand in a header field.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// shortened returns a value as it may stand in a text.
func shortened(s string) string { return cut(s, valueLimit) }

// cut returns the first letters of a text, and a mark when there are more.
func cut(s string, letters int) string {
	if len(s) <= letters {
		return s
	}
	n := 0
	for i := range s {
		if n++; n == letters {
			if utf8.RuneCountInString(s[i:]) == 1 {
				return s
			}
			return s[:i] + "…"
		}
	}
	return s
}
