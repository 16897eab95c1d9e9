// Command pierhead is the front door of a Kubernetes cluster as one binary: ingress
// controller, load balancer addresses and DNS records. This package reads the
// command line and wires the packages under internal; one file for each subcommand.
//
// How it speaks: what was asked for goes to standard output; everything else goes to
// standard error with a "pierhead: " prefix, lower case, without full stop, and an
// error says what to do next.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

// version is set when a release is built.
var version = "0.1.0-dev"

// command is one subcommand. run returns nil, an error that is printed, or an
// exitCode that is not.
type command struct {
	name  string
	short string
	usage string
	run   func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

// commands in the order help shows them.
func commands() []command {
	return []command{demoCommand, upCommand, controllerCommand, checkCommand, explainCommand, statusCommand, healthzCommand, kubectlCommand, completionCommand, versionCommand}
}

// exitCode ends the process without a further message.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

func main() {
	boundGarbage()
	os.Exit(run(byName(os.Args), os.Stdout, os.Stderr))
}

// run is main without the process: tests call it.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	err := dispatch(ctx, args, stdout, stderr)
	var code exitCode
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(stderr, "pierhead: %v\n", err)
	var u usageError
	if errors.As(err, &u) {
		return 2
	}
	return 1
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, mainUsage())
		return exitCode(2)
	}
	name := args[0]
	switch name {
	case "-h", "--help":
		fmt.Fprint(stdout, mainUsage())
		return nil
	case "--version":
		name = "version"
	case "help":
		if len(args) == 1 {
			fmt.Fprint(stdout, mainUsage())
			return nil
		}
		for _, c := range commands() {
			if c.name == args[1] {
				fmt.Fprint(stdout, c.usage)
				return nil
			}
		}
		return usageError{fmt.Errorf("there is no command %q; see pierhead help", args[1])}
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, args[1:], stdout, stderr)
		}
	}
	return usageError{fmt.Errorf("there is no command %q; see pierhead help", name)}
}

// flags makes the flag set of a command; -h prints its usage.
func flags(c *command, stdout, stderr io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() { fmt.Fprint(stdout, c.usage) }
	return fs
}

// parse reads the flags, which may stand before and after the other words, and
// returns those words.
func parse(fs *flag.FlagSet, args []string) ([]string, error) {
	var words []string
	usage := fs.Usage
	fs.Usage = func() {} // package flag prints it for mistakes too
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				usage()
				return nil, err
			}
			return nil, usageError{fmt.Errorf("%s: %s; see pierhead help %s", fs.Name(), twoDashes(err), fs.Name())}
		}
		if fs.NArg() == 0 {
			return words, nil
		}
		rest := fs.Args()
		if n := len(args) - len(rest); n > 0 && args[n-1] == "--" {
			return append(words, rest...), nil
		}
		words, args = append(words, rest[0]), rest[1:]
	}
}

// twoDashes writes the flag that an error of package flag names as the usage does.
func twoDashes(err error) string {
	return oneDash.ReplaceAllString(err.Error(), "$1--$2")
}

var oneDash = regexp.MustCompile(`(flag provided but not defined: |for flag |flag needs an argument: |boolean value ".*" for )-([a-z]{2})`)
