package control

import (
	"context"
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

	mu  sync.Mutex
	ups []model.Upstream
	of  map[string][]int // upstreams by Service
}

// planned gives the upstreams of a new plan their endpoints, before anything leads to
// them.
func (e *endpoints) planned(p *Plan) {
	of := make(map[string][]int, len(p.Config.Upstreams))
	for i, u := range p.Config.Upstreams {
		key := u.Namespace + "/" + u.Service
		of[key] = append(of[key], i)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ups, e.of = p.Config.Upstreams, of
	p.Endpoints = e.source.Endpoints(e.ups)
	e.pools.SetEndpoints(p.Endpoints)
}

// changed gives the upstreams of these Services their endpoints.
func (e *endpoints) changed(services []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ups []model.Upstream
	for _, key := range services {
		for _, i := range e.of[key] {
			ups = append(ups, e.ups[i])
		}
	}
	if len(ups) > 0 {
		e.pools.SetEndpoints(e.source.Endpoints(ups))
		e.given.Add(1)
	}
}

// watch brings every change to the pools until ctx ends.
func (e *endpoints) watch(ctx context.Context) error { return e.source.WatchEndpoints(ctx, e.changed) }

// Current returns what stands now with the endpoints of this moment, which State may
// be behind with.
func (c *Control) Current() *admin.State {
	s := c.State()
	e := c.runs.endpoints
	if e == nil || e.given.Load() == 0 {
		return s
	}
	e.mu.Lock()
	ups := e.ups
	e.mu.Unlock()
	now := *s
	now.Upstreams = upstreamsOf(ups, e.source.Endpoints(ups))
	return &now
}
