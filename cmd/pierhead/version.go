package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

var versionCommand = command{
	name:  "version",
	short: "print the version",
	usage: `usage: pierhead version

Prints the version, the commit it was built from where that is known, and the
Go version and system.

example:
  pierhead version
`,
	run: func(_ context.Context, _ []string, stdout, _ io.Writer) error {
		commit := revision()
		if commit != "" {
			commit = " " + commit
		}
		_, err := fmt.Fprintf(stdout, "pierhead %s%s %s %s/%s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	},
}

// revision returns the commit that the program was built from, or "" where that is not
// known.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
