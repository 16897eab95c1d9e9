package admission

import (
	"fmt"
	"testing"
	"time"
)

// TestSnapshot: answers are counted by Ingress, those about what others serve are not,
// and counters of what is long gone are forgotten.
func TestSnapshot(t *testing.T) {
	now := time.Unix(5000, 0)
	s := serverOf(objects(t, made("stored", "a.example.com", "/")), func(o *Options) { o.Now = func() time.Time { return now } })
	ask(t, s, made("stored", "a.example.com", "/"))
	ask(t, s, made("stored", "a.example.com", "/"))
	ask(t, s, made("new", "a.example.com", "/"))
	ask(t, s, made("other", "b.example.com", "/", class("foreign")))
	expect := func(what string, want map[string]float64) {
		t.Helper()
		got := map[string]float64{}
		for _, m := range s.Snapshot() {
			name := m.Name
			if m.Counter {
				name = fmt.Sprintf("%s %s/%s", m.Name, m.Namespace, m.Ingress)
			}
			if m.Value != 0 {
				got[name] = m.Value
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	expect("after four questions", map[string]float64{"check_success x/stored": 2, "check_errors x/new": 1, "admission_tested_ingresses": 2})
	now = now.Add(2 * keptFor)
	expect("hours later", map[string]float64{"check_success x/stored": 2, "admission_tested_ingresses": 2})
	names := 0
	for _, m := range s.Snapshot() {
		if !m.Counter {
			names++
		}
	}
	if names != 6 {
		t.Errorf("%d gauges, want the reference's 6", names)
	}
}

// TestNamesAreBounded: ever new names do not fill the memory.
func TestNamesAreBounded(t *testing.T) {
	c := newCounts()
	for i := range mostKept + 10 {
		c.add(fmt.Sprint("x/", i), verdict{denied: "no"}, time.Unix(1, 0))
	}
	if len(c.of) > mostKept {
		t.Errorf("%d names are kept", len(c.of))
	}
}
