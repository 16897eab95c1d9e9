package workflow

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/e2e/bed"
)

// A step is a command of a transcript and what it prints. A line "…" stands for any number
// of lines, and "…" in a line for any text.
type step struct {
	command string
	prints  []string
}

// transcript reads the steps of a document, which are indented by four columns between two
// marks.
func transcript(text string) (steps []step) {
	_, text, _ = strings.Cut(text, "<!-- transcript")
	text, _, _ = strings.Cut(text, "<!-- end of transcript")
	for line := range strings.Lines(text) {
		line, indented := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
		command, first := strings.CutPrefix(line, "$ ")
		switch {
		case !indented:
		case first:
			steps = append(steps, step{command: command})
		case len(steps) > 0:
			last := &steps[len(steps)-1]
			last.prints = append(last.prints, line)
		}
	}
	return steps
}

// matches says whether an output is what the step prints, whatever the space between words.
func (s *step) matches(output string) bool {
	pattern := `\A`
	for _, line := range s.prints {
		if line == "…" {
			pattern += `(?:.*\n)*?`
			continue
		}
		words := strings.Fields(line)
		for i, w := range words {
			words[i] = strings.ReplaceAll(regexp.QuoteMeta(w), "…", ".*")
		}
		pattern += strings.Join(words, `[ ]+`) + `[ ]*\n`
	}
	return regexp.MustCompile(pattern + `\z`).MatchString(strings.ReplaceAll(output, "\r", ""))
}

// perform runs the steps in one shell, in the repository's folder, as a reader would.
func perform(t *testing.T, steps []step) {
	repository, err := filepath.Abs(bed.Repository)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "=== status"
	script := "exec 2>&1\n"
	for _, s := range steps {
		script += s.command + "\necho; echo " + mark + " $?\n"
	}
	shell := exec.CommandContext(t.Context(), "bash", "-c", script)
	shell.Dir = repository
	shell.Env = append(os.Environ(), "KUBECONFIG="+kube.Kubeconfig(), "PATH="+kube.Bin+":"+os.Getenv("PATH"), "TMPDIR="+t.TempDir(),
		"enter="+strings.Join(kube.Enter(), " ")+" --wd="+repository+" --")
	out, err := shell.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rest := string(out)
	for _, s := range steps {
		var output string
		var status int
		output, rest, _ = strings.Cut(rest, "\n"+mark+" ")
		if _, err := fmt.Sscan(rest, &status); err != nil {
			t.Fatalf("%s: %v", s.command, err)
		}
		_, rest, _ = strings.Cut(rest, "\n")
		if status != 0 || !s.matches(output) {
			t.Fatalf("$ %s\n%sends with status %d; want\n%s", s.command, output, status, strings.Join(s.prints, "\n"))
		}
	}
}

func TestTranscript(t *testing.T) {
	steps := transcript("text\n    $ no\n<!-- transcript: x -->\n\n    $ one  two\n    a …\n    …\n    z\ntext\n\n    $ three\n<!-- end of transcript -->\n    $ no\n")
	if len(steps) != 2 || steps[0].command != "one  two" || len(steps[0].prints) != 3 || steps[1].command != "three" || steps[1].prints != nil {
		t.Fatalf("read %q", steps)
	}
	for output, want := range map[string]bool{"a b\nz\n": true, "a  b c \r\n1\n2\nz\n": true, "b\nz\n": false, "a b\nz\nmore\n": false, "a b\n": false, "": false} {
		if steps[0].matches(output) != want {
			t.Errorf("%q matches: %t", output, !want)
		}
	}
	if !steps[1].matches("") || steps[1].matches("x\n") {
		t.Error("a step that prints nothing")
	}
}
