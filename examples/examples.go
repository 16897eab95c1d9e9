// Package examples holds the manifests that the documents show and the demo writes.
package examples

import "embed"

// ExternalServices is the 2017 workflow: an application behind an external and an
// internal ingress controller, each behind a load balancer with a DNS name.
//
//go:embed external-services/*.yml
var ExternalServices embed.FS
