package status

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/pierhead/pierhead/internal/model"
)

// Objects are the live objects, as they were last seen.
type Objects interface {
	Ingress(key string) *networkingv1.Ingress
	Service(key string) *corev1.Service
	// Reference returns how an Event names an object, or nil when it is not there.
	Reference(o model.Origin) *corev1.ObjectReference
}

// Options are what a Publisher is started with.
type Options struct {
	Client   kubernetes.Interface
	Objects  Objects
	Election Election
	Pod      string // namespace/name of this process's Pod

	Addresses       []string // that the Ingresses get; else those of
	Service         string   // this one, as namespace/name; both empty: none are written
	Update          bool     // statuses are written
	ClearAtEnd      bool     // the last Pod empties them
	SyncEvents      bool
	Interval        time.Duration // between looks at everything
	Log             *slog.Logger
	eventsPerSecond float32 // 0: the usual number
}

// Publisher tells owners what became of their objects, when it leads.
type Publisher struct {
	opt  Options
	poke chan struct{}
	end  chan chan struct{} // asks the leader to clean up

	mu       sync.Mutex
	leading  bool
	ours     []string // Ingresses, as namespace/name
	problems []model.Problem
	handled  []handled
}

// New returns a Publisher that is not running.
func New(opt Options) *Publisher {
	return &Publisher{opt: opt, poke: make(chan struct{}, 1), end: make(chan chan struct{})}
}

// Tell takes what stands now: the Ingresses that are ours, and what is wrong.
func (p *Publisher) Tell(ours []string, problems []model.Problem) {
	p.mu.Lock()
	p.ours, p.problems = ours, problems
	p.mu.Unlock()
	p.touch()
}

// touch has the leader look at everything soon.
func (p *Publisher) touch() {
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// Seen takes note of an Ingress or Service that came, went or changed; nil is none. It
// does not wait.
func (p *Publisher) Seen(had, has metav1.Object) {
	switch has.(type) {
	case *corev1.Service:
		if has.GetNamespace()+"/"+has.GetName() == p.opt.Service {
			p.touch()
		}
	case *networkingv1.Ingress, nil:
		p.handle(had, has)
	}
}

// Leading tells whether this process leads now.
func (p *Publisher) Leading() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leading
}

// Run takes part in the election and does the leader's work until ctx ends.
func (p *Publisher) Run(ctx context.Context) error {
	return p.opt.Election.run(ctx, p.opt.Client, p.opt.Log, p.lead)
}

// Shutdown empties the statuses if this process leads and is the last one. It returns
// when that is done or ctx has ended; Run goes on.
func (p *Publisher) Shutdown(ctx context.Context) {
	if !p.Leading() {
		return
	}
	done := make(chan struct{})
	select {
	case p.end <- done:
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// pause is the least time between two looks at everything.
const pause = 200 * time.Millisecond

// lead does the leader's work until ctx ends.
func (p *Publisher) lead(ctx context.Context) {
	p.setLeading(true)
	defer p.setLeading(false)
	events := newEvents(ctx, p.opt)
	defer events.close()
	every := time.NewTicker(max(p.opt.Interval, time.Second))
	defer every.Stop()
	rest := time.NewTimer(pause)
	defer rest.Stop()
	for {
		again := p.look(ctx, events)
		rest.Reset(pause)
		select {
		case <-rest.C:
		case <-ctx.Done():
			return
		}
		var soon <-chan time.Time
		if again {
			rest.Reset(time.Second)
			soon = rest.C
		}
		select {
		case <-p.poke:
		case <-soon:
		case <-every.C:
		case done := <-p.end:
			p.clear(ctx)
			close(done)
			<-ctx.Done() // nothing is written any more
			return
		case <-ctx.Done():
			return
		}
	}
}

func (p *Publisher) setLeading(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leading = yes
	p.handled = nil
}

// look brings statuses and Events up to date and tells whether something is left to do.
func (p *Publisher) look(ctx context.Context, e *events) (again bool) {
	p.mu.Lock()
	ours, problems, handled := p.ours, p.problems, p.handled
	p.handled = nil
	p.mu.Unlock()
	e.sync(handled, ours)
	again = e.tell(problems)
	if want, ok := p.want(); ok && p.opt.Update {
		again = apply(ctx, p.opt.Client, p.opt.Log, Plan(p.live(ours), want)) > 0 || again
	}
	return again
}

// live returns the Ingresses of these names that are there.
func (p *Publisher) live(keys []string) []*networkingv1.Ingress {
	var ins []*networkingv1.Ingress
	for _, key := range keys {
		if in := p.opt.Objects.Ingress(key); in != nil {
			ins = append(ins, in)
		}
	}
	return ins
}

// want returns what our Ingresses' status should hold; false: that is not known, and
// it stays as it is.
func (p *Publisher) want() ([]Address, bool) {
	if len(p.opt.Addresses) > 0 {
		return Addresses(p.opt.Addresses), true
	}
	if p.opt.Service == "" {
		return nil, false
	}
	svc := p.opt.Objects.Service(p.opt.Service)
	if svc == nil {
		return nil, false
	}
	return OfService(svc), true
}

// clear empties the statuses when nobody is left who could write them.
func (p *Publisher) clear(ctx context.Context) {
	want, ok := p.want()
	if !ok || !p.opt.Update || !p.opt.ClearAtEnd || len(want) != 1 {
		return
	}
	others, err := otherPods(ctx, p.opt.Client, p.opt.Pod)
	if err != nil {
		p.opt.Log.Warn("the Ingresses keep their addresses: it is not known whether other Pods run", "error", err)
		return
	}
	if others {
		return
	}
	p.mu.Lock()
	ours := slices.Clone(p.ours)
	p.mu.Unlock()
	apply(ctx, p.opt.Client, p.opt.Log, PlanClear(p.live(ours), want))
}
