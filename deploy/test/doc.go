// Package deploy holds the tests of what Pierhead is installed with: the Helm chart, the
// plain manifests made from it, and the page that tells how to use them. It is a Go module
// of its own so that Pierhead's stays without Helm.
package deploy
