// Package kubectl is the plugin "kubectl pierhead": it asks the controllers of a cluster
// what they serve, through the API server, and goes through the cluster's objects. It
// only reads.
//
// A subcommand (command.go) reads its flags, finds the controllers' Pods (pods.go), asks
// all of them the same (ask.go), says where they differ, and prints a table (table.go) or
// JSON (output.go). An error says what to do next (forbidden.go).
package kubectl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Env is where the plugin runs.
type Env struct {
	Stdout, Stderr io.Writer
	Width          int    // of the terminal behind Stdout; 0: there is none
	Color          bool   // Stdout shows colours
	Version        string // of this program
}

// UsageError is a mistake on the command line.
type UsageError struct{ error }

// ErrFound is the end of a lint that found something: it is told already.
var ErrFound = errors.New("something is wrong with the objects")

// subcommand is one word after "kubectl pierhead".
type subcommand struct {
	name    string
	aliases []string
	short   string
	usage   string // after the first line
	flags   func(*call)
	run     func(context.Context, *call) error
}

// subcommands in the order help shows them.
func subcommands() []*subcommand {
	return []*subcommand{
		ingressesCommand(), routesCommand(), backendsCommand(), certsCommand(), confCommand(), explainCommand(), infoCommand(), logsCommand(), lintCommand(),
	}
}

// gone are subcommands of ingress-nginx's plugin that make no sense here, and what does.
var gone = map[string]string{
	"general": `"conf", which shows the settings of the controller and where each was written`,
	"exec":    `"conf", "routes" and "explain": the image has no shell and no nginx to look at; "kubectl debug" brings a shell of your own`,
	"ssh":     `"conf", "routes" and "explain": the image has no shell; "kubectl debug" brings one of your own`,
}

// call is one run of a subcommand.
type call struct {
	*Env
	*cluster
	flags *pflag.FlagSet
	words []string

	kubeconfig, context, namespace string
	timeout                        string
	output                         string
	noHeaders                      bool
	allNamespaces                  bool

	deployment, pod, selector, container string
}

// Run runs "kubectl pierhead" with the words after it.
func Run(ctx context.Context, env *Env, args []string) error {
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" || args[0] == "help" && len(args) == 1 {
		fmt.Fprint(env.Stdout, Usage())
		return nil
	}
	if args[0] == "help" {
		args = []string{args[1], "--help"}
	}
	if args[0] == "version" || args[0] == "--version" {
		fmt.Fprintln(env.Stdout, "kubectl-pierhead "+env.Version)
		return nil
	}
	if instead := gone[args[0]]; instead != "" {
		return UsageError{fmt.Errorf("there is no %q here: use %s", args[0], instead)}
	}
	if strings.HasPrefix(args[0], "-") {
		return UsageError{fmt.Errorf("%s: flags come after the subcommand, as in kubectl pierhead routes %s", args[0], strings.Join(args, " "))}
	}
	c := find(args[0])
	if c == nil {
		return UsageError{fmt.Errorf("there is no subcommand %q; there are %s", args[0], strings.Join(names(), ", "))}
	}
	k := newCall(env, c)
	if err := k.flags.Parse(args[1:]); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			fmt.Fprint(env.Stdout, c.help())
			return nil
		}
		return UsageError{fmt.Errorf("%s: %w; see kubectl pierhead help %s", c.name, err, c.name)}
	}
	k.words = k.flags.Args()
	limit, err := k.requestTimeout()
	if err != nil {
		return UsageError{fmt.Errorf("%s: %w", c.name, err)}
	}
	if k.cluster, err = connect(k.kubeconfig, k.context, k.namespace, limit, env.Version); err != nil {
		return err
	}
	return told(c.run(ctx, k))
}

func find(name string) *subcommand {
	for _, c := range subcommands() {
		if c.name == name || slices.Contains(c.aliases, name) {
			return c
		}
	}
	return nil
}

