package model

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestShorten(t *testing.T) {
	for s, want := range map[string]string{"": "", "ten bytes.": "ten bytes.", "ten bytes and more": "ten byt…", "sieben ä übrig": "sieben …"} {
		if got := Shorten(s, 10); got != want {
			t.Errorf("Shorten(%q) is %q, want %q", s, got, want)
		}
	}
}

// What a problem says stays one short line, whatever stands in the object.
func TestProblemIsShort(t *testing.T) {
	long := strings.Repeat("ä", 1<<20)
	p := Problem{Origin: Origin{Kind: "Ingress", Namespace: "a", Name: "b"}, Field: "f", Value: long, Reason: long, Remedy: long}
	if got := p.String(); len(got) > 4000 || !utf8.ValidString(got) {
		t.Errorf("a problem has %d bytes", len(got))
	}
}
