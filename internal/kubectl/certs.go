package kubectl

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/pierhead/pierhead/internal/admin"
)

func certsCommand() *subcommand {
	var host string
	return &subcommand{
		name: "certs", aliases: []string{"cert", "certificates"}, short: "the certificate that clients of a host are shown",
		usage: ` [--host HOST] [flags]

Prints the certificate chain that the running controllers show clients of a host, as PEM;
what it is for and which Secret holds it goes to standard error. Never a key. Without
--host it lists the certificates. No right on Secrets is needed.

flags:
      --host HOST           as clients name it
` + podUsage + commonUsage + `  -o, --output FORMAT       with --host: pem, json or yaml (default pem); without: table,
                            wide, json or yaml (default table)
      --no-headers          no line above a table

examples:
  kubectl pierhead certs -n pierhead --host shop.example.com | openssl x509 -noout -text
  kubectl pierhead certs
`,
		flags: func(k *call) {
			podFlags(k)
			k.flags.StringVarP(&k.output, "output", "o", "", "")
			k.flags.BoolVar(&k.noHeaders, "no-headers", false, "")
			k.flags.StringVar(&host, "host", "", "")
		},
		run: func(ctx context.Context, k *call) error {
			if host == "" {
				return listCertificates(ctx, k)
			}
			if k.output == "" {
				k.output = "pem"
			}
			if err := firstOf(k.noWords(), k.format("pem")); err != nil {
				return err
			}
			certs, err := listOf(ctx, k, question{path: "certificates", query: url.Values{"host": {host}}}, shownTo)
			if err != nil {
				return err
			}
			if k.data() {
				return k.print(certs)
			}
			for _, c := range certs {
				tellCertificate(k, c, len(certs) > 1)
				fmt.Fprint(k.Stdout, c.Chain)
			}
			return nil
		},
	}
}

// shownTo is what clients of all Pods should be shown alike: each makes a certificate of
// its own where none is given.
func shownTo(certs []admin.ServedCertificate) any {
	plain := slices.Clone(certs)
	for i := range plain {
		if c := &plain[i]; c.SelfMade {
			c.Chain, c.Serial, c.NotBefore, c.NotAfter = "", "", "", ""
		}
	}
	return plain
}

// tellCertificate says what a certificate is.
func tellCertificate(k *call, c admin.ServedCertificate, several bool) {
	of := "of Secret " + list(c.Secrets)
	if c.SelfMade {
		of = "made by the controller itself, since no Secret gives one"
	}
	if several {
		of += ", shown by " + c.Controller
	}
	k.note("%s: %s, %s, until %s", c.Host, c.Subject, of, c.NotAfter)
	if !c.Covers {
		k.note("%s: the certificate is not for this host, clients refuse it: it is for %s", c.Host, list(c.Names))
	}
}

func listCertificates(ctx context.Context, k *call) error {
	if k.output == "" {
		k.output = "table"
	}
	if err := firstOf(k.noWords(), k.format("table", "wide")); err != nil {
		return err
	}
	certs, err := listOf[admin.Certificate](ctx, k, question{path: "certificates"}, nil)
	if err != nil {
		return err
	}
	return show(k, certs, "no certificate is given: clients are shown one that the controller makes itself", []column{
		{head: "SECRET", cut: true}, {head: "NAMES", cut: true}, {head: "UNTIL"},
	}, func(c admin.Certificate) []string { return []string{c.Name, list(c.Names), c.NotAfter} })
}
