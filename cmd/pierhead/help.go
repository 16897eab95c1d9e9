package main

import "strings"

// mainUsage is what pierhead help prints.
func mainUsage() string {
	var b strings.Builder
	b.WriteString(`Pierhead is the front door of a Kubernetes cluster: it takes ingress-nginx's
manifests as they are, gives LoadBalancer Services their addresses and writes
the DNS records for them. It also runs without a cluster, from a folder of YAML.

usage: pierhead COMMAND [flags] [arguments]

commands:
`)
	for _, c := range commands() {
		b.WriteString("  " + c.name + strings.Repeat(" ", 12-len(c.name)) + c.short + "\n")
	}
	b.WriteString(`
examples:
  pierhead demo                       see the whole workflow run on this machine
  pierhead check ./manifests          what is wrong with these manifests, and where
  pierhead up ./manifests             serve them

pierhead help COMMAND tells more about a command.
`)
	return b.String()
}
