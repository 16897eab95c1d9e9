// Package arch holds the rules of ARCHITECTURE.md as tests: who may import whom,
// which words and paths the documents may use, how large a file may be. It has no
// other code.
package arch

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pierhead/pierhead/"

// allowed lists, for each package, the packages of ours that its code (not its
// tests) may import. Do not change this table to mend a build: a new entry is a
// change of the architecture and goes into ARCHITECTURE.md first.
var allowed = map[string]string{
	"internal/model":           "",
	"internal/message":         "",
	"internal/loop":            "",
	"internal/exchange":        "internal/message",
	"internal/limit":           "",
	"internal/manual":          "",
	"internal/htpasswd":        "",
	"internal/overload":        "",
	"internal/policy":          "internal/model internal/message internal/exchange internal/limit internal/htpasswd",
	"internal/wire/http1":      "internal/message internal/wire/pace internal/loop",
	"internal/wire/http2":      "internal/message internal/wire/pace internal/loop",
	"internal/wire/http3":      "internal/message internal/wire/http2 internal/loop",
	"internal/wire/pace":       "",
	"internal/wire/tlsconn":    "internal/loop",
	"internal/wire/proxyproto": "internal/loop",
	"internal/upstream":        "internal/model internal/message internal/exchange internal/wire/http1 internal/wire/http2 internal/wire/tlsconn internal/loop",
	"internal/routing":         "internal/model internal/message internal/exchange internal/policy internal/upstream",
	"internal/proxy":           "internal/model internal/message internal/exchange internal/routing internal/upstream internal/overload internal/wire/http1 internal/wire/http2 internal/loop",
	"internal/listen":          "internal/model internal/message internal/exchange internal/overload internal/wire/http1 internal/wire/http2 internal/wire/http3 internal/wire/tlsconn internal/wire/proxyproto internal/loop",
	"internal/l4":              "internal/wire/proxyproto internal/loop",
	"internal/takeover":        "",
	"internal/lb":              "internal/model",
	"internal/dns":             "internal/model",
	"internal/dns/server":      "internal/dns internal/model",
	"internal/translate":       "internal/model internal/policy",
	"internal/source/file":     "internal/model internal/translate",
	"internal/source/kube":     "internal/model internal/translate",
	"internal/status":          "internal/model",
	"internal/admission":       "internal/model internal/translate",
	"internal/control":         "*",
	"internal/admin":           "internal/model internal/routing internal/upstream",
	"internal/kubectl":         "internal/model internal/translate internal/control internal/admin",
	"internal/demo":            "internal/control internal/admin examples",
}

// kubernetes lists the packages that may import k8s.io modules.
var kubernetes = []string{"internal/translate", "internal/source/file", "internal/source/kube", "internal/status", "internal/admission", "internal/kubectl"}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for pkg, imports := range packages(t) {
		name := strings.TrimPrefix(pkg, module)
		if !strings.HasPrefix(name, "internal/") || strings.HasSuffix(name, "test") || name == "internal/arch" {
			continue
		}
		rule, ok := allowed[name]
		if !ok {
			t.Errorf("package %s has no row in the import table: add it here and in ARCHITECTURE.md", name)
			continue
		}
		seen[name] = true
		for _, imp := range imports {
			if strings.HasPrefix(imp, "k8s.io/") || strings.HasPrefix(imp, "sigs.k8s.io/") {
				if !slices.Contains(kubernetes, name) {
					t.Errorf("%s imports %s: Kubernetes types belong in %v", name, imp, kubernetes)
				}
				continue
			}
			own, ours := strings.CutPrefix(imp, module)
			if ours && rule != "*" && !slices.Contains(strings.Fields(rule), own) {
				t.Errorf("%s imports %s: it may import only [%s]", name, own, rule)
			}
		}
	}
	for name := range allowed {
		if !seen[name] {
			t.Errorf("the import table has a row for %s, which is not there", name)
		}
	}
}

// packages lists every package of the module with the imports of its code.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		f := strings.Fields(line)
		all[f[0]] = f[1:]
	}
	return all
}