func names() (all []string) {
	for _, c := range subcommands() {
		all = append(all, c.name)
	}
	return all
}

// newCall makes the flags that all subcommands have and those of this one.
func newCall(env *Env, c *subcommand) *call {
	k := &call{Env: env, flags: pflag.NewFlagSet(c.name, pflag.ContinueOnError)}
	k.flags.SetOutput(io.Discard)
	k.flags.StringVarP(&k.namespace, "namespace", "n", "", "")
	k.flags.StringVar(&k.context, "context", "", "")
	k.flags.StringVar(&k.kubeconfig, "kubeconfig", "", "")
	k.flags.StringVar(&k.timeout, "request-timeout", "10s", "")
	c.flags(k)
	return k
}

// requestTimeout reads --request-timeout as kubectl does: 0 is none, a number is
// seconds.
func (k *call) requestTimeout() (time.Duration, error) {
	if k.timeout == "0" {
		return 0, nil
	}
	d, err := time.ParseDuration(k.timeout)
	if err != nil {
		d, err = time.ParseDuration(k.timeout + "s")
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--request-timeout %q: want a time such as 10s", k.timeout)
	}
	return d, nil
}

// podFlags are the flags of subcommands that ask the controllers' Pods.
func podFlags(k *call) {
	k.flags.StringVar(&k.deployment, "deployment", "", "")
	k.flags.StringVar(&k.pod, "pod", "", "")
	k.flags.StringVarP(&k.selector, "selector", "l", "", "")
	k.flags.StringVar(&k.container, "container", "", "")
}

const commonUsage = `  -n, --namespace NS        the namespace; by default the context's
      --context NAME        a context of the kubeconfig file
      --kubeconfig FILE     by default $KUBECONFIG, or ~/.kube/config
      --request-timeout D   how long one answer may take; 0: for ever (default 10s)
`

const podUsage = `      --deployment NAME     the Deployment or DaemonSet of the controller
      --pod NAME            only this Pod
  -l, --selector LABELS     the Pods with these labels; by default those that the charts
                            of Pierhead and ingress-nginx give the controller
      --container NAME      the controller's container, where it cannot be seen
`

const outputUsage = `  -o, --output FORMAT       table, wide, json or yaml (default table)
      --no-headers          no line above a table
`

// outputFlags are the flags of subcommands that print tables.
func outputFlags(k *call) {
	k.flags.StringVarP(&k.output, "output", "o", "table", "")
	k.flags.BoolVar(&k.noHeaders, "no-headers", false, "")
}

// help is what "kubectl pierhead help NAME" prints.
func (c *subcommand) help() string {
	text := "usage: kubectl pierhead " + c.name + c.usage
	if c.aliases != nil {
		text = strings.Replace(text, "\n\n", "\nalso:  "+strings.Join(c.aliases, ", ")+"\n\n", 1)
	}
	return text
}

// Usage is what "kubectl pierhead help" prints.
func Usage() string {
	var b strings.Builder
	b.WriteString("Asks the Pierhead controllers of a cluster what they serve, through the API server.\n\n" +
		"usage: kubectl pierhead SUBCOMMAND [flags]\n       pierhead kubectl SUBCOMMAND [flags]\n\nsubcommands:\n")
	for _, c := range subcommands() {
		fmt.Fprintf(&b, "  %-11s %s\n", c.name, c.short)
	}
	b.WriteString("\nkubectl pierhead help SUBCOMMAND tells more about one.\n")
	return b.String()
}

// noWords is for subcommands that take flags alone.
func (k *call) noWords() error {
	if len(k.words) > 0 {
		return UsageError{fmt.Errorf("%s: %q is no flag; see kubectl pierhead help %s", k.flags.Name(), k.words[0], k.flags.Name())}
	}
	return nil
}

// note tells something beside the answer.
func (k *call) note(format string, args ...any) {
	fmt.Fprintf(k.Stderr, "pierhead: "+format+"\n", args...)
}
