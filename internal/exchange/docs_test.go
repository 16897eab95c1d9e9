package exchange

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/manual"
)

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
	manual.Compare(t, "errors.md", "kinds", b.String()+"\n")
}

func TestPhasesPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| phase | what is true |\n|---|---|\n")
	for _, p := range Phases() {
		fmt.Fprintf(&b, "| %s | %s |\n", p, p.Doc())
	}
	manual.Compare(t, "phases.md", "phases", b.String()+"\n")
}
