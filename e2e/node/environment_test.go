package node

import "testing"

func TestExpand(t *testing.T) {
	e := &environment{value: map[string]string{}}
	e.set("HOST", "example.test")
	e.set("PORT", "80")
	for in, want := range map[string]string{
		"":                         "",
		"plain":                    "plain",
		"$(HOST):$(PORT)":          "example.test:80",
		"$$(HOST)":                 "$(HOST)",
		"$(MISSING) $(HOST)":       "$(MISSING) example.test",
		"$(HOST":                   "$(HOST",
		"costs 5$":                 "costs 5$",
		"$HOST":                    "$HOST",
		"$$$(PORT)":                "$80",
		"--address=$(HOST)/$(X)$$": "--address=example.test/$(X)$",
	} {
		if got := e.expand(in); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEnvironmentKeepsItsOrder(t *testing.T) {
	e := &environment{value: map[string]string{}}
	e.set("B", "1")
	e.set("A", "2")
	e.set("B", "3")
	if got := e.list(); len(got) != 2 || got[0] != "B=3" || got[1] != "A=2" {
		t.Errorf("list = %q, want the last value at the first place", got)
	}
}
