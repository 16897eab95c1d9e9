package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Origin says where a value was written.
type Origin struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	File      string `json:"file,omitempty"` // "" when it came from a cluster
	Line      int    `json:"line,omitempty"`
}

// String returns "Kind namespace/name".
func (o Origin) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// Place returns "file:line", or "" for an object of a cluster.
func (o Origin) Place() string {
	if o.File == "" {
		return ""
	}
	if o.Line == 0 {
		return o.File
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}

// Severity says what a Problem means for the object.
type Severity uint8

// The severities.
const (
	// Info: nothing to do; something was converted or has another meaning.
	Info Severity = iota
	// Warning: a value is ignored or not supported; the rest of the object is served.
	Warning
	// Error: something the object asks for is not served, or is closed.
	Error
)

// String returns the severity's name.
func (s Severity) String() string { return [...]string{"info", "warning", "error"}[s] }

// MarshalText prints the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the severity's name.
func (s *Severity) UnmarshalText(b []byte) error {
	for v := Info; v <= Error; v++ {
		if v.String() == string(b) {
			*s = v
			return nil
		}
	}
	return fmt.Errorf("severity %q: want info, warning or error", b)
}

// Problem is one thing wrong in one object, told to its owner.
type Problem struct {
	Origin   Origin   `json:"object"`
	Field    string   `json:"field"`  // path of the field, such as metadata.annotations[x]
	Value    string   `json:"value"`  // as written; never a secret
	Reason   string   `json:"reason"` // what is wrong and what it does, lower case, no full stop
	Remedy   string   `json:"remedy"` // what to do
	Severity Severity `json:"severity"`
}

// How many bytes of its parts a problem prints.
const (
	longestValue = 200
	longestText  = 1000
)

// String prints the problem on one line.
func (p Problem) String() string {
	var b strings.Builder
	if at := p.Origin.Place(); at != "" {
		b.WriteString(at + ": ")
	}
	fmt.Fprintf(&b, "%s: %s", p.Severity, p.Origin)
	if p.Field != "" {
		b.WriteString(": " + Shorten(p.Field, longestText))
	}
	if p.Value != "" {
		fmt.Fprintf(&b, " = %q", Shorten(p.Value, longestValue))
	}
	b.WriteString(": " + Shorten(p.Reason, longestText))
	if p.Remedy != "" {
		b.WriteString("; " + Shorten(p.Remedy, longestText))
	}
	return b.String()
}

// CompareProblems orders problems by place, object, field and text.
func CompareProblems(a, b *Problem) int {
	if c := compareOrigins(&a.Origin, &b.Origin); c != 0 {
		return c
	}
	return cmp.Or(
		strings.Compare(a.Field, b.Field),
		strings.Compare(a.Value, b.Value),
		strings.Compare(a.Reason, b.Reason),
		cmp.Compare(a.Severity, b.Severity),
		strings.Compare(a.Remedy, b.Remedy),
	)
}

func compareOrigins(a, b *Origin) int {
	return cmp.Or(
		strings.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line),
		strings.Compare(a.Kind, b.Kind),
		strings.Compare(a.Namespace, b.Namespace),
		strings.Compare(a.Name, b.Name),
	)
}

// SortProblems orders problems and removes duplicates.
func SortProblems(ps []Problem) []Problem {
	slices.SortFunc(ps, func(a, b Problem) int { return CompareProblems(&a, &b) })
	return slices.Compact(ps)
}

// MergeProblems returns what two sorted lists hold, sorted and each problem once. It
// changes neither, and where one is empty it is the other.
func MergeProblems(a, b []Problem) []Problem {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	out := make([]Problem, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if CompareProblems(&a[0], &b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return slices.Compact(append(append(out, a...), b...))
}
