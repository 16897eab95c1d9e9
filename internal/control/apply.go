package control

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/admin"
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
}

func (f *findings) problem(o model.Origin, field, value, reason, remedy string) {
	f.problems = append(f.problems, model.Problem{Origin: o, Field: field, Value: value, Reason: reason, Remedy: remedy, Severity: model.Error})
}

// apply brings what runs to the plan, in an order in which no request ever meets
// something that is not there yet: endpoints, pools, tables, listeners, balancers, DNS.
// When only endpoints changed, nothing but the pools is touched.
func (r *running) apply(p *Plan) *admin.State {
	found := &findings{listen: map[string]string{}}
	if r.endpoints != nil {
		r.endpoints.planned(p)
	} else {
		r.pools.SetEndpoints(p.Endpoints)
	}
	if !r.failing && r.plan != nil && reflect.DeepEqual(p.Config, r.plan.Config) && reflect.DeepEqual(p.Zones, r.plan.Zones) {
		r.balancers.Apply(r.balanced(p)) // targets may be endpoints
		r.plan = p
		return r.stateOf(p, found)
	}
	r.pools.Apply(p.Config.Upstreams, keepAlive(p.Config))
	var errs []error
	r.pairs, errs = listen.ParseKeyPairs(p.Config.Certificates, r.pairs)
	for _, err := range errs {
		found.problem(model.Origin{Kind: "Secret", Name: "certificates"}, "data", "", err.Error(), "store a certificate and its key")
	}
	r.expired(p, found, time.Now())
	r.compile(p, found)
	r.listen(p, found)
	r.balance(p, found)
	r.publish(p, found)
	r.forget(p)
	r.plan, r.allocations = p, p.Allocations
	r.failing = len(found.listen) > 0
	return r.stateOf(p, found)
}

// expired tells about certificates that clients refuse by now, which no translation
// can know: it has no clock.
func (r *running) expired(p *Plan, found *findings, now time.Time) {
	for i := range p.Config.Certificates {
		c := &p.Config.Certificates[i]
		pair := r.pairs.Get(c.Name)
		if pair == nil || pair.Leaf == nil || now.Before(pair.Leaf.NotAfter) {
			continue
		}
		found.problems = append(found.problems, model.Problem{
			Origin: c.Origin, Field: "data[tls.crt]", Severity: model.Warning,
			Reason: "the certificate expired on " + pair.Leaf.NotAfter.UTC().Format(time.RFC3339) + ": it is served, and clients refuse it", Remedy: "renew it",
		})
	}
}

// keepAlive takes the bounds of upstream connections from the first controller: the
// pools are shared by all.
func keepAlive(c *model.Config) upstream.KeepAlive {
	if len(c.Controllers) == 0 {
		return upstream.DefaultKeepAlive
	}
	s := &c.Controllers[0].Settings
	return upstream.KeepAlive{Idle: s.UpstreamIdle, Life: s.UpstreamLife, Max: s.KeepUpstream, Requests: s.UpstreamRequests}
}

// compile makes the tables and swaps them in.
func (r *running) compile(p *Plan, found *findings) {
	r.outlasts.Sweep()
	env := routing.Env{Pools: r.pools.Pool, State: r.outlasts}
	for i := range p.Config.Controllers {
		c := &p.Config.Controllers[i]
		table, problems := routing.Compile(c, env)
		found.problems = append(found.problems, problems...)
		live := r.tables[c.Name]
		if live == nil {
			live = &routing.Live{}
			r.tables[c.Name] = live
		}
		live.Swap(table)
		if r.servers[c.Name] == nil {
			r.servers[c.Name] = proxy.New(proxy.Options{
				Live: live, Client: r.client, Log: r.log(c, found), Version: r.opt.Version, Report: r.errors.report,
			}, r.engine.Loops())
		}
	}
}

// imageLog is where the reference's image links its access log to standard output.
const imageLog = "/var/log/nginx/access.log"

// log opens the access log of a controller.
func (r *running) log(c *model.Controller, found *findings) *proxy.AccessLog {
	path := c.Settings.AccessLogPath
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
			found.problem(c.Origin, "access-log-path", path, "the access log goes to standard output: "+err.Error(), "name a file that can be written")
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
		certs, err := listen.NewCertificates(c, r.pairs)
		if err != nil {
			found.problem(c.Origin, "default-ssl-certificate", c.Settings.DefaultCertificate, err.Error(), "")
			continue
		}
		for j := range c.Listeners {
			l := &c.Listeners[j]
			name := listenerName(c, l)
			origins[name] = c.Origin
			d := listen.Listener{
				Name: name, Bind: r.bind(c, l, behind[c.Name]), Port: l.Port, TLS: l.TLS, ProxyProtocol: l.ProxyProtocol,
				Settings: &c.Settings, Certificates: certs, Service: r.servers[c.Name],
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
		found.listen[f.Name] = f.Err.Error()
		found.problem(origins[f.Name], "listen", f.Bind.String(), f.Err.Error(), "free the port, or choose another one; it is tried again by itself")
	}
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
	endpoints := map[string][]netip.AddrPort{}
	for _, e := range p.Endpoints {
		endpoints[e.Upstream] = e.Endpoints
	}
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
				Key: fmt.Sprintf("%s:%d", key, port.Port), Listen: port.Listen, Targets: slices.Clone(endpoints[b.Ports[n].Upstream]),
				Options: l4.Options{ProxyV1: b.ProxyProtocol, Idle: b.IdleTimeout, Sources: b.SourceRanges, Affinity: b.ClientAffinity > 0},
			}
			for _, t := range b.Targets {
				if at, ok := r.listeners.Addr(t.Controller + "/" + b.Ports[n].Listener); ok {
					d.Targets = append(d.Targets, at)
				}
			}
			desired = append(desired, d)
		}
	}
	return desired
}

// publish brings the DNS zones to the plan.
func (r *running) publish(p *Plan, found *findings) {
	if r.dns == nil {
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
	for name, s := range r.servers {
		ids := map[string]bool{}
		for route := range r.tables[name].Load().Routes() {
			ids[route.ID] = true
		}
		s.Forget(func(id string) bool { return ids[id] })
	}
}
