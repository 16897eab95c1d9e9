package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/pierhead/pierhead/internal/kubectl"
)

// The names under which this program is a plugin of kubectl, and what completes it.
const (
	pluginName   = "kubectl-pierhead"
	completeName = "kubectl_complete-pierhead"
)

var kubectlCommand = command{
	name:  "kubectl",
	short: "ask the controllers of a cluster; also as kubectl pierhead",
	usage: kubectl.Usage(),
}

func init() { kubectlCommand.run = runKubectl }

func runKubectl(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	env := &kubectl.Env{Stdout: stdout, Stderr: stderr, Version: version}
	if f, ok := stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		env.Width, _, _ = term.GetSize(int(f.Fd()))
		env.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	if len(args) > 0 && args[0] == completeName {
		kubectl.Complete(env, args[1:])
		return nil
	}
	err := kubectl.Run(ctx, env, args)
	var mistake kubectl.UsageError
	switch {
	case errors.Is(err, kubectl.ErrFound):
		return exitCode(1)
	case errors.As(err, &mistake):
		return usageError{err}
	}
	return err
}

// asPlugin returns the words of the command line with the command they stand for, when
// the program has the name of the plugin.
func asPlugin(words []string) ([]string, bool) {
	if len(words) == 0 {
		return nil, false
	}
	switch strings.TrimSuffix(filepath.Base(words[0]), ".exe") {
	case pluginName:
		return append([]string{kubectlCommand.name}, words[1:]...), true
	case completeName:
		return append([]string{kubectlCommand.name, completeName}, words[1:]...), true
	}
	return nil, false
}
