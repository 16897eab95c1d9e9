package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
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
value that somebody wrote, the upstream with its endpoints, and what comes of it: the
answer, or the request as the upstream gets it. It opens no port and asks no network.
Exit status: 0, or 1 when a file could not be read, or 2 when the command line is
wrong.

flags:
  -f PATH                   file or folder of manifests; repeatable (default: this
                            folder)
  -X METHOD                 the request's method (default GET)
  -H "NAME: VALUE"          a field of the request; repeatable
  --from ADDR               the client's address (default 127.0.0.1)
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

examples:
  pierhead explain https://shop.example.com/cart -f ./manifests
  pierhead explain http://shop.example.com/ -X OPTIONS -H "Origin: https://example.com"
`,
}

func init() { explainCommand.run = explain }

func explain(_ context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flags(&explainCommand, stdout, stderr)
	var files repeated
	fs.Var(&files, "f", "")
	method := fs.String("X", "GET", "")
	var fields repeated
	fs.Var(&fields, "H", "")
	from := fs.String("from", "127.0.0.1", "")
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
	req, err := request(u, *method, fields, *from)
	if err != nil {
		return usageError{fmt.Errorf("explain: %w", err)}
	}
	r, err := rules()
	if err != nil {
		return usageError{fmt.Errorf("explain: %w", err)}
	}
	plan, err := control.Load(files, r)
	if err != nil {
		return err
	}
	var unread error
	for _, p := range plan.Problems {
		if p.Origin.Kind == "File" {
			fmt.Fprintln(stderr, "pierhead: "+p.String())
			unread = exitCode(1)
		}
	}
	found := control.Explain(plan, *only, req)
	if len(found) == 0 {
		return fmt.Errorf("no controller %q among the manifests", *only)
	}
	switch *format {
	case "json":
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return errors.Join(enc.Encode(found), unread)
	case "text":
		for i, e := range found {
			if i > 0 {
				fmt.Fprintln(stdout)
			}
			writeExplanation(stdout, u, e)
		}
		return unread
	}
	return usageError{fmt.Errorf("explain: no format %q; there are text and json", *format)}
}

// request reads what the flags tell about the request.
func request(u *url.URL, method string, fields []string, from string) (*control.Request, error) {
	req := &control.Request{URL: u, Method: method}
	if method == "" || strings.ContainsAny(method, " \t\r\n/:") {
		return nil, fmt.Errorf("-X %q: want a method such as POST", method)
	}
	for _, f := range fields {
		name, value, ok := strings.Cut(f, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("-H %q: want a field such as %q", f, "Accept: text/html")
		}
		req.Fields = append(req.Fields, [2]string{name, strings.TrimSpace(value)})
	}
	addr, err := netip.ParseAddr(from)
	if err != nil {
		return nil, fmt.Errorf("--from %q: want an address such as 192.0.2.7", from)
	}
	req.From = addr
	return req, nil
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
	fmt.Fprintf(w, "  upstream    %s\n", strings.TrimPrefix(e.Upstream+": "+ends, ": "))
	writeOutcome(w, e.Outcome)
}

// writeOutcome prints what comes of the request.
func writeOutcome(w io.Writer, o *control.Outcome) {
	if o == nil {
		return
	}
	if o.Asks != "" {
		fmt.Fprintf(w, "  asks        %s (taken to let the client in)\n", o.Asks)
	}
	if o.Status != 0 {
		fmt.Fprintf(w, "  answer      %s\n", strings.TrimSpace(fmt.Sprintf("%d %s %s", o.Status, http.StatusText(o.Status), o.Redirect)))
		return
	}
	fmt.Fprintf(w, "  sent        %s %s\n  %-11s Host: %s\n", o.Method, o.Target, "", o.Host)
	for _, f := range o.Fields {
		fmt.Fprintf(w, "  %-11s %s\n", "", f)
	}
}
