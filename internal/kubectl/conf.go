package kubectl

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/admin"
)

func confCommand() *subcommand {
	var host, path string
	var all bool
	return &subcommand{
		name: "conf", aliases: []string{"config"}, short: "the settings and what a host's routes do, with where each value was written",
		usage: ` [--host HOST] [flags]

Prints the effective configuration of the running controllers: the settings of the
ConfigMap that somebody wrote, with --all those that are left at their defaults too. With
--host also the entry that takes the host, and all that its routes do, in the order in
which it is done, with where each value was written.

flags:
      --host HOST           as clients name it; "*" is what no rule names
      --path PATH           only the route of this path
      --all                 settings at their defaults too
` + podUsage + commonUsage + `  -o, --output FORMAT       text, json or yaml (default text)

examples:
  kubectl pierhead conf -n pierhead --host shop.example.com
  kubectl pierhead conf --all
`,
		flags: func(k *call) {
			podFlags(k)
			k.flags.StringVarP(&k.output, "output", "o", "text", "")
			k.flags.StringVar(&host, "host", "", "")
			k.flags.StringVar(&path, "path", "", "")
			k.flags.BoolVar(&all, "all", false, "")
		},
		run: func(ctx context.Context, k *call) error {
			if err := firstOf(k.noWords(), k.format("text")); err != nil {
				return err
			}
			if path != "" && host == "" {
				return UsageError{fmt.Errorf("conf: --path is of a host: give --host")}
			}
			q := question{path: "config", query: url.Values{}}
			if host != "" {
				q.query.Set("host", host)
			}
			if path != "" {
				q.query.Set("path", path)
			}
			answer, err := agreed(ctx, k, func(ctx context.Context, pod controllerPod) (c admin.Config, generation uint64, err error) {
				generation, err = k.ask(ctx, pod, q, &c)
				return c, generation, err
			}, func(c admin.Config) any { return c.Controllers })
			if err != nil {
				return err
			}
			for i := range answer.Controllers {
				if c := &answer.Controllers[i]; !all {
					c.Settings = slices.DeleteFunc(c.Settings, func(s admin.Setting) bool { return s.From == "" })
				}
			}
			if k.data() {
				return k.print(answer.Controllers)
			}
			for i := range answer.Controllers {
				if i > 0 {
					fmt.Fprintln(k.Stdout)
				}
				writeConfig(k, &answer.Controllers[i])
			}
			return nil
		},
	}
}

func writeConfig(k *call, c *admin.ControllerConfig) {
	w := k.Stdout
	fmt.Fprintf(w, "controller %s\n", c.Name)
	for _, l := range c.Listeners {
		proxy := ""
		if l.ProxyProtocol {
			proxy = ", PROXY protocol"
		}
		fmt.Fprintf(w, "  listener %s: port %d%s\n", l.Name, l.Port, proxy)
	}
	t := table{columns: []column{{head: "  SETTING"}, {head: "VALUE", cut: true}, {head: "FROM", cut: true}}}
	for _, s := range c.Settings {
		from := s.From
		if from == "" {
			from = "default"
		}
		t.add("  "+s.Key, orDash(s.Value), from)
	}
	if len(t.rows) == 0 {
		fmt.Fprintln(w, "  all settings are at their defaults; --all shows them")
	} else {
		fmt.Fprintln(w)
		t.write(w, k.Width, false, true)
	}
	if c.Host != nil {
		writeHost(k, c.Host)
	}
}

func writeHost(k *call, h *admin.HostConfig) {
	w := k.Stdout
	fmt.Fprintf(w, "\nhost %s: %s\n", orStar(h.Name), h.Why)
	if len(h.Aliases) > 0 {
		fmt.Fprintf(w, "  aliases     %s\n", strings.Join(h.Aliases, ", "))
	}
	certificate := h.Certificate
	if certificate == "" {
		certificate = "the default one"
	}
	fmt.Fprintf(w, "  certificate %s\n", certificate)
	for _, r := range h.Routes {
		to := r.Upstream
		if to == "" {
			to = "the controller answers by itself: 404"
		}
		from := r.Origin
		if r.Place != "" {
			from += " at " + r.Place
		}
		fmt.Fprintf(w, "\n  %s %s: %s\n    of %s\n", r.PathType, r.Path, to, from)
		if r.Closed != "" {
			fmt.Fprintf(w, "    %s every request is answered 503: %s\n", k.colored("CLOSED", "error"), r.Closed)
		}
		admin.WriteSteps(w, "    ", r.Steps)
	}
	if h.Omitted > 0 {
		k.note("%s more of this host are not shown: ask for one with --path", count(h.Omitted, "route"))
	}
}
