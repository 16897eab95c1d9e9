package cluster

import (
	"context"
	"net"
	"net/http"
)

// Dial connects from inside the cluster's namespace; the host may be an IP address or the
// name of a Service.
func (c *Cluster) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if net.ParseIP(host) != nil {
		return c.Namespace.Dial(ctx, network, address)
	}
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return c.Namespace.Dial(ctx, network, dnsAddr.String())
	}}
	found, err := resolver.LookupHost(ctx, host+".")
	if err != nil {
		return nil, err
	}
	return c.Namespace.Dial(ctx, network, net.JoinHostPort(found[0], port))
}

// Transport returns a new transport for requests from inside the cluster's namespace, over
// HTTP/1.1 unless its Protocols are changed.
func (c *Cluster) Transport() *http.Transport { return &http.Transport{DialContext: c.Dial} }
