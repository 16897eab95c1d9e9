package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite docs/standalone.md")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"pierhead": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the command line's scripts. $EXAMPLES is the folder of examples.
func TestScripts(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("EXAMPLES", examples)
			return nil
		},
	})
}

// TestUsageIsTold holds that docs/standalone.md shows the usage of up as it is.
func TestUsageIsTold(t *testing.T) {
	const page, begin, end = "../../docs/standalone.md", "<!-- usage: made from the code by make update -->\n", "<!-- end -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := bytes.Cut(text, []byte(begin))
	if !ok {
		t.Fatalf("%s has no line %q", page, begin)
	}
	_, tail, ok := bytes.Cut(rest, []byte(end))
	if !ok {
		t.Fatalf("%s has no line %q", page, end)
	}
	want := string(head) + begin + "\n```\n" + upCommand.usage + "```\n\n" + end + string(tail)
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s does not show the usage of up; run make update", page)
	}
}

// TestUsageNamesEveryFlag holds that no flag is missing in the usage text of its
// command.
func TestUsageNamesEveryFlag(t *testing.T) {
	for _, c := range []command{upCommand, checkCommand, explainCommand} {
		fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
		if c.name == "up" {
			if _, _, err := upOptions(&c, nil, &bytes.Buffer{}, &bytes.Buffer{}, func(f *flag.FlagSet) { fs = f }); err != nil {
				t.Fatal(err)
			}
		} else {
			planFlags(fs)
		}
		shown := strings.Join(usageFlags(c), " ") + " "
		fs.VisitAll(func(f *flag.Flag) {
			if !strings.Contains(shown, "--"+f.Name+" ") && !strings.Contains(shown, "-"+f.Name+" ") {
				t.Errorf("usage of %s does not name --%s", c.name, f.Name)
			}
		})
	}
}
