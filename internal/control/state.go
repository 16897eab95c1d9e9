package control

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/model"
)

// stateOf tells what a plan became: the plan's values beside what really stands.
func (r *running) stateOf(p *Plan, found *findings) *admin.State {
	s := &admin.State{
		LoadBalancers: []admin.LoadBalancer{}, Records: []admin.Record{}, Controllers: []admin.Controller{}, Routes: []admin.Route{},
		Ingresses: []admin.Ingress{}, Upstreams: []admin.Upstream{}, Certificates: []admin.Certificate{},
		Problems: model.SortProblems(append(slices.Clone(p.Problems), found.problems...)),
	}
	if s.Problems == nil {
		s.Problems = []model.Problem{}
	}
	addresses := map[string][]string{}
	for _, a := range p.Allocations {
		l := admin.LoadBalancer{Namespace: a.Namespace, Name: a.Name, Internal: a.Internal, Hostname: a.Hostname, Addresses: []string{}}
		if a.Address.IsValid() {
			l.Addresses = append(l.Addresses, a.Address.String())
		}
		for _, port := range a.Ports {
			l.Ports = append(l.Ports, admin.LoadBalancerPort{Port: port.Port, Listen: port.Listen.String(), Error: found.listen[port.Listen.String()]})
		}
		addresses[a.Key()] = l.Addresses
		s.LoadBalancers = append(s.LoadBalancers, l)
	}
	for _, z := range p.Zones {
		for _, rec := range z.Records {
			s.Records = append(s.Records, admin.Record{Zone: z.Zone.Name, View: string(z.Zone.Kind), Name: rec.Name, Type: rec.Type, Values: rec.Values, Owner: rec.For})
		}
	}
	r.controllers(s, p, found, addresses)
	s.Upstreams = upstreamsOf(p.Config.Upstreams, p.Endpoints)
	for _, c := range p.Config.Certificates {
		cert := admin.Certificate{Name: c.Name, Names: c.Names, Origin: c.Origin.String()}
		if leaf := r.pairs.Get(c.Name); leaf != nil && leaf.Leaf != nil {
			cert.NotAfter = leaf.Leaf.NotAfter.UTC().Format(time.RFC3339)
		}
		s.Certificates = append(s.Certificates, cert)
	}
	return s
}

// controllers tells where controllers listen, what their tables hold, and which
// addresses the Ingresses are published by.
func (r *running) controllers(s *admin.State, p *Plan, found *findings, addresses map[string][]string) {
	published := map[string][]string{}
	for i := range p.Config.Controllers {
		c := &p.Config.Controllers[i]
		row := admin.Controller{Name: c.Name}
		for _, l := range c.Listeners {
			name := listenerName(c, &l)
			text := ""
			if at, ok := r.listeners.Addr(name); ok {
				text = at.String()
			}
			if failed := found.listen[name]; failed != "" {
				row.Error += l.Name + ": " + failed + "; "
			}
			if l.TLS {
				row.HTTPS = text
			} else {
				row.HTTP = text
			}
		}
		row.Error = strings.TrimSuffix(row.Error, "; ")
		s.Controllers = append(s.Controllers, row)
		for route := range r.tables[c.Name].Load().Routes() {
			names := []string{}
			for _, pol := range route.Policies {
				names = append(names, pol.PolicyName())
			}
			s.Routes = append(s.Routes, admin.Route{
				Controller: c.Name, Host: route.Host, Path: route.Path, PathType: route.PathType.String(), Upstream: route.Upstream,
				Policies: names, Closed: route.Closed, Origin: route.Origin.String(), Place: route.Origin.Place(),
			})
		}
		for _, in := range c.Ingresses {
			key := in.Namespace + "/" + in.Name
			for _, a := range addresses[c.Publish] {
				if !slices.Contains(published[key], a) {
					published[key] = append(published[key], a)
				}
			}
		}
	}
	for key, as := range published {
		slices.Sort(as)
		ns, name, _ := strings.Cut(key, "/")
		s.Ingresses = append(s.Ingresses, admin.Ingress{Namespace: ns, Name: name, Addresses: as})
	}
	sort.Slice(s.Ingresses, func(i, j int) bool {
		a, b := s.Ingresses[i], s.Ingresses[j]
		return a.Namespace < b.Namespace || a.Namespace == b.Namespace && a.Name < b.Name
	})
}

// upstreamsOf tells the endpoints of every upstream.
func upstreamsOf(ups []model.Upstream, given []model.EndpointSet) []admin.Upstream {
	sets := map[string][]string{}
	for _, e := range given {
		for _, a := range e.Endpoints {
			sets[e.Upstream] = append(sets[e.Upstream], a.String())
		}
	}
	rows := []admin.Upstream{}
	for _, u := range ups {
		ends := sets[u.Name]
		if u.External != "" {
			ends = []string{fmt.Sprintf("%s:%d", u.External, u.ExternalP)}
		}
		if ends == nil {
			ends = []string{}
		}
		rows = append(rows, admin.Upstream{Name: u.Name, Endpoints: ends})
	}
	return rows
}
