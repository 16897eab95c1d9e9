package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

var completionCommand = command{
	name:  "completion",
	short: "print a completion script for bash, zsh or fish",
	usage: `usage: pierhead completion bash|zsh|fish

Prints a script that completes commands, flags and file names.

examples:
  source <(pierhead completion bash)
  pierhead completion zsh > "${fpath[1]}/_pierhead"
  pierhead completion fish > ~/.config/fish/completions/pierhead.fish
`,
}

func init() { completionCommand.run = completion }

func completion(_ context.Context, args []string, stdout, _ io.Writer) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("completion: name one shell: bash, zsh or fish")}
	}
	switch args[0] {
	case "bash":
		completeBash(stdout)
	case "zsh":
		fmt.Fprintln(stdout, "#compdef pierhead\nautoload -U +X bashcompinit && bashcompinit")
		completeBash(stdout)
	case "fish":
		completeFish(stdout)
	default:
		return usageError{fmt.Errorf("completion: no script for %q; there are bash, zsh and fish", args[0])}
	}
	return nil
}

// usageFlags reads the flags of a command out of its usage text, so that the two
// cannot differ: a flag is the first word of an indented line and begins with "-".
func usageFlags(c command) (fs []string) {
	for _, line := range strings.Split(c.usage, "\n") {
		if f := strings.Fields(line); len(f) > 0 && strings.HasPrefix(line, "  -") {
			fs = append(fs, strings.TrimSuffix(f[0], ","))
		}
	}
	return fs
}

func completeBash(w io.Writer) {
	fmt.Fprint(w, "_pierhead() {\n  local cur=${COMP_WORDS[COMP_CWORD]}\n  if [ \"$COMP_CWORD\" -eq 1 ]; then\n")
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	fmt.Fprintf(w, "    COMPREPLY=($(compgen -W '%s help' -- \"$cur\"))\n    return\n  fi\n  local flags=\n  case ${COMP_WORDS[1]} in\n", strings.Join(names, " "))
	for _, c := range commands() {
		fmt.Fprintf(w, "  %s) flags='%s' ;;\n", c.name, strings.Join(usageFlags(c), " "))
	}
	fmt.Fprint(w, "  esac\n  case $cur in\n  -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\")) ;;\n  *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n  esac\n}\ncomplete -o filenames -F _pierhead pierhead\n")
}

func completeFish(w io.Writer) {
	for _, c := range commands() {
		fmt.Fprintf(w, "complete -c pierhead -n __fish_use_subcommand -f -a %s -d '%s'\n", c.name, strings.ReplaceAll(c.short, "'", ""))
		for _, f := range usageFlags(c) {
			fmt.Fprintf(w, "complete -c pierhead -n '__fish_seen_subcommand_from %s' -l %s\n", c.name, strings.TrimLeft(f, "-"))
		}
	}
}
