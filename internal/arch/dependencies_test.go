package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var required = regexp.MustCompile(`(?m)^\s*(?:require )?([a-z0-9.]+\.[a-z]+/\S+) v\S+$`)

// TestDependenciesAreTold compares docs/dependencies.md with the direct
// requirements of go.mod.
func TestDependenciesAreTold(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, m := range required.FindAllStringSubmatch(string(mod), -1) {
		direct = append(direct, m[1]) // indirect ones end in a comment
	}
	if len(direct) < 5 {
		t.Fatalf("go.mod has %d direct requirements: is it still read rightly?", len(direct))
	}
	var told []string
	for _, line := range strings.Split(string(page), "\n") {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.Contains(cells[1], "/") {
			for _, m := range strings.Split(cells[1], ",") {
				told = append(told, strings.TrimSpace(m))
			}
		}
	}
	for _, m := range direct {
		if !slices.Contains(told, m) {
			t.Errorf("docs/dependencies.md does not tell about %s", m)
		}
	}
	for _, m := range told {
		if !slices.Contains(direct, m) {
			t.Errorf("docs/dependencies.md tells about %s, which go.mod does not require", m)
		}
	}
}
