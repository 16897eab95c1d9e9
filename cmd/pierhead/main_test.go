package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pierhead/pierhead/internal/manual"
)

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
	manual.Compare(t, "standalone.md", "usage", "\n```\n"+upCommand.usage+"```\n\n")
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
