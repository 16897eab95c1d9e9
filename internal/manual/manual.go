// Package manual holds the parts of the documents that are made from code to that
// code. It is for tests: nothing else imports it.
//
// A part stands between two marker lines of a page under docs; make update rewrites
// it, and the ordinary test run compares.
package manual

import (
	"flag"
	"os"
	"strings"
	"testing"
)

// Update says that golden files and made parts are to be rewritten.
var Update = flag.Bool("update", false, "rewrite golden files and the made parts of docs")

// Compare compares the part of a page, such as "errors.md", between the markers of
// that name with want, or rewrites it.
func Compare(t testing.TB, page, part, want string) {
	t.Helper()
	path := "../../docs/" + page
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+part+": made from the code by make update -->\n", "<!-- end of "+part+" -->"
	before, rest, ok := strings.Cut(string(text), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("docs/%s has no markers %q and %q", page, begin, end)
	}
	if got == want {
		return
	}
	if !*Update {
		t.Errorf("docs/%s does not tell %s as the code has it: run make update", page, part)
		return
	}
	if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
