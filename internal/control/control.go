// Package control joins everything: it observes objects, makes a plan of them, and
// brings what runs to that plan. It is the only package that knows all others.
//
// The life of a change: the source says that something changed; step reads the
// objects and makes a Plan (plan.go); apply brings pools, tables, listeners, balancers
// and DNS records to it (apply.go); the new state is told (state.go).
package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/overload"
	"github.com/pierhead/pierhead/internal/proxy"
	"github.com/pierhead/pierhead/internal/takeover"
	"github.com/pierhead/pierhead/internal/translate"
)

// Source is where objects come from: files (package file) or a cluster (package kube).
// It may be a Starter and an EndpointSource besides.
type Source interface {
	// Load returns the objects as they are now, and what is wrong with reading them.
	Load() (*translate.Objects, []model.Problem)
	// Watch calls changed after every change since the last Load, until ctx ends. An
	// error says why it cannot go on.
	Watch(ctx context.Context, changed func()) error
}

// Options are what a process is started with.
type Options struct {
	Version       string
	Source        Source
	Rules         Rules
	ListenAddress netip.Addr     // of controllers that have no load balancer in front
	ListenAlso    netip.Addr     // a further address of theirs; the zero value for none
	AdminListen   string         // "" for none
	DNSListen     netip.AddrPort // the zero value for none
	DNSClients    []netip.Prefix // who sees private zones; nil: loopback and private ranges
	Engine        loop.Kind
	Log           *slog.Logger
	AccessLog     io.Writer
	Metrics       Metrics
	Memory        func() overload.Memory // what is used and may be; nil: what Go's runtime says
	AnyPort       bool                   // for tests: free ports instead of those that listeners stand for
	DrainLimit    time.Duration          // bounds the drain at the end; 0: 10 seconds
	Linger        time.Duration          // how long idle connections are waited for at the end: a request may be on its way
	Place         *takeover.Place        // among the processes that take each other's place; nil: on its own
	Changed       func(*Control)         // called after every change that was applied; may be nil
}

// Control is a running process.
type Control struct {
	opt    Options
	runs   *running
	plans  *planner
	stands atomic.Pointer[standing]
	serves atomic.Pointer[map[string]*proxy.Server] // by controller, for metrics

	keys   []string         // what Ingresses returned
	keysOf [][]model.Origin // for these lists

	changed   chan struct{} // has room for one: something is to be done
	adminAddr net.Addr
	cancel    context.CancelFunc
	ended     sync.WaitGroup
	err       error // why the admin address or the watch ended
}

// Start reads the objects, serves them and watches them until ctx ends. What is wrong
// with objects is no error: it is in the state.
func Start(ctx context.Context, opt Options) (*Control, error) {
	runs, err := newRunning(opt)
	if err != nil {
		return nil, err
	}
	c := &Control{opt: opt, runs: runs, plans: newPlanner(opt.Rules), changed: make(chan struct{}, 1)}
	if c.plans.apart = runs.endpoints != nil; c.plans.apart {
		runs.endpoints.toggled = func() { poke(c.changed) }
	}
	ctx, c.cancel = context.WithCancel(ctx)
	if err := c.startAdmin(ctx); err != nil {
		c.cancel()
		c.runs.close(context.Background())
		return nil, err
	}
	if source, ok := opt.Source.(Starter); ok {
		if err := source.Start(ctx); err != nil {
			c.cancel()
			c.runs.close(context.Background())
			c.ended.Wait()
			return nil, err
		}
	}
	c.step()
	if e := c.runs.endpoints; e != nil {
		c.ended.Go(func() {
			if err := e.watch(ctx); ctx.Err() == nil {
				c.opt.Log.Error("changes of endpoints are not seen any more; restart the process", "error", err)
			}
		})
	}
	c.ended.Go(func() {
		err := c.opt.Source.Watch(ctx, func() { poke(c.changed) })
		if err != nil && ctx.Err() == nil {
			c.opt.Log.Error("changes are not seen any more; restart the process", "error", err)
		}
	})
	c.ended.Go(func() { c.watchMemory(ctx) })
	c.ended.Go(func() { c.watch(ctx, c.changed) })
	return c, nil
}

