package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/pierhead/pierhead/internal/control"
	"github.com/pierhead/pierhead/internal/lb"
	"github.com/pierhead/pierhead/internal/model"
)

var checkCommand = command{
	name:  "check",
	short: "say what is wrong with manifests, and where",
	usage: `usage: pierhead check [flags] [PATH...]

Translates files and folders of manifests (default: this folder) and prints every
problem with file and line, object, field, value, reason and remedy. It opens no
port and asks no network. Exit status: 0 without errors, 1 with errors, 2 when the
command line is wrong.

flags:
  -o FORMAT                 text, json, or github for annotations of a workflow run
                            (default text)
  --dns-zone NAME[=public|private]
                            as for up
  --configmap NS/NAME       as for up
  --default-backend-service NS/NAME
                            as for up
  --default-ssl-certificate NS/NAME
                            as for up
  --ingress-class NAME      as for up
  --watch-ingress-without-class
                            as for up

examples:
  pierhead check ./manifests
  pierhead check -o github ./manifests
`,
}

func init() { checkCommand.run = check }

func check(_ context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flags(&checkCommand, stdout, stderr)
	format := fs.String("o", "text", "")
	rules := planFlags(fs)
	paths, err := parse(fs, args)
	if err != nil {
		return err
	}
	r, err := rules()
	if err != nil {
		return usageError{fmt.Errorf("check: %w", err)}
	}
	plan, err := control.Load(paths, r)
	if err != nil {
		return err
	}
	switch *format {
	case "text":
		checkText(stdout, plan)
	case "json":
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(struct {
			Problems []model.Problem `json:"problems"`
		}{orEmpty(plan.Problems)}); err != nil {
			return err
		}
	case "github":
		checkGitHub(stdout, plan.Problems)
	default:
		return usageError{fmt.Errorf("check: no format %q; there are text, json and github", *format)}
	}
	for _, p := range plan.Problems {
		if p.Severity == model.Error {
			return exitCode(1)
		}
	}
	return nil
}

// planFlags are the flags that say what manifests mean.
func planFlags(fs *flag.FlagSet) func() (control.Rules, error) {
	var zones repeated
	tr := translateFlags(fs)
	fs.Var(&zones, "dns-zone", "")
	return func() (control.Rules, error) {
		var r reader
		rules := control.Rules{Translate: tr(), Balancers: lb.DefaultRules(), Zones: r.zones(zones)}
		return rules, r.err
	}
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// checkText prints a line for each problem, the remedy below it, and what stands.
func checkText(w io.Writer, plan *control.Plan) {
	for _, p := range plan.Problems {
		remedy := p.Remedy
		p.Remedy = ""
		fmt.Fprintln(w, p)
		if remedy != "" {
			fmt.Fprintln(w, "    "+remedy)
		}
	}
	hosts, routes, streams := 0, 0, 0
	for _, c := range plan.Config.Controllers {
		streams += len(c.Streams)
		for _, h := range c.Hosts {
			if h.Name != "" {
				hosts++
			}
			routes += len(h.Routes)
		}
	}
	ports := ""
	if streams > 0 {
		ports = count(streams, "TCP or UDP port") + ", "
	}
	fmt.Fprintf(w, "%s, %s, %s, %s%s, %s: %s\n", count(len(plan.Config.Controllers), "controller"), count(hosts, "host"), count(routes, "route"),
		ports, count(len(plan.Config.LoadBalancers), "load balancer"), count(len(plan.Config.Names), "DNS name"), countProblems(plan.Problems))
}

// checkGitHub prints problems as workflow commands, which show beside the line.
func checkGitHub(w io.Writer, ps []model.Problem) {
	kinds := [...]string{"notice", "warning", "error"}
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, p := range ps {
		at := ""
		if p.Origin.File != "" {
			at = fmt.Sprintf("file=%s,line=%d,", property.Replace(p.Origin.File), max(p.Origin.Line, 1))
		}
		text := p
		text.Origin.File = ""
		fmt.Fprintf(w, "::%s %stitle=%s::%s\n", kinds[p.Severity], at, property.Replace(p.Origin.String()), escape.Replace(text.String()))
	}
}
