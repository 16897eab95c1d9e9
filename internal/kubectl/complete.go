package kubectl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// noFiles tells kubectl not to offer file names.
const noFiles = ":4"

// Complete prints what the last word may become, as kubectl asks a program of the name
// kubectl_complete-pierhead.
func Complete(env *Env, args []string) {
	word := ""
	if len(args) > 0 {
		word = args[len(args)-1]
	}
	var all []string
	switch c := find(firstWord(args)); {
	case len(args) <= 1:
		for _, c := range subcommands() {
			all = append(all, c.name+"\t"+c.short)
		}
	case c != nil && strings.HasPrefix(word, "-"):
		newCall(env, c).flags.VisitAll(func(f *pflag.Flag) { all = append(all, "--"+f.Name) })
	}
	all = slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, word) })
	fmt.Fprintln(env.Stdout, strings.Join(append(all, noFiles), "\n"))
}

func firstWord(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
