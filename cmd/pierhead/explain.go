package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/pierhead/pierhead/internal/admin"
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
	req, err := admin.ReadRequest(words[0], *method, fields, *from)
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
			e.WriteText(stdout, req.URL)
		}
		return unread
	}
	return usageError{fmt.Errorf("explain: no format %q; there are text and json", *format)}
}
