package control

import (
	"crypto/tls"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/listen"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
	"github.com/pierhead/pierhead/internal/routing"
)

// Admin returns what answers operators and probes. Healthy says why the process is not
// ready.
func (c *Control) Admin(healthy func() error) *admin.Server {
	return &admin.Server{
		State: c.Current, Generation: func() uint64 { return c.stands.Load().generation }, Healthy: healthy, Metrics: c.metrics(),
		Views: admin.Views{
			Config:      func(q admin.ConfigQuery) admin.Config { return c.stands.Load().config(q) },
			Certificate: func(host string) []admin.ServedCertificate { return c.stands.Load().certificate(host) },
			Explain:     func(name string, req *admin.Request) []admin.Explanation { return c.stands.Load().explain(name, req) },
		},
	}
}

// controllerModels lists the controllers that stand.
func (st *standing) controllerModels() []model.Controller {
	if st.plan == nil {
		return nil
	}
	return st.plan.Config.Controllers
}

// config tells what the controllers serve as values.
func (st *standing) config(q admin.ConfigQuery) admin.Config {
	answer := admin.Config{Generation: st.generation, Controllers: []admin.ControllerConfig{}}
	models := st.controllerModels()
	for i := range models {
		c := &models[i]
		if q.Controller != "" && q.Controller != c.Name {
			continue
		}
		row := admin.ControllerConfig{Name: c.Name, Listeners: []admin.Listener{}, Settings: settingsOf(c), Hosts: len(c.Hosts)}
		for _, l := range c.Listeners {
			row.Listeners = append(row.Listeners, admin.Listener{Name: l.Name, Port: l.Port, ProxyProtocol: l.ProxyProtocol})
		}
		if q.HasHost {
			row.Host = hostConfig(c, st.tables[c.Name], q)
		}
		answer.Controllers = append(answer.Controllers, row)
	}
	return answer
}

// settingsOf lists every key of a controller's ConfigMap with the value that counts.
func settingsOf(c *model.Controller) []admin.Setting {
	list := []admin.Setting{}
	for _, d := range policy.Decls() {
		if d.Scope&policy.OnController == 0 {
			continue
		}
		s := admin.Setting{Key: d.Name, Value: d.Default}
		if n := slices.IndexFunc(c.Given, func(g model.Given) bool { return g.Key == d.Name }); n >= 0 {
			s.Value, s.From = c.Given[n].Value, c.Given[n].Field+" of "+from(c.Given[n].Origin)
		}
		list = append(list, s)
	}
	return list
}

// hostConfig tells what the entry does that takes a host.
func hostConfig(c *model.Controller, t *routing.Table, q admin.ConfigQuery) *admin.HostConfig {
	found := t.Explain(q.Host, "/")[0]
	h := &admin.HostConfig{Name: found.Host, Why: found.Why, Aliases: []string{}, Routes: []admin.RouteConfig{}}
	for _, m := range c.Hosts {
		if strings.EqualFold(m.Name, found.Host) {
			h.Certificate = m.Certificate
			h.Aliases = append(h.Aliases, m.Aliases...)
		}
	}
	for r := range t.RoutesOf(found.Host) {
		if q.Path != "" && q.Path != r.Path {
			continue
		}
		if len(h.Routes) >= q.Limit {
			h.Omitted++
			continue
		}
		h.Routes = append(h.Routes, admin.RouteConfig{
			Path: r.Path, PathType: r.PathType.String(), Upstream: r.Upstream, Closed: r.Closed, Origin: r.Origin.String(), Place: r.Origin.Place(), Steps: stepsOf(r),
		})
	}
	return h
}

// explain tells what the controllers do with a request. The steps of the tables that
// serve count requests: those that are asked here are of a table of their own, made of
// the hosts that may take the request.
func (st *standing) explain(name string, req *admin.Request) []admin.Explanation {
	p := &Plan{Config: &model.Config{}}
	used := map[string]bool{}
	models := st.controllerModels()
	for i := range models {
		c := models[i]
		entry := st.tables[c.Name].Explain(hostOf(req), pathOf(req))[0].Host
		c.Hosts = nil
		for _, h := range models[i].Hosts {
			if h.Name == "" || strings.EqualFold(h.Name, entry) {
				c.Hosts = append(c.Hosts, h)
				for _, r := range h.Routes {
					used[r.Upstream] = true
				}
			}
		}
		p.Config.Controllers = append(p.Config.Controllers, c)
	}
	if st.plan != nil {
		for _, u := range st.plan.Config.Upstreams {
			if used[u.Name] {
				p.Config.Upstreams = append(p.Config.Upstreams, u)
			}
		}
		p.Endpoints = st.endpointsOf(p.Config.Upstreams)
	}
	if all := Explain(p, name, req); all != nil {
		return all
	}
	return []admin.Explanation{}
}

// endpointsOf returns the endpoints of some upstreams.
func (st *standing) endpointsOf(ups []model.Upstream) []model.EndpointSet {
	if st.ends != nil {
		return st.ends(ups)
	}
	return st.plan.Endpoints
}

// certificate tells what clients are shown that name a host.
func (st *standing) certificate(host string) []admin.ServedCertificate {
	list := []admin.ServedCertificate{}
	models := st.controllerModels()
	for i := range models {
		certs := st.certs[models[i].Name]
		if certs == nil {
			continue
		}
		pair := certs.For(host)
		s := admin.ServedCertificate{Controller: models[i].Name, Host: host, Secrets: []string{}, Names: []string{}, Chain: chainOf(pair)}
		for _, c := range st.plan.Config.Certificates {
			if st.pairs.Get(c.Name) == pair {
				s.Secrets = append(s.Secrets, c.Name)
			}
		}
		s.SelfMade = len(s.Secrets) == 0
		describe(&s, pair, host)
		list = append(list, s)
	}
	return list
}

// chainOf returns the certificates of a key pair as PEM. The key is not among them.
func chainOf(pair *tls.Certificate) string {
	var b strings.Builder
	for _, der := range pair.Certificate {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return b.String()
}

// describe tells what the first certificate of a key pair says.
func describe(s *admin.ServedCertificate, pair *tls.Certificate, host string) {
	leaf := pair.Leaf
	if leaf == nil {
		return
	}
	s.Names = append(s.Names, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		s.Names = append(s.Names, ip.String())
	}
	s.Subject, s.Issuer, s.Serial = leaf.Subject.String(), leaf.Issuer.String(), leaf.SerialNumber.Text(16)
	s.NotBefore, s.NotAfter = leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339)
	s.Covers = listen.Covers(pair, host)
}
