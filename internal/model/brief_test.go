package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestBrief: one object with many problems leaves room for those of others.
func TestBrief(t *testing.T) {
	at := func(name string) Origin { return Origin{Kind: "Ingress", Namespace: "a", Name: name} }
	var ps []Problem
	for i := range 1000 {
		ps = append(ps, Problem{Origin: at("many"), Reason: fmt.Sprint("warning ", i), Severity: Warning})
	}
	ps[700].Severity, ps[700].Reason = Error, "error"
	ps[0].Severity = Info
	ps = append(ps, Problem{Origin: at("one"), Reason: "alone", Severity: Warning}, Problem{Origin: at("one"), Reason: "nothing to do"})
	before := slices.Clone(ps)
	var got []string
	for _, p := range Brief(ps, 4) {
		got = append(got, p.Origin.Name+": "+p.Reason)
	}
	want := []string{"many: error", "many: warning 1", "many: warning 2", "many: and 996 more problems of this object", "one: alone"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if !slices.Equal(ps, before) {
		t.Error("the problems have changed")
	}
	if few := Brief(ps[999:], 4); len(few) != 2 || strings.Contains(few[0].Reason, "more") {
		t.Errorf("few problems become %v", few)
	}
}
