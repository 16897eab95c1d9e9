package control

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/listen"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/routing"
)

// standing is what stands after one step: the plan's values beside what really came of
// them. Most of it is told only when somebody asks.
type standing struct {
	version, engine string
	generation      uint64
	failures        uint64    // of the changes so far, those that could not be applied whole
	whole           time.Time // when one was last applied whole
	problems        []model.Problem
	controllers     []admin.Controller

	plan   *Plan
	found  *findings
	ports  []admin.Stream
	tables map[string]*routing.Table
	pairs  *listen.KeyPairs
	certs  map[string]*listen.Certificates            // by controller
	ends   func([]model.Upstream) []model.EndpointSet // nil: those of the plan

	once  sync.Once
	state *admin.State
}

// stands says what stands after a plan was applied.
func (r *running) stands(p *Plan, found, streams *findings) *standing {
	s := &standing{
		version: r.opt.Version, engine: string(r.opt.Engine), problems: model.MergeProblems(p.Problems, model.MergeProblems(found.problems, streams.problems)),
		controllers: []admin.Controller{}, plan: p, found: found, pairs: r.pairs, tables: map[string]*routing.Table{},
		certs: maps.Clone(r.certificates),
	}
	if r.endpoints != nil {
		s.ends = r.endpoints.source.Endpoints
	}
	for name, live := range r.tables {
		s.tables[name] = live.Load()
	}
	for i := range p.Config.Controllers {
		s.controllers = append(s.controllers, r.controller(&p.Config.Controllers[i], found))
		s.ports = append(s.ports, r.streamRows(&p.Config.Controllers[i], streams)...)
	}
	return s
}

// controller tells where a controller listens.
func (r *running) controller(c *model.Controller, found *findings) admin.Controller {
	row := admin.Controller{Name: c.Name}
	for _, l := range c.Listeners {
		name := listenerName(c, &l)
		text := ""
		if at, ok := r.listeners.Addr(name); ok {
			text = at.String()
		}
		if failed := found.listen[name]; failed != "" {
			row.Error += l.Name + ": " + failed + " "
		}
		if l.TLS {
			row.HTTPS = text
		} else {
			row.HTTP = text
		}
	}
	return row
}

// tell returns all of it. Any goroutine may call it.
func (s *standing) tell() *admin.State {
	s.once.Do(func() { s.state = s.make() })
	return s.state
}

// make makes all of it.
func (st *standing) make() *admin.State {
	s := &admin.State{
		Version: st.version, Engine: st.engine, Generation: st.generation, Controllers: st.controllers, Problems: st.problems,
		LoadBalancers: []admin.LoadBalancer{}, Records: []admin.Record{}, Routes: []admin.Route{},
		Streams: append([]admin.Stream{}, st.ports...), Ingresses: []admin.Ingress{}, Upstreams: []admin.Upstream{}, Certificates: []admin.Certificate{},
	}
	if s.Problems == nil {
		s.Problems = []model.Problem{}
	}
	p := st.plan
	if p == nil {
		return s
	}
	addresses := map[string][]string{}
	for _, a := range p.Allocations {
		l := admin.LoadBalancer{Namespace: a.Namespace, Name: a.Name, Internal: a.Internal, Hostname: a.Hostname, Addresses: []string{}}
		if a.Address.IsValid() {
			l.Addresses = append(l.Addresses, a.Address.String())
		}
		for _, port := range a.Ports {
			l.Ports = append(l.Ports, admin.LoadBalancerPort{Port: port.Port, Listen: port.Listen.String(), Error: st.found.listen[port.Listen.String()]})
		}
		addresses[a.Key()] = l.Addresses
		s.LoadBalancers = append(s.LoadBalancers, l)
	}
	for _, z := range p.Zones {
		for _, rec := range z.Records {
			s.Records = append(s.Records, admin.Record{Zone: z.Zone.Name, View: string(z.Zone.Kind), Name: rec.Name, Type: rec.Type, Values: rec.Values, Owner: rec.For})
		}
	}
	st.routes(s, addresses)
	s.Upstreams = st.upstreams()
	for _, c := range p.Config.Certificates {
		cert := admin.Certificate{Name: c.Name, Names: c.Names, Origin: c.Origin.String()}
		if leaf := st.pairs.Get(c.Name); leaf != nil && leaf.Leaf != nil {
			cert.NotAfter = leaf.Leaf.NotAfter.UTC().Format(time.RFC3339)
		}
		s.Certificates = append(s.Certificates, cert)
	}
	return s
}

// upstreams tells the endpoints of every upstream.
func (st *standing) upstreams() []admin.Upstream {
	ups, given := st.plan.Config.Upstreams, st.plan.Endpoints
	if st.ends != nil {
		given = st.ends(ups)
	}
	return upstreamsOf(ups, given)
}

// routes tells what the tables hold and which addresses the Ingresses are published by.
func (st *standing) routes(s *admin.State, addresses map[string][]string) {
	published := map[string][]string{}
	for i := range st.plan.Config.Controllers {
		c := &st.plan.Config.Controllers[i]
		for route := range st.tables[c.Name].Routes() {
			names := []string{}
			for _, pol := range route.Policies {
				names = append(names, pol.PolicyName())
			}
			s.Routes = append(s.Routes, admin.Route{
				Controller: c.Name, Host: route.Host, Path: route.Path, PathType: route.PathType.String(), Upstream: route.Upstream,
				Policies: names, Closed: route.Closed, Namespace: route.Namespace, Ingress: route.Ingress, Origin: route.Origin.String(), Place: route.Origin.Place(),
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
		row := admin.Upstream{
			Name: u.Name, Namespace: u.Namespace, Service: u.Service, Port: u.Port, Protocol: u.Protocol, Balance: u.Balance,
			HashBy: u.HashBy, Subset: u.Subset, Health: healthOf(&u), External: u.External != "", Endpoints: ends,
		}
		if u.Sticky != nil {
			row.Sticky = u.Sticky.Cookie
		}
		rows = append(rows, row)
	}
	return rows
}
