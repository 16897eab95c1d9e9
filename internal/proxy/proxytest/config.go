package proxytest

import (
	"crypto/tls"
	"net/netip"
	"net/url"
	"time"

	"github.com/pierhead/pierhead/internal/model"
)

// Settings returns a controller's settings as they are without a ConfigMap.
func Settings() model.Settings {
	return model.Settings{
		TLSMin: tls.VersionTLS12, HTTP2: true, MaxStreams: 128,
		KeepAlive: 75 * time.Second, KeepAliveRequests: 1000,
		HeaderTimeout: time.Minute, BodyTimeout: time.Minute, MaxLine: 8 << 10, MaxHead: 32 << 10,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")},
		AccessLog:      true,
		KeepUpstream:   320, UpstreamIdle: time.Minute, UpstreamLife: time.Hour, UpstreamRequests: 10000,
		DrainTimeout: 240 * time.Second,
	}
}

// Config returns a configuration with one controller, "default", that listens for
// HTTP and HTTPS on free ports and serves these hosts.
func Config(hosts ...model.Host) *model.Config {
	c := model.Controller{
		Name: "default", Settings: Settings(),
		Listeners: []model.Listener{{Name: "http", Port: 80}, {Name: "https", Port: 443, TLS: true}},
	}
	for i := range hosts {
		c.Hosts = append(c.Hosts, &hosts[i])
	}
	cfg := &model.Config{Controllers: []model.Controller{c}}
	seen := map[string]bool{"": true}
	for _, h := range hosts {
		for _, r := range h.Routes {
			if !seen[r.Upstream] {
				seen[r.Upstream] = true
				cfg.Upstreams = append(cfg.Upstreams, model.Upstream{Name: r.Upstream, Protocol: "HTTP", Balancing: model.Balancing{Balance: "round_robin"}})
			}
		}
	}
	return cfg
}

// Host returns a host whose every path goes to one upstream.
func Host(name, upstream string, policies ...model.Policy) model.Host {
	return model.Host{Name: name, Routes: []model.Route{Route(name, "/", upstream, policies...)}}
}

// Route returns a Prefix route.
func Route(host, path, upstream string, policies ...model.Policy) model.Route {
	return model.Route{
		ID: "default|" + host + "|Prefix|" + path, Path: path, Upstream: upstream, Policies: policies,
		Namespace: "ns", Ingress: "ing", Service: "svc", Port: "80",
	}
}

// Endpoints gives an upstream its endpoints, by URL or address.
func Endpoints(upstream string, at ...string) model.EndpointSet {
	set := model.EndpointSet{Upstream: upstream}
	for _, a := range at {
		if u, err := url.Parse(a); err == nil && u.Host != "" {
			a = u.Host
		}
		set.Endpoints = append(set.Endpoints, netip.MustParseAddrPort(a))
	}
	return set
}
