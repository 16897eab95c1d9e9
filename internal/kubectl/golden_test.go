package kubectl

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/pierhead/pierhead/internal/manual"
)

// shown are the calls whose output is held in testdata. Those with a name of a part are
// examples of docs/plugin.md.
var shown = []struct {
	file string
	args string
	tell bool // in docs/plugin.md
}{
	{"ingresses", "ingresses -n shop", true},
	{"ingresses-all", "ing -A -o wide", false},
	{"ingresses-json", "ingress -n shop --host shop.example.com --service cart -o json", false},
	{"routes", "routes -n pierhead --host shop.example.com", true},
	{"routes-wide", "routes --ingress docs/docs -o wide", false},
	{"backends", "backends", true},
	{"backends-list", "backends --list", false},
	{"backends-json", "backends --backend shop-cart-80 -o json", false},
	{"certs", "certs", true},
	{"certs-host", "certs --host shop.example.com", true},
	{"certs-fake", "certs --host unknown.example.com -o json", false},
	{"conf", "conf --host shop.example.com --path /cart", true},
	{"conf-yaml", "conf --host docs.example.com -o yaml", false},
	{"explain", "explain https://shop.example.com/cart/7", true},
	{"explain-field", `explain http://docs.example.com/ -X POST -H X-Forwarded-For:192.0.2.9 --from 192.0.2.7`, false},
	{"info", "info", true},
	{"info-wide", "info -o wide", false},
	{"info-json", "info -o json", false},
	{"logs", "logs --tail 1", true},
	{"logs-one", "logs --pod " + podA, false},
	{"lint", "lint", true},
	{"lint-secrets", "lint --secrets --severity info", false},
	{"lint-json", "lint -n shop --severity error -o json", false},
}

// unsteady is what differs from run to run.
var unsteady = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`X-Request-ID: [0-9a-f]{32}`), "X-Request-ID: 0123456789abcdef0123456789abcdef"},
	{regexp.MustCompile(`(?s)(-----BEGIN CERTIFICATE-----(?:\\n|\n)).*?(-----END CERTIFICATE-----)`), "${1}MIIB…\n$2"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "0.0.0.0:8080"},
	{regexp.MustCompile(`"(serial|notBefore|notAfter)": "[^"]*"`), `"$1": "…"`},
	{regexp.MustCompile(`(- generation|"generation"): \d+`), "$1: 1"},
}

func steady(text string) string {
	for _, u := range unsteady {
		text = u.what.ReplaceAllString(text, u.by)
	}
	return text
}

// TestShown compares what is seen on a terminal with testdata and the manual.
func TestShown(t *testing.T) {
	s := start(t)
	for _, c := range shown {
		t.Run(c.file, func(t *testing.T) {
			s := &apiServer{t: t, objects: s.objects, answers: s.answers, logs: s.logs, denied: s.denied, url: s.url}
			text, err := s.terminal(100, strings.Fields(c.args)...)
			if err != nil && err != ErrFound {
				t.Error(err)
			}
			got := steady("$ kubectl pierhead " + c.args + "\n" + text)
			path := filepath.Join("testdata", c.file+".txt")
			if *manual.Update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s\nrun make update and read the difference", got, want)
			}
			for _, secret := range []string{"hunter2", "PRIVATE"} {
				if strings.Contains(got, secret) {
					t.Errorf("it tells %q", secret)
				}
			}
			if c.tell {
				manual.Compare(t, "plugin.md", "example of "+c.file, "\n```\n"+got+"```\n\n")
			}
		})
	}
}

// TestUsageIsTold holds that docs/plugin.md shows every usage as it is, and that no flag
// is missing in them.
func TestUsageIsTold(t *testing.T) {
	for _, c := range subcommands() {
		manual.Compare(t, "plugin.md", "usage of "+c.name, "\n```\n"+c.help()+"```\n\n")
		k := newCall(&Env{}, c)
		k.flags.VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(c.help(), "--"+f.Name+" ") && !strings.Contains(c.help(), "--"+f.Name+"\n") {
				t.Errorf("usage of %s does not name --%s", c.name, f.Name)
			}
		})
		if !strings.Contains(c.help(), "\nexamples:\n  kubectl pierhead "+c.name) {
			t.Errorf("usage of %s has no example", c.name)
		}
	}
}
