package control

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/dns"
	"github.com/pierhead/pierhead/internal/l4"
	"github.com/pierhead/pierhead/internal/listen"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy"
	"github.com/pierhead/pierhead/internal/routing"
	"github.com/pierhead/pierhead/internal/upstream"
)

// findings is what came up while a plan was applied.
type findings struct {
	problems []model.Problem
	listen   map[string]string // why a listener or balanced port is not open, by its name
	again    bool              // something else could not be opened that nobody waits for
}

func (f *findings) problem(o model.Origin, field, value, reason, remedy string) {
	f.problems = append(f.problems, model.Problem{Origin: o, Field: field, Value: value, Reason: reason, Remedy: remedy, Severity: model.Error})
}

// apply brings what runs to the plan, in an order in which no request ever meets
// something that is not there yet: endpoints, pools, tables, listeners, balancers, DNS.
// When only endpoints changed, nothing but the pools is touched.
func (r *running) apply(p *Plan) *findings {
	last := r.plan
	if last == nil {
		last = &Plan{}
	}
	if r.endpoints != nil {
		r.endpoints.planned(p)
	} else {
		r.pools.SetEndpoints(newEndpoints(last.Endpoints, p.Endpoints))
	}
	if !r.failing && p.Config == last.Config && model.Identical(p.Zones, last.Zones) {
		if !model.Identical(p.Endpoints, last.Endpoints) {
			r.balancers.Apply(r.balanced(p)) // targets may be endpoints
		}
		r.plan = p
		return r.found
	}
	found := &findings{listen: map[string]string{}}
	r.pools.Apply(p.Config.Upstreams, keepAlive(p.Config))
	var errs []error
	r.pairs, errs = listen.ParseKeyPairs(p.Config.Certificates, r.pairs)
	for _, err := range errs {
		found.problem(model.Origin{Kind: "Secret", Name: "certificates"}, "data", "", err.Error(), "store a certificate and its key")
	}
	found.problems = append(found.problems, r.expiry.told(p.Config.Certificates, r.pairs, time.Now())...)
	unheard(p, found)
	r.compile(p, found)
	r.listen(p, found)
	r.balance(p, found)
	r.publish(p, found)
	r.forget(p)
	found.problems = model.SortProblems(found.problems)
	r.plan, r.found, r.allocations = p, found, p.Allocations
	r.failing = len(found.listen) > 0 || found.again
	return found
}

// newEndpoints returns the sets that are not those of the last plan. Both lists are
// sorted by upstream.
func newEndpoints(last, now []model.EndpointSet) []model.EndpointSet {
	if model.Identical(last, now) {
		return nil
	}
	var changed []model.EndpointSet
	for _, s := range now {
		for len(last) > 0 && last[0].Upstream < s.Upstream {
			last = last[1:]
		}
		if len(last) == 0 || last[0].Upstream != s.Upstream || !model.Identical(last[0].Endpoints, s.Endpoints) || !model.Identical(last[0].Draining, s.Draining) {
			changed = append(changed, s)
		}
	}
	return changed
}

// keepAlive takes the bounds of upstream connections from the first controller: the
// pools are shared by all.
func keepAlive(c *model.Config) upstream.KeepAlive {
	if len(c.Controllers) == 0 {
		return upstream.DefaultKeepAlive
	}
	s := &c.Controllers[0].Settings
	return upstream.KeepAlive{Idle: s.UpstreamIdle, Life: s.UpstreamLife, Max: s.KeepUpstream, Surplus: upstream.Surplus, Requests: s.UpstreamRequests}
}

// unheard tells the controllers whose upstream-keepalive keys do not count, since
// those of the first one do for all.
func unheard(p *Plan, found *findings) {
	for i := 1; i < len(p.Config.Controllers); i++ {
		c := &p.Config.Controllers[i]
		if keepAlive(&model.Config{Controllers: p.Config.Controllers[i:]}) != keepAlive(p.Config) {
			found.problems = append(found.problems, model.Problem{
				Origin: c.Origin, Field: "upstream-keepalive-*", Severity: model.Warning,
				Reason: "connections to endpoints are shared by all controllers of a process: the values of " + p.Config.Controllers[0].Name + " count", Remedy: "give both ConfigMaps the same values",
			})
		}
	}
}

