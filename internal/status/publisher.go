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
	Service         string   // this one, as namespace/name; else those of the nodes of the controller's ready Pods
	InternalIP      bool     // of nodes the internal ones, also where there are external ones
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

	failed map[string]bool // Ingresses whose status could not be written; the leader's own
	nodes  nodes           // likewise
	last   complied        // likewise

	mu       sync.Mutex
	leading  bool
	stop     context.CancelFunc // ends the look at hand
	ours     []string           // Ingresses, as namespace/name
	problems []model.Problem
	handled  []handled
	seen     map[string]bool // Ingresses that changed since the last look; nil: all are looked at
}

// complied is what the last look brought everything up to: the next one looks only at
// what has changed since.
type complied struct {
	ours  []string
	known map[string]bool // ours
	want  []Address
}

// New returns a Publisher that is not running.
func New(opt Options) *Publisher {
	return &Publisher{opt: opt, poke: make(chan struct{}, 1), end: make(chan chan struct{}), failed: map[string]bool{}}
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
		p.note(has)
	}
}

// note remembers an Ingress for the next look.
func (p *Publisher) note(has metav1.Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen != nil && has != nil {
		p.seen[has.GetNamespace()+"/"+has.GetName()] = true
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
	p.mu.Lock()
	leading, stop := p.leading, p.stop
	p.mu.Unlock()
	if !leading {
		return
	}
	stop()
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

// When the leader looks again.
const (
	pause       = 200 * time.Millisecond // least time between two looks
	failedFirst = time.Second            // after a failure, doubled with each
	failedMost  = 30 * time.Second
)

// lead does the leader's work until ctx ends.
func (p *Publisher) lead(ctx context.Context) {
	looking, stop := context.WithCancel(ctx)
	defer stop()
	p.setLeading(true, stop)
	defer p.setLeading(false, nil)
	events := newEvents(ctx, p.opt)
	defer events.close()
	every := time.NewTicker(max(p.opt.Interval, time.Second))
	defer every.Stop()
	p.all()
	retry := failedFirst
	for {
		var soon <-chan time.Time
		poke := p.poke
		switch p.look(looking, events) {
		case complete:
			retry = failedFirst
		case more:
			soon = time.After(pause)
		case failed:
			soon = time.After(retry)
			retry = min(2*retry, failedMost)
			poke = nil
		}
		select {
		case <-poke:
			p.rest(ctx)
		case <-soon:
		case <-every.C:
			p.all()
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

// rest lets changes gather that come together.
func (p *Publisher) rest(ctx context.Context) {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
}

func (p *Publisher) setLeading(yes bool, stop context.CancelFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leading, p.stop, p.handled = yes, stop, nil
}

// outcome is what a look came to.
type outcome uint8

const (
	complete outcome = iota
	more             // something is left for the next one
	failed           // the API server did not take it
)

// writesAtATime is how much one look writes at most, so that other things get their
// turn.
const writesAtATime = 100

// all has the next look go through all Ingresses.
func (p *Publisher) all() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = nil
}

// look brings statuses and Events up to date.
func (p *Publisher) look(ctx context.Context, e *events) outcome {
	p.mu.Lock()
	ours, problems, handled, seen := p.ours, p.problems, p.handled, p.seen
	p.handled, p.seen = nil, map[string]bool{}
	p.mu.Unlock()
	last := p.last
	if last.known == nil || !model.Identical(ours, last.ours) {
		p.last.ours, p.last.known = ours, setOf(ours)
	}
	e.sync(handled, last.known, p.last.known)
	result := complete
	if e.tell(problems, seen) {
		result = more
	}
	if !p.opt.Update {
		return result
	}
	want, ok := p.want(ctx)
	if !ok {
		return result
	}
	keys := ours
	if seen != nil && model.Identical(ours, last.ours) && slices.EqualFunc(want, last.want, equal) {
		keys = keys[:0:0]
		for key := range seen {
			if p.last.known[key] {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
	}
	p.last.want = want
	changes := p.failedLast(Plan(p.live(keys), want))
	now := changes[:min(len(changes), writesAtATime)]
	left, away := apply(ctx, p.opt.Client, p.opt.Log, now)
	for _, key := range left {
		p.failed[key] = true
	}
	if len(left) > 0 || len(now) < len(changes) {
		p.all() // what is left must be found again
	}
	switch {
	case away, len(left) > 0 && len(now) == len(changes):
		return failed
	case len(now) < len(changes):
		return more
	}
	clear(p.failed)
	return result
}

func setOf(keys []string) map[string]bool {
	set := make(map[string]bool, len(keys))
	for _, key := range keys {
		set[key] = true
	}
	return set
}

// failedLast puts changes that failed before behind the others, so that they hold
// nobody up.
func (p *Publisher) failedLast(changes []Change) []Change {
	slices.SortStableFunc(changes, func(a, b Change) int {
		switch x, y := p.failed[a.Key], p.failed[b.Key]; {
		case x == y:
			return 0
		case x:
			return 1
		}
		return -1
	})
	return changes
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
func (p *Publisher) want(ctx context.Context) ([]Address, bool) {
	if len(p.opt.Addresses) > 0 {
		return Addresses(p.opt.Addresses), true
	}
	if p.opt.Service == "" {
		return p.nodeAddresses(ctx)
	}
	svc := p.opt.Objects.Service(p.opt.Service)
	if svc == nil {
		return nil, false
	}
	return OfService(svc), true
}

// clear empties the statuses when nobody is left who could write them.
func (p *Publisher) clear(ctx context.Context) {
	if !p.opt.Update || !p.opt.ClearAtEnd {
		return
	}
	want, ok := p.want(ctx)
	if !ok || len(want) != 1 {
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