// poke tells of a change. One that is waiting already will see this one too.
func poke(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}

// startAdmin opens the admin address.
func (c *Control) startAdmin(ctx context.Context) error {
	c.stands.Store(&standing{version: c.opt.Version})
	if c.opt.AdminListen == "" {
		return nil
	}
	ln, err := c.opt.Place.Listen(c.opt.AdminListen)
	if err != nil {
		return fmt.Errorf("admin address: %w; choose another one with --admin-listen", err)
	}
	c.adminAddr = ln.Addr()
	srv := c.Admin(c.healthy)
	c.ended.Go(func() {
		if err := srv.Serve(ctx, ln); err != nil {
			c.opt.Log.Error(err.Error())
		}
	})
	return nil
}

// watch is the loop of the control plane. One of three things can happen: the files
// changed; a port that could not be opened may be free now; the process ends.
func (c *Control) watch(ctx context.Context, changed <-chan struct{}) {
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	for {
		select {
		case <-changed:
			c.step()
		case <-retry.C:
			if c.runs.failing || c.runs.streams.failing {
				c.step()
			}
		case <-ctx.Done():
			c.err = c.runs.close(context.Background())
			return
		}
	}
}

// retryEvery is how often ports that could not be opened are tried again.
const retryEvery = 2 * time.Second

// step brings what runs to what the manifests say now.
func (c *Control) step() {
	objects, problems := c.opt.Source.Load()
	plan := c.plans.make(objects, problems, c.runs.allocations)
	found := c.runs.apply(plan)
	stands := c.runs.stands(plan, found, c.runs.stream(plan))
	last := c.stands.Load()
	stands.generation, stands.failures, stands.whole = last.generation+1, last.failures, last.whole
	if len(stands.found.listen) == 0 {
		stands.whole = time.Now()
	} else {
		stands.failures++
	}
	c.stands.Store(stands)
	servers := maps.Clone(c.runs.servers)
	c.serves.Store(&servers)
	if c.opt.Changed != nil {
		c.opt.Changed(c)
	}
}

// State returns what stands now. The caller must not change it. It is made when it is
// first asked for after a change, which takes a while when there are many routes.
func (c *Control) State() *admin.State { return c.stands.Load().tell() }

// Problems returns those of State, without making the rest of it.
func (c *Control) Problems() []model.Problem { return c.stands.Load().problems }

// Controllers returns those of State, without making the rest of it.
func (c *Control) Controllers() []admin.Controller { return c.stands.Load().controllers }

// Ingresses lists the Ingresses that are served, as namespace/name. Only
// Options.Changed may ask for them, and must not change the list.
func (c *Control) Ingresses() []string {
	var all [][]model.Origin
	for i := range c.runs.plan.Config.Controllers {
		all = append(all, c.runs.plan.Config.Controllers[i].Ingresses)
	}
	if slices.EqualFunc(all, c.keysOf, model.Identical) {
		return c.keys
	}
	c.keys, c.keysOf = nil, all
	for _, list := range all {
		for _, o := range list {
			c.keys = append(c.keys, o.Namespace+"/"+o.Name)
		}
	}
	return c.keys
}

// serving returns the servers of all controllers.
func (c *Control) serving() map[string]*proxy.Server {
	if m := c.serves.Load(); m != nil {
		return *m
	}
	return nil
}

// Accepted returns how many connections have come to the controllers' listeners.
func (c *Control) Accepted() uint64 { return c.runs.listeners.Counts().Accepted }

// AdminAddr returns the address of the admin server, or nil without one.
func (c *Control) AdminAddr() net.Addr { return c.adminAddr }

// DNSAddr returns the address of the DNS server.
func (c *Control) DNSAddr() netip.AddrPort { return c.runs.dnsAddr() }

var errNotReady = errors.New("the first table is not live yet")

func (c *Control) healthy() error {
	if c.stands.Load().generation == 0 {
		return errNotReady
	}
	return nil
}

// Wait returns when the process has ended: connections were drained and everything
// is closed.
func (c *Control) Wait() error {
	c.ended.Wait()
	return c.err
}

// Stop ends the process and waits for it.
func (c *Control) Stop() error {
	c.cancel()
	return c.Wait()
}