// compile makes the tables and swaps them in.
func (r *running) compile(p *Plan, found *findings) {
	r.outlasts.Sweep()
	all := time.Since(r.forgotten) > forgetEvery
	if all {
		r.forgotten = time.Now()
	}
	env := routing.Env{Pools: r.pools.Pool, State: r.outlasts, PoolsVersion: r.pools.Version()}
	for i := range p.Config.Controllers {
		c := &p.Config.Controllers[i]
		live := r.tables[c.Name]
		if live == nil {
			live = &routing.Live{}
			r.tables[c.Name] = live
		}
		env.Last = live.Load()
		table, problems := routing.Compile(c, env)
		found.problems = append(found.problems, problems...)
		live.Swap(table)
		r.forgetRoutes(c.Name, env.Last, table, all)
		if r.servers[c.Name] == nil {
			r.servers[c.Name] = proxy.New(proxy.Options{
				Live: live, Client: r.client, Log: r.log(c, "access-log-path", c.Settings.AccessLogPath, found), Version: r.opt.Version, Report: r.errors.report,
				Count: r.opt.Metrics.Count, Load: r.load,
			}, r.engine.Loops())
		}
	}
}

// imageLog is where the reference's image links its access log to standard output.
const imageLog = "/var/log/nginx/access.log"

// log opens an access log of a controller.
func (r *running) log(c *model.Controller, key, path string, found *findings) *proxy.AccessLog {
	if path == imageLog || path == "/dev/stdout" {
		path = ""
	}
	if l := r.logs[path]; l != nil {
		return l
	}
	w := r.opt.AccessLog
	if path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
		if err != nil {
			found.problem(c.Origin, key, path, "the access log goes to standard output: "+err.Error(), "name a file that can be written")
		} else {
			w = f
		}
	}
	if w == nil {
		w = io.Discard
	}
	l := proxy.NewAccessLog(w, len(r.engine.Loops()))
	r.logs[path] = l
	return l
}

// listenerName names a listener of a controller in the set.
func listenerName(c *model.Controller, l *model.Listener) string { return c.Name + "/" + l.Name }

// listen opens and closes the controllers' listeners.
func (r *running) listen(p *Plan, found *findings) {
	behind := map[string]bool{}
	for _, b := range p.Config.LoadBalancers {
		for _, t := range b.Targets {
			behind[t.Controller] = true
		}
	}
	var desired []listen.Listener
	origins := map[string]model.Origin{}
	for i := range p.Config.Controllers {
		c := &p.Config.Controllers[i]
		certs, err := r.certificates[c.Name].Renew(c, r.pairs)
		if err != nil {
			found.problem(c.Origin, "default-ssl-certificate", c.Settings.DefaultCertificate, err.Error(), "")
			continue
		}
		r.certificates[c.Name] = certs
		for j := range c.Listeners {
			l := &c.Listeners[j]
			name := listenerName(c, l)
			origins[name] = c.Origin
			d := listen.Listener{
				Name: name, Controller: c.Name, Bind: r.bind(c, l, behind[c.Name]), Port: l.Port, TLS: l.TLS, ProxyProtocol: l.ProxyProtocol,
				Settings: &c.Settings, Certificates: certs, Service: r.servers[c.Name],
			}
			d.NoUDP = behind[c.Name]
			if l.TLS && c.Settings.HTTP3 && d.NoUDP {
				found.problems = append(found.problems, model.Problem{
					Origin: c.Origin, Field: "use-http3", Value: "true", Severity: model.Warning,
					Reason: "HTTP/3 is not served: a load balancer of this process is in front of the controller, and takes TCP only",
					Remedy: "remove use-http3, or the Service of type LoadBalancer",
				})
			}
			if l.TLS {
				d.Passthrough = r.passthrough(c, l, found)
			}
			desired = append(desired, d)
			if also := r.opt.ListenAlso; also.IsValid() && !behind[c.Name] {
				d.Name += " on " + also.String()
				d.Bind = netip.AddrPortFrom(also, d.Bind.Port())
				origins[d.Name] = c.Origin
				desired = append(desired, d)
			}
		}
	}
	for _, f := range r.listeners.Apply(desired) {
		if f.UDP {
			found.noHTTP3(origins[strings.TrimSuffix(f.Name, " (UDP)")], f)
			continue
		}
		found.listen[f.Name] = f.Err.Error()
		found.problem(origins[f.Name], "listen", f.Bind.String(), f.Err.Error(), "free the port, or choose another one; it is tried again by itself")
	}
}

// noHTTP3 tells of a listener whose UDP port is not open. Nobody waits for that: clients
// use TCP, and where one process takes another's place its port is free only when all
// connections of the one before have ended.
func (f *findings) noHTTP3(o model.Origin, fail listen.Failure) {
	f.again = true
	f.problems = append(f.problems, model.Problem{
		Origin: o, Field: "use-http3", Value: fail.Bind.String(), Severity: model.Warning,
		Reason: "HTTP/3 is not served: UDP port: " + fail.Err.Error(), Remedy: "free the port; it is tried again by itself",
	})
}

