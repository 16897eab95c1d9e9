package arch

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// avoided finds the words that CONTEXT.md lists under "avoid", as parts of the
// identifiers that our packages export. A row of the glossary reads
// "| word | meaning | avoid, avoid |".
func avoided(t *testing.T) map[string]string {
	text, err := os.ReadFile(filepath.Join(root, "CONTEXT.md"))
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.Contains(cells[1], "---") || strings.TrimSpace(cells[1]) == "Word" {
			continue
		}
		for _, a := range strings.Split(cells[3], ",") {
			if a = strings.TrimSpace(a); a != "" {
				words[a] = strings.TrimSpace(cells[1])
			}
		}
	}
	if len(words) < 10 {
		t.Fatalf("CONTEXT.md lists %d words to avoid: is the table still there?", len(words))
	}
	return words
}

var camel = regexp.MustCompile(`[A-Z][a-z0-9]*`)

func TestWords(t *testing.T) {
	avoid := avoided(t)
	for pkg, names := range identifiers(t) {
		for name := range names {
			if last := name[strings.LastIndexByte(name, '.')+1:]; !ast.IsExported(last) || !ast.IsExported(name) {
				continue
			}
			for _, part := range camel.FindAllString(name, -1) {
				if word := avoid[strings.ToLower(part)]; word != "" && !foreign[pkg+"."+name] {
					t.Errorf("%s.%s: we say %q, not %q (CONTEXT.md)", pkg, name, word, strings.ToLower(part))
				}
			}
		}
	}
}

// foreign lists identifiers whose word is not ours to choose.
var foreign = map[string]bool{
	"exchange.Conn.Peer":            true, // the other end of a TCP connection
	"message.Location":              true, // a field of RFC 9110
	"routing.AddSlash.Location":     true, // its value
	"kubectl.ServiceInfo.ClusterIP": true, // a field of a Service
}
