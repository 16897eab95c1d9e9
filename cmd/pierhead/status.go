package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/model"
)

const defaultAdmin = "127.0.0.1:10254"

var statusCommand = command{
	name:  "status",
	short: "show what a running Pierhead serves",
	usage: `usage: pierhead status [flags]

Asks a running Pierhead over its admin address for its load balancers, DNS
records, routes and problems.

flags:
  --admin ADDR   admin address of the process (default 127.0.0.1:10254)
  -o FORMAT      text or json (default text)

examples:
  pierhead status
  pierhead status -o json | jq '.problems[]'
`,
}

func init() { statusCommand.run = status }

func status(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flags(&statusCommand, stdout, stderr)
	addr := fs.String("admin", defaultAdmin, "")
	format := fs.String("o", "text", "")
	if _, err := parse(fs, args); err != nil {
		return err
	}
	if *format != "text" && *format != "json" {
		return usageError{fmt.Errorf("status: no format %q; there are text and json", *format)}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := admin.Fetch(ctx, *addr)
	if err != nil {
		return err
	}
	if *format == "json" {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	}
	writeState(stdout, s)
	return nil
}

// writeState prints a state as tables.
func writeState(w io.Writer, s *admin.State) {
	fmt.Fprintf(w, "Pierhead %s, generation %d, engine %s\n", s.Version, s.Generation, s.Engine)
	table(w, "\nLOAD BALANCER\tKIND\tADDRESS\tPORTS\tHOSTNAME", s.LoadBalancers, func(l admin.LoadBalancer) []string {
		kind, ports := "external", []string{}
		if l.Internal {
			kind = "internal"
		}
		for _, p := range l.Ports {
			text := fmt.Sprintf("%d at %s", p.Port, p.Listen)
			if p.Error != "" {
				text += " (" + p.Error + ")"
			}
			ports = append(ports, text)
		}
		return []string{l.Namespace + "/" + l.Name, kind, strings.Join(l.Addresses, ","), strings.Join(ports, ", "), l.Hostname}
	})
	table(w, "\nDNS NAME\tTYPE\tVALUES\tZONE\tOWNER", s.Records, func(r admin.Record) []string {
		return []string{r.Name, r.Type, strings.Join(r.Values, ","), r.Zone + " (" + r.View + ")", r.Owner}
	})
	table(w, "\nCONTROLLER\tHTTP\tHTTPS", s.Controllers, func(c admin.Controller) []string {
		https := c.HTTPS
		if c.Error != "" {
			https = strings.TrimSpace(https + " (" + c.Error + ")")
		}
		return []string{c.Name, c.HTTP, https}
	})
	several := len(s.Controllers) > 1
	head := "\nHOST\tPATH\tUPSTREAM\tPOLICIES\tFROM"
	if several {
		head += "\tCONTROLLER"
	}
	table(w, head, s.Routes, func(r admin.Route) []string {
		host := r.Host
		if host == "" {
			host = "*"
		}
		from := r.Origin
		if r.Closed != "" {
			from += " CLOSED: " + r.Closed
		}
		cells := []string{host, r.Path, r.Upstream, strings.Join(r.Policies, " "), from}
		if several {
			cells = append(cells, r.Controller)
		}
		return cells
	})
	table(w, "\nUPSTREAM\tENDPOINTS", s.Upstreams, func(u admin.Upstream) []string {
		return []string{u.Name, strings.Join(u.Endpoints, ", ")}
	})
	writeProblems(w, s.Problems)
}

// table prints rows under a head line, or nothing when there are none.
func table[T any](w io.Writer, head string, rows []T, cells func(T) []string) {
	if len(rows) == 0 {
		return
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, head)
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(cells(r), "\t"))
	}
	tw.Flush()
}

// writeProblems prints problems, one a line, the worst kind counted.
func writeProblems(w io.Writer, ps []model.Problem) {
	if len(ps) == 0 {
		return
	}
	fmt.Fprintf(w, "\nPROBLEMS (%s)\n", countProblems(ps))
	for _, p := range ps {
		fmt.Fprintln(w, "  "+p.String())
	}
}

// countProblems says how many problems there are of each severity.
func countProblems(ps []model.Problem) string {
	var n [3]int
	for _, p := range ps {
		n[p.Severity]++
	}
	return fmt.Sprintf("%s, %s, %s", count(n[model.Error], "error"), count(n[model.Warning], "warning"), count(n[model.Info], "info"))
}

// count says how many there are of something.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
