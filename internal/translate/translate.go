package translate

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pierhead/pierhead/internal/model"
)

// Translate makes the Config that the objects ask for, and the problems that their
// owners should know of. It is a pure function: the same objects and options give
// the same answer, byte for byte.
func Translate(o *Objects, opt Options) (*model.Config, []model.Problem) {
	r := &report{}
	o.repeated(r)
	o.outdated(r)
	cfg := &model.Config{}
	cs := controllers(o, opt, r)
	us, certs, all := o.build(cs, opt, r)
	for _, s := range all {
		cfg.Controllers = append(cfg.Controllers, s.controller())
	}
	if !opt.ForeignBalancers {
		balancers(o, cs, us, cfg, r)
		cfg.Names = names(o, r)
	}
	if opt.Standalone {
		certs.checkAll()
		o.checkAddresses(r)
	}
	cfg.Certificates = certs.served()
	cfg.Upstreams = us.used(cfg)
	return cfg, model.SortProblems(r.problems)
}

// build gives each controller its Ingresses and makes its hosts of them.
func (o *Objects) build(cs []*controller, opt Options, r *report) (*upstreams, *certificates, []*servers) {
	certs := &certificates{o: o, r: r, read: map[id]*keyPair{}}
	us := &upstreams{o: o, r: r, opt: opt, slices: o.ofService, byName: map[string]*model.Upstream{}}
	classify(o, cs, opt, r)
	var all []*servers
	for _, c := range cs {
		c.readGlobal(o, r)
		s := &servers{o: o, c: c, r: r, us: us, certs: certs, hosts: map[string]*hostBuilder{}, seen: map[string]string{}}
		s.build()
		all = append(all, s)
	}
	return us, certs, all
}

// controller returns the controller as the model has it.
func (s *servers) controller() model.Controller {
	c := s.c
	settings := c.global.Settings
	settings.DefaultCertificate = s.defaultCertificate()
	m := model.Controller{
		Name:      c.name,
		Namespace: c.ns,
		Labels:    c.labels,
		Listeners: []model.Listener{
			{Name: "http", Port: c.HTTPPort, Bind: c.listen, ProxyProtocol: c.global.ProxyProtocol},
			{Name: "https", Port: c.HTTPSPort, Bind: c.listen, TLS: true, ProxyProtocol: c.global.ProxyProtocol},
		},
		Hosts:            s.result(),
		Settings:         settings,
		Publish:          s.publish(),
		PublishAddresses: c.PublishStatusAddress,
		Origin:           c.origin,
	}
	for _, src := range s.taken {
		m.Ingresses = append(m.Ingresses, src.origin)
	}
	return m
}

// publish returns the Service of --publish-service. One that is missing is told.
func (s *servers) publish() string {
	at, field := s.c.at("publish-service")
	i, err := parseID(s.c.PublishService)
	if s.c.PublishService == "" || err != nil {
		return ""
	}
	if len(s.c.PublishStatusAddress) > 0 {
		s.r.add(model.Warning, at, field, s.c.PublishService,
			"--publish-status-address is given too and counts; ingress-nginx would not start", "remove one of the two")
		return ""
	}
	if s.o.services[i] == nil {
		s.r.add(model.Warning, at, field, s.c.PublishService,
			s.o.missing("Service", i)+"; the Ingresses get no address", "add the Service or remove the flag")
	}
	return i.String()
}

// used lists the upstreams that a route or load balancer leads to.
func (us *upstreams) used(cfg *model.Config) []model.Upstream {
	wanted := map[string]bool{}
	for _, c := range cfg.Controllers {
		for _, h := range c.Hosts {
			for _, rt := range h.Routes {
				wanted[rt.Upstream] = true
			}
		}
	}
	for _, lb := range cfg.LoadBalancers {
		for _, p := range lb.Ports {
			wanted[p.Upstream] = true
		}
	}
	var out []model.Upstream
	for _, name := range slices.Sorted(maps.Keys(us.byName)) {
		if wanted[name] {
			out = append(out, *us.byName[name])
		}
	}
	return out
}

// removedVersions says since when Kubernetes has a version no longer.
var removedVersions = map[string]string{
	"extensions/v1beta1 Ingress":             "1.22",
	"networking.k8s.io/v1beta1 Ingress":      "1.22",
	"networking.k8s.io/v1beta1 IngressClass": "1.22",
	"extensions/v1beta1 Deployment":          "1.16",
	"extensions/v1beta1 DaemonSet":           "1.16",
	"apps/v1beta1 Deployment":                "1.16",
	"apps/v1beta2 Deployment":                "1.16",
	"apps/v1beta2 DaemonSet":                 "1.16",
}

// outdated tells the owners of objects in versions that Kubernetes has no longer.
func (o *Objects) outdated(r *report) {
	tell := func(origin model.Origin, line int, version string) {
		since, old := removedVersions[version+" "+origin.Kind]
		if !old {
			return
		}
		if line > 0 {
			origin.Line = line
		}
		r.add(model.Info, origin, "apiVersion", version,
			fmt.Sprintf("the object is converted: Kubernetes has this version no longer since %s", since), "write "+Versions(origin.Kind)[0])
	}
	for _, e := range o.ingresses {
		tell(e.origin, e.lines.At("apiVersion"), e.version)
	}
	for _, e := range o.classes {
		tell(e.origin, e.lines.At("apiVersion"), e.version)
	}
	for _, kind := range o.workloads {
		for _, e := range kind {
			tell(e.origin, e.lines.At("apiVersion"), e.version)
		}
	}
}
