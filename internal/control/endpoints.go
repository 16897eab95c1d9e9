package control

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/upstream"
)

// Starter is a Source that must be waited for. Start returns when the objects can be
// loaded, and goes on in the background until ctx ends.
type Starter interface {
	Source
	Start(ctx context.Context) error
}

// EndpointSource is a Source that tells endpoints apart from everything else: their
// changes go to the pools at once, whatever else is being worked on.
type EndpointSource interface {
	Source
	// Endpoints returns the endpoints that these upstreams have now. Any goroutine may
	// call it.
	Endpoints(ups []model.Upstream) []model.EndpointSet
	// WatchEndpoints calls changed with the Services, as namespace/name, whose
	// endpoints changed, until ctx ends.
	WatchEndpoints(ctx context.Context, changed func(services []string)) error
}

// endpoints brings the endpoints of an EndpointSource to the pools: of all upstreams
// when there is a new plan, of a few when theirs changed. Both hold the mutex from
// asking to giving, so that the pools never go back to what was before.
type endpoints struct {
	source EndpointSource
	pools  *upstream.Set
	given  atomic.Uint64 // how often changes were given to the pools

	toggled func() // told when an upstream of TCP or UDP ports gets its first or loses its last endpoint

	mu  sync.Mutex
	ups []model.Upstream
	of  map[service][]int // upstreams by Service
}

// service names a Service.
type service struct{ namespace, name string }

// planned gives the upstreams of a new plan their endpoints, before anything leads to
// them. Those that were in the last plan have theirs: changes come by themselves.
func (e *endpoints) planned(p *Plan) {
	e.mu.Lock()
	defer e.mu.Unlock()
	last, ups := e.ups, p.Config.Upstreams
	if model.Identical(last, ups) && e.of != nil {
		return
	}
	e.ups, e.of = ups, make(map[service][]int, len(ups))
	var fresh []model.Upstream
	for i := range ups {
		u := &ups[i]
		key := service{u.Namespace, u.Service}
		e.of[key] = append(e.of[key], i)
		for len(last) > 0 && last[0].Name < u.Name {
			last = last[1:]
		}
		if len(last) == 0 || last[0] != *u {
			fresh = append(fresh, *u)
		}
	}
	if len(fresh) > 0 {
		e.pools.SetEndpoints(e.source.Endpoints(fresh))
	}
}

// changed gives the upstreams of these Services their endpoints.
func (e *endpoints) changed(services []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ups []model.Upstream
	for _, key := range services {
		namespace, name, _ := strings.Cut(key, "/")
		for _, i := range e.of[service{namespace, name}] {
			ups = append(ups, e.ups[i])
		}
	}
	if len(ups) == 0 {
		return
	}
	before := e.emptyStreams(ups)
	e.pools.SetEndpoints(e.source.Endpoints(ups))
	e.given.Add(1)
	if !slices.Equal(before, e.emptyStreams(ups)) {
		e.toggled()
	}
}

// emptyStreams tells which of these upstreams have no endpoint and are led to by TCP or
// UDP ports, which are closed then.
func (e *endpoints) emptyStreams(ups []model.Upstream) (empty []string) {
	for i := range ups {
		if u := &ups[i]; u.Protocol == "TCP" || u.Protocol == "UDP" {
			if pool := e.pools.Pool(u.Name); pool == nil || pool.Empty() {
				empty = append(empty, u.Name)
			}
		}
	}
	return empty
}

// watch brings every change to the pools until ctx ends.
func (e *endpoints) watch(ctx context.Context) error { return e.source.WatchEndpoints(ctx, e.changed) }

// Current returns what stands now with the endpoints of this moment and their health, which State may
// be behind with.
func (c *Control) Current() *admin.State {
	stands := c.stands.Load()
	s := stands.tell()
	if e := c.runs.endpoints; e == nil || e.given.Load() == 0 || stands.plan == nil {
		return c.withHealth(s)
	}
	now := *s
	now.Upstreams = stands.upstreams()
	return c.withHealth(&now)
}
