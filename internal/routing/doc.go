// Package routing decides which route takes a request: it compiles the hosts of one
// controller into a Table that nothing changes afterwards, and matches exchanges
// against it without allocating.
//
// Hosts and paths are compared as nginx does under ingress-nginx's templates, since
// that is what the manifests were written for.
package routing
