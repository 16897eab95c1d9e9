package kubectl

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/pierhead/pierhead/internal/admin"
)

func explainCommand() *subcommand {
	var method, from, controller string
	var fields []string
	return &subcommand{
		name: "explain", short: "which route takes a request, why, and what it does",
		usage: ` URL [flags]

Asks the running controllers what would become of a request: the host entry and route
that take it, why the others do not, the steps with the origin of every value, the
endpoints, and what comes of it. No request is made, and nothing is counted. Passwords
cannot be tried: a field Authorization is refused.

flags:
  -X, --method METHOD       (default GET)
  -H, --header "NAME: VALUE"
                            a field of the request; repeatable
      --from ADDR           the client's address (default 127.0.0.1)
      --controller NAME     only this one, where a process has several
` + podUsage + commonUsage + `  -o, --output FORMAT       text, json or yaml (default text)

examples:
  kubectl pierhead explain https://shop.example.com/cart -n pierhead
  kubectl pierhead explain http://shop.example.com/ -X OPTIONS -H "Origin: https://example.com"
`,
		flags: func(k *call) {
			podFlags(k)
			k.flags.StringVarP(&k.output, "output", "o", "text", "")
			k.flags.StringVarP(&method, "method", "X", "GET", "")
			k.flags.StringArrayVarP(&fields, "header", "H", nil, "")
			k.flags.StringVar(&from, "from", "", "")
			k.flags.StringVar(&controller, "controller", "", "")
		},
		run: func(ctx context.Context, k *call) error {
			if err := k.format("text"); err != nil {
				return err
			}
			if len(k.words) != 1 {
				return UsageError{errors.New("explain: name one URL, such as https://shop.example.com/cart")}
			}
			req, err := admin.ReadRequest(k.words[0], method, fields, from)
			if err != nil {
				return UsageError{fmt.Errorf("explain: %w", err)}
			}
			q := question{path: "explain", fields: fields, query: url.Values{"url": {k.words[0]}, "method": {method}}}
			for name, value := range map[string]string{"from": from, "controller": controller} {
				if value != "" {
					q.query.Set(name, value)
				}
			}
			found, err := listOf(ctx, k, q, sameExplanation)
			if err != nil {
				return err
			}
			if k.data() {
				return k.print(found)
			}
			if len(found) == 0 {
				return fmt.Errorf("there is no controller %q", controller)
			}
			for i := range found {
				if i > 0 {
					fmt.Fprintln(k.Stdout)
				}
				found[i].WriteText(k.Stdout, req.URL)
			}
			return nil
		},
	}
}

// sameExplanation leaves out what is of one request alone, such as its identifier.
func sameExplanation(all []admin.Explanation) any {
	plain := make([]admin.Explanation, len(all))
	for i, e := range all {
		if plain[i] = e; e.Outcome != nil {
			o := *e.Outcome
			o.Fields, plain[i].Outcome = nil, &o
		}
	}
	return plain
}
