package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/pierhead/pierhead/internal/control"
)

var explainCommand = command{
	name:  "explain",
	short: "say which route takes a request, why, and what it does",
	usage: `usage: pierhead explain URL -f PATH [flags]

For one request: the host entry and route that take it, why the others do not, the
object with file and line, the steps in the order they run with the origin of every
value, and the upstream with its endpoints. It opens no port and asks no network.

flags:
  -f PATH                   file or folder of manifests; repeatable
  --controller NAME         only this controller (default: all that take the host)
  -o FORMAT                 text or json (default text)
  --configmap NS/NAME       as for up
  --default-backend-service NS/NAME
                            as for up
  --default-ssl-certificate NS/NAME
                            as for up
  --dns-zone NAME[=public|private]
                            as for up
  --ingress-class NAME      as for up
  --watch-ingress-without-class
                            as for up

example:
  pierhead explain https://shop.example.com/cart -f ./manifests
`,
}

func init() { explainCommand.run = explain }

func explain(_ context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flags(&explainCommand, stdout, stderr)
	var files repeated
	fs.Var(&files, "f", "")
	only := fs.String("controller", "", "")
	format := fs.String("o", "text", "")
	rules := planFlags(fs)
	words, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usageError{fmt.Errorf("explain: name one URL, such as https://shop.example.com/cart")}
	}
	u, err := url.Parse(words[0])
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usageError{fmt.Errorf("explain: %q: want a URL such as https://shop.example.com/cart", words[0])}
	}
	r, err := rules()
	if err != nil {
		return usageError{fmt.Errorf("explain: %w", err)}
	}
	plan, err := control.Load(files, r)
	if err != nil {
		return err
	}
	found := control.Explain(plan, *only, u)
	if len(found) == 0 {
		return fmt.Errorf("no controller %q among the manifests", *only)
	}
	switch *format {
	case "json":
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(found)
	case "text":
		for i, e := range found {
			if i > 0 {
				fmt.Fprintln(stdout)
			}
			writeExplanation(stdout, u, e)
		}
		return nil
	}
	return usageError{fmt.Errorf("explain: no format %q; there are text and json", *format)}
}

// writeExplanation prints what one controller does with the request.
func writeExplanation(w io.Writer, u *url.URL, e control.Explanation) {
	fmt.Fprintf(w, "%s\n  controller  %s, listener %s\n", u, e.Controller, e.Listener)
	if e.Refused != "" {
		fmt.Fprintln(w, "  "+e.Refused)
		return
	}
	host := e.Host
	if host == "" {
		host = "*"
	}
	fmt.Fprintf(w, "  host        %s: %s\n", host, e.HostWhy)
	if e.Certificate != "" {
		fmt.Fprintf(w, "  certificate %s\n", e.Certificate)
	}
	fmt.Fprintln(w, "  routes")
	for _, c := range e.Considered {
		mark := " "
		if c.Taken {
			mark = ">"
		}
		fmt.Fprintf(w, "  %s %-8s %-20s %s (%s)\n", mark, c.PathType, c.Path, c.Why, c.From)
	}
	fmt.Fprintf(w, "  route       %s %s of %s\n", e.Route.PathType, e.Route.Path, e.Route.From)
	if e.Closed != "" {
		fmt.Fprintf(w, "  CLOSED      every request is answered 503: %s\n", e.Closed)
	}
	fmt.Fprintln(w, "  steps")
	for _, s := range e.Steps {
		fmt.Fprintf(w, "    %-10s %-20s %s\n", s.Phase, s.Policy, s.Value)
		for _, from := range s.From {
			fmt.Fprintf(w, "    %-10s %-20s   %s\n", "", "", from)
		}
	}
	ends := strings.Join(e.Endpoints, ", ")
	if ends == "" {
		ends = "no endpoint: 503"
	}
	if e.Upstream == "" {
		ends = "the controller answers by itself: 404"
	}
	fmt.Fprintf(w, "  upstream    %s: %s\n", e.Upstream, ends)
}
