package main

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/admin"
)

// TestStateAsTables: what failed to listen is told beside it, and routes name their
// controller where there are several.
func TestStateAsTables(t *testing.T) {
	one := admin.Controller{Name: "a/one", HTTPS: "127.0.0.1:443", Error: "http: listen 127.0.0.1:80: address already in use"}
	s := &admin.State{Controllers: []admin.Controller{one}, Routes: []admin.Route{{Controller: "a/one", Host: "app.example.com", Path: "/"}}}
	text := func() string {
		var b strings.Builder
		writeState(&b, s)
		return b.String()
	}
	if got := text(); !strings.Contains(got, "127.0.0.1:443 (http: listen 127.0.0.1:80: address already in use)") || strings.Count(got, "a/one") != 1 {
		t.Errorf("one controller:\n%s", got)
	}
	s.Controllers = append(s.Controllers, admin.Controller{Name: "a/two"})
	if got := text(); strings.Count(got, "a/one") != 2 {
		t.Errorf("two controllers:\n%s", got)
	}
}
