package kubectl

import (
	"context"
	"net/url"

	"github.com/pierhead/pierhead/internal/admin"
)

func routesCommand() *subcommand {
	var host, ingress string
	return &subcommand{
		name: "routes", aliases: []string{"route"}, short: "the paths that are served, with their policies",
		usage: ` [flags]

Prints the routes of the running controllers: host, path, where it leads, what is done
on the way, and the object that asked for it. STATE tells why a route is closed.

flags:
      --host HOST           only this host entry; "*" is what no rule names
      --ingress NS/NAME     only the routes of this Ingress
` + podUsage + commonUsage + outputUsage + `
examples:
  kubectl pierhead routes -n pierhead --host shop.example.com
  kubectl pierhead routes --ingress shop/cart -o wide
`,
		flags: func(k *call) {
			podFlags(k)
			outputFlags(k)
			k.flags.StringVar(&host, "host", "", "")
			k.flags.StringVar(&ingress, "ingress", "", "")
		},
		run: func(ctx context.Context, k *call) error {
			if err := firstOf(k.noWords(), k.format("table", "wide")); err != nil {
				return err
			}
			q := question{path: "routes", query: url.Values{}}
			if host != "" {
				q.query.Set("host", host)
			}
			if ingress != "" {
				ns, name, err := objectName(ingress, "--ingress")
				if err != nil {
					return err
				}
				q.query.Set("namespace", ns)
				q.query.Set("ingress", name)
			}
			routes, err := listOf[admin.Route](ctx, k, q, nil)
			if err != nil {
				return err
			}
			return show(k, routes, "no route fits", []column{
				{head: "HOST", cut: true}, {head: "PATH", cut: true}, {head: "TYPE"}, {head: "BACKEND", cut: true}, {head: "POLICIES", wide: true}, {head: "FROM", cut: true},
				{head: "CONTROLLER", wide: true}, {head: "STATE", cut: true},
			}, func(r admin.Route) []string {
				state := "open"
				if r.Closed != "" {
					state = "closed: " + r.Closed
				}
				return []string{orStar(r.Host), r.Path, r.PathType, orDash(r.Upstream), list(r.Policies), r.Origin, r.Controller, state}
			})
		},
	}
}