// balance opens and closes the load balancers' ports.
func (r *running) balance(p *Plan, found *findings) {
	origins := map[string]model.Origin{}
	for _, b := range p.Config.LoadBalancers {
		origins[b.Namespace+"/"+b.Name] = b.Origin
	}
	for _, f := range r.balancers.Apply(r.balanced(p)) {
		found.listen[f.Listen.String()] = f.Err.Error()
		key := f.Key[:strings.LastIndexByte(f.Key, ':')]
		found.problem(origins[key], "spec.ports", f.Listen.String(), f.Err.Error(), "free the port, or use other ranges or --port-offset; it is tried again by itself")
	}
}

// balanced says which ports the balancers have, and where each leads now.
func (r *running) balanced(p *Plan) (desired []l4.Desired) {
	for i := range p.Config.LoadBalancers {
		b := &p.Config.LoadBalancers[i]
		key := b.Namespace + "/" + b.Name
		a, ok := p.Allocations.Find(key)
		if !ok {
			continue
		}
		for _, port := range a.Ports {
			n := slices.IndexFunc(b.Ports, func(x model.LoadBalancerPort) bool { return x.Port == port.Port })
			if n < 0 {
				continue
			}
			d := l4.Desired{
				Key: fmt.Sprintf("%s:%d", key, port.Port), Listen: port.Listen, Targets: slices.Clone(p.endpoints(b.Ports[n].Upstream)),
				Options: l4.Options{ProxyV1: b.ProxyProtocol, Idle: b.IdleTimeout, Sources: b.SourceRanges, Affinity: b.ClientAffinity > 0},
			}
			for _, t := range b.Targets {
				if at, ok := r.listenerAddr(t.Controller, b.Ports[n].Listener); ok {
					d.Targets = append(d.Targets, at)
				}
			}
			desired = append(desired, d)
		}
	}
	return desired
}

// listenerAddr returns where a listener or a stream of a controller is bound.
func (r *running) listenerAddr(controller, listener string) (netip.AddrPort, bool) {
	if !strings.Contains(listener, "/") {
		return r.listeners.Addr(controller + "/" + listener)
	}
	return r.streams.tcp.Addr(controller + " " + listener)
}

// publish brings the DNS zones to the plan.
func (r *running) publish(p *Plan, found *findings) {
	if r.dns == nil || r.published && model.Identical(p.Zones, r.plan.Zones) {
		return
	}
	var zones []dns.Zone
	for _, z := range p.Zones {
		zones = append(zones, z.Zone)
	}
	err := r.dns.SetZones(zones)
	if err == nil {
		_, err = dns.Publish(context.Background(), r.dns, p.Zones, dns.Rules{})
	}
	r.published = err == nil
	if err != nil {
		found.problem(model.Origin{Kind: "Zone", Name: "all"}, "", "", err.Error(), "the last good records are answered")
	}
}

// forget drops what belongs to controllers that are gone.
func (r *running) forget(p *Plan) {
	there := map[string]bool{}
	for i := range p.Config.Controllers {
		there[p.Config.Controllers[i].Name] = true
	}
	maps.DeleteFunc(r.servers, func(name string, _ *proxy.Server) bool { return !there[name] })
	maps.DeleteFunc(r.tables, func(name string, _ *routing.Live) bool { return !there[name] })
	maps.DeleteFunc(r.certificates, func(name string, _ *listen.Certificates) bool { return !there[name] })
}

// forgetEvery is how often the counters of all routes are compared with the table. What
// was counted for a request that ended after its route had gone goes then.
const forgetEvery = time.Minute

// forgetRoutes drops the counters of routes that a new table has not.
func (r *running) forgetRoutes(controller string, before, now *routing.Table, all bool) {
	server := r.servers[controller]
	if before == nil || server == nil {
		return
	}
	if all {
		there := map[proxy.RouteKey]bool{}
		for route := range now.Routes() {
			there[routeKey(route)] = true
		}
		server.Forget(func(k proxy.RouteKey) bool { return there[k] }, now)
		return
	}
	gone := map[proxy.RouteKey]bool{}
	now.Gone(before, func(route *routing.Route) { gone[routeKey(route)] = true })
	if len(gone) == 0 {
		server.Forget(nil, now)
		return
	}
	server.Forget(func(k proxy.RouteKey) bool { return !gone[k] }, now)
}

func routeKey(r *routing.Route) proxy.RouteKey {
	return proxy.RouteKey{ID: r.ID, Namespace: r.Namespace, Ingress: r.Ingress, Service: r.Service}
}
