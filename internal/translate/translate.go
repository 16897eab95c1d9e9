package translate

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/pierhead/pierhead/internal/model"
)

// Translate makes the Config that the objects ask for, and the problems that their
// owners should know of. The same objects and options give the same answer, byte for
// byte, whatever Options.Memo remembers. The answer is shared with later ones when
// there is a Memo: nobody may change it.
func Translate(o *Objects, opt Options) (*model.Config, []model.Problem) {
	m := opt.Memo
	if m == nil {
		m = NewMemo()
	}
	return m.translate(o, opt)
}

func (m *Memo) translate(o *Objects, opt Options) (*model.Config, []model.Problem) {
	r := &report{}
	o.repeated(r)
	o.outdated(r)
	cs := controllers(o, opt, r)
	m.begin(o, cs, opt)
	had := m.config
	if had == nil {
		had = &model.Config{}
	}
	cfg := &model.Config{}
	for i, s := range m.build(o, cs, r) {
		c := s.controller()
		if i < len(had.Controllers) {
			c = settleController(had.Controllers[i], c)
		}
		cfg.Controllers = append(cfg.Controllers, c)
	}
	if !opt.ForeignBalancers {
		cfg.LoadBalancers = settle(had.LoadBalancers, m.balancers(o, cs, opt, r))
		cfg.Names = m.claims(o)
	}
	if opt.Standalone {
		m.checkPairs(o)
		m.checkAddresses(o)
	}
	cfg.Certificates = m.certificates(had.Certificates)
	cfg.Upstreams = m.usedUpstreams(had.Upstreams)
	m.rest = m.telling.tell(m.rest, r.told())
	m.end()
	if m.config == nil || !sameConfig(m.config, cfg) {
		m.config = cfg
	}
	return m.config, m.telling.end()
}

// build gives each controller its Ingresses and makes its hosts of them.
func (m *Memo) build(o *Objects, cs []*controller, r *report) []*servers {
	m.classify(o, cs)
	noting := o.noting()
	var all []*servers
	for _, c := range cs {
		s := &servers{m: m, k: m.ledger(c), o: o, noting: noting, c: c, r: r}
		s.readSettings()
		s.collect()
		all = append(all, s)
	}
	m.decide()
	for _, s := range all {
		s.build()
	}
	return all
}

// readSettings reads the ConfigMap of the controller, unless it is known.
func (s *servers) readSettings() {
	if s.k.global == nil || !s.m.hold(s.k.reads) {
		r := &report{}
		s.c.readGlobal(s.noting, r)
		s.c.readPlain()
		s.k.global, s.k.plain, s.k.reads = s.c.global, s.c.plain, s.noting.noted()
		s.k.told, s.afresh = s.m.telling.tell(s.k.told, r.told()), true
	}
	s.c.global, s.c.plain = s.k.global, s.k.plain
}

// controller returns the controller as the model has it.
func (s *servers) controller() model.Controller {
	c := s.c
	settings := c.global.Settings
	c.streams = s.streams()
	settings.DefaultCertificate = s.defaultCertificate()
	return model.Controller{
		Name:      c.name,
		Namespace: c.ns,
		Class:     c.ControllerClass,
		Labels:    c.labels,
		Listeners: []model.Listener{
			{Name: "http", Port: c.HTTPPort, Bind: c.listen, ProxyProtocol: c.global.ProxyProtocol},
			{Name: "https", Port: c.HTTPSPort, Bind: c.listen, TLS: true, ProxyProtocol: c.global.ProxyProtocol},
		},
		Hosts:            s.result(),
		HandedOn:         s.handedOn(),
		Streams:          c.streams,
		Settings:         settings,
		Given:            c.global.Given(),
		Publish:          s.publishedBy(),
		PublishAddresses: c.PublishStatusAddress,
		Ingresses:        s.ingresses(),
		Origin:           c.origin,
	}
}

// ingresses lists those that are served, the oldest first.
func (s *servers) ingresses() []model.Origin {
	list, _ := s.k.sources.end()
	if !s.k.moved {
		return s.k.ingresses
	}
	s.k.ingresses, s.k.moved = nil, false
	if len(list) > 0 {
		s.k.ingresses = make([]model.Origin, len(list))
	}
	for i, src := range list {
		s.k.ingresses[i] = src.origin
	}
	return s.k.ingresses
}

// settleController returns what there was when it is the same, with lists that are the
// same wherever they did not change.
func settleController(had, has model.Controller) model.Controller {
	a, b := had, has
	a.Hosts, b.Hosts, a.HandedOn, b.HandedOn, a.Ingresses, b.Ingresses = nil, nil, nil, nil, nil, nil
	if reflect.DeepEqual(a, b) {
		a.Hosts, a.HandedOn, a.Ingresses = has.Hosts, has.HandedOn, has.Ingresses
		return a
	}
	return has
}

// sameConfig tells whether two Configs hold the same lists.
func sameConfig(a, b *model.Config) bool {
	return slices.EqualFunc(a.Controllers, b.Controllers, sameController) && model.Identical(a.Upstreams, b.Upstreams) &&
		model.Identical(a.Certificates, b.Certificates) && model.Identical(a.LoadBalancers, b.LoadBalancers) && model.Identical(a.Names, b.Names)
}

func sameController(a, b model.Controller) bool {
	return model.Identical(a.Hosts, b.Hosts) && model.Identical(a.Ingresses, b.Ingresses) && model.Identical(a.Listeners, b.Listeners) &&
		model.Identical(a.Streams, b.Streams) && a.Origin == b.Origin
}

// publishedBy returns the Service of --publish-service. One that is missing is told.
func (s *servers) publishedBy() string {
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
	switch svc := s.o.services[i]; {
	case svc == nil:
		s.r.add(model.Warning, at, field, s.c.PublishService,
			s.o.missing("Service", i)+"; the Ingresses get no address", "add the Service or remove the flag")
	case s.m.opt.ForeignBalancers:
		s.checkPublished(svc)
	}
	return i.String()
}

// usedUpstreams lists the upstreams that a route or load balancer leads to.
func (m *Memo) usedUpstreams(had []model.Upstream) []model.Upstream {
	list, moved := m.used.end()
	if !moved && !(m.altered && slices.ContainsFunc(list, func(u *upstream) bool { return u.changed == m.turn })) {
		return had
	}
	if len(list) == 0 {
		return nil
	}
	out := make([]model.Upstream, 0, len(list))
	for _, u := range list {
		out = append(out, u.Upstream)
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

// outdated tells the owner of an object in a version that Kubernetes has no longer.
func outdated(r *report, origin model.Origin, line int, version string) {
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

// outdated tells it of all objects but Ingresses, which are read one by one.
func (o *Objects) outdated(r *report) {
	for _, e := range o.classes {
		outdated(r, e.origin, e.lines.At("apiVersion"), e.version)
	}
	for _, kind := range o.workloads {
		for _, e := range kind {
			outdated(r, e.origin, e.lines.At("apiVersion"), e.version)
		}
	}
}
