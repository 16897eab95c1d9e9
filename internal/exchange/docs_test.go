package exchange

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated parts of docs")

// page compares what stands between the markers of a page with want, or rewrites
// it.
func page(t *testing.T, file, marker, want string) {
	t.Helper()
	path := "../../docs/" + file
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+marker+": made by go test ./internal/exchange -update -->\n", "<!-- end of "+marker+" -->"
	before, rest, ok := strings.Cut(string(text), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("docs/%s has no markers %q and %q", file, begin, end)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("docs/%s does not list %s as they are: run make update", file, marker)
	}
}

func TestErrorsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| kind | side | status | another try | condition | meaning |\n|---|---|---|---|---|---|\n")
	for _, k := range Kinds() {
		if k.Doc() == "" || k.Status() < 400 {
			t.Errorf("%s says too little about itself", k)
		}
		retry := [...]string{"no", "yes", "idempotent"}[k.Retry()]
		cond := map[RetryOn]string{0: "", RetryError: "`error`", RetryTimeout: "`timeout`", RetryInvalidHeader: "`invalid_header`"}[k.RetryOn()]
		fmt.Fprintf(&b, "| `%s` | %s | %d | %s | %s | %s |\n", k, k.Source(), k.Status(), retry, cond, k.Doc())
	}
	page(t, "errors.md", "kinds", b.String()+"\n")
}

func TestPhasesPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| phase | what is true |\n|---|---|\n")
	for _, p := range Phases() {
		fmt.Fprintf(&b, "| %s | %s |\n", p, p.Doc())
	}
	page(t, "phases.md", "phases", b.String()+"\n")
}
