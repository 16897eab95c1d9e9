package kubectl

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/pierhead/pierhead/internal/admin"
)

func backendsCommand() *subcommand {
	var only string
	var names bool
	return &subcommand{
		name: "backends", aliases: []string{"backend", "upstreams"}, short: "the Service ports that requests are sent to, with their endpoints",
		usage: ` [flags]

Prints the upstreams of the running controllers, one for each Service port, and where
their endpoints are.

flags:
      --backend NAME        only this one, such as shop-cart-80: namespace, Service, port
      --list                only the names
` + podUsage + commonUsage + outputUsage + `
examples:
  kubectl pierhead backends -n pierhead
  kubectl pierhead backends --backend shop-cart-80 -o json
`,
		flags: func(k *call) {
			podFlags(k)
			outputFlags(k)
			k.flags.StringVar(&only, "backend", "", "")
			k.flags.BoolVar(&names, "list", false, "")
		},
		run: func(ctx context.Context, k *call) error {
			if err := firstOf(k.noWords(), k.format("table", "wide")); err != nil {
				return err
			}
			q := question{path: "upstreams", query: url.Values{}}
			if only != "" {
				q.query.Set("name", only)
			}
			ups, err := listOf(ctx, k, q, func(ups []admin.Upstream) any {
				plain := slices.Clone(ups)
				for i := range plain { // in which order they come says nothing
					plain[i].Endpoints = slices.Sorted(slices.Values(plain[i].Endpoints))
				}
				return plain
			})
			if err != nil {
				return err
			}
			if only != "" && len(ups) == 0 {
				return fmt.Errorf("there is no backend %q: see kubectl pierhead backends --list", only)
			}
			if names && !k.data() {
				for _, u := range ups {
					fmt.Fprintln(k.Stdout, u.Name)
				}
				return nil
			}
			return show(k, ups, "no backend: nothing is served", []column{
				{head: "BACKEND", cut: true}, {head: "PROTOCOL"}, {head: "BALANCE", wide: true}, {head: "STICKY", wide: true}, {head: "COUNT"}, {head: "ENDPOINTS", cut: true},
			}, func(u admin.Upstream) []string {
				return []string{u.Name, u.Protocol, u.Balance, orDash(u.Sticky), strconv.Itoa(len(u.Endpoints)), list(u.Endpoints)}
			})
		},
	}
}

// firstOf returns the first error.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
