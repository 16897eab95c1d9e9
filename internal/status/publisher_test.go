package status

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/model"
)

func TestMain(m *testing.M) {
	utilruntime.ErrorHandlers = nil // they compare the clock of a bubble with that of the machine
	goleak.VerifyTestMain(m)
}

// bed is a Publisher with an API server that is none and never behind.
type bed struct {
	*Publisher
	t      *testing.T
	client *fake.Clientset
	cancel context.CancelFunc
	ended  chan struct{}

	refused atomic.Int32
	mu      sync.Mutex
	writes  []string
}

func (b *bed) Ingress(key string) *networkingv1.Ingress {
	ns, name, _ := strings.Cut(key, "/")
	in, err := b.client.Tracker().Get(networkingv1.SchemeGroupVersion.WithResource("ingresses"), ns, name)
	if err != nil {
		return nil
	}
	return in.(*networkingv1.Ingress)
}

func (b *bed) Service(key string) *corev1.Service {
	ns, name, _ := strings.Cut(key, "/")
	svc, err := b.client.Tracker().Get(corev1.SchemeGroupVersion.WithResource("services"), ns, name)
	if err != nil {
		return nil
	}
	return svc.(*corev1.Service)
}

func (b *bed) Reference(o model.Origin) *corev1.ObjectReference {
	in := b.Ingress(o.Namespace + "/" + o.Name)
	if o.Kind != "Ingress" || in == nil {
		return nil
	}
	return &corev1.ObjectReference{Kind: "Ingress", Namespace: o.Namespace, Name: o.Name, UID: in.UID}
}

// start runs a Publisher on objects. It must run in a synctest bubble.
func start(t *testing.T, opt Options, objects ...runtime.Object) *bed {
	return startRefusing(t, "", opt, objects...)
}

// startRefusing is start with an API server that refuses the statuses of Ingresses
// whose names come before one.
func startRefusing(t *testing.T, before string, opt Options, objects ...runtime.Object) *bed {
	b := &bed{t: t, client: fake.NewClientset(objects...), ended: make(chan struct{})}
	b.client.PrependReactor("update", "ingresses", func(a clienttesting.Action) (bool, runtime.Object, error) {
		in := a.(clienttesting.UpdateAction).GetObject().(*networkingv1.Ingress)
		if in.Name < before {
			b.refused.Add(1)
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "ingresses"}, in.Name, errors.New("a webhook says no"))
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.writes = append(b.writes, in.Name+"="+show(in.Status.LoadBalancer.Ingress))
		return false, nil, nil
	})
	opt.Client, opt.Objects, opt.Log, opt.Pod = b.client, b, slog.New(slog.DiscardHandler), "a/pod"
	opt.Update, opt.Interval = true, time.Minute
	opt.Election.Namespace, opt.Election.Lease, opt.Election.Identity = "a", "lease", "pod"
	b.Publisher = New(opt)
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(t.Context())
	go func() {
		defer close(b.ended)
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return b
}

func (b *bed) end() {
	b.cancel()
	<-b.ended
	time.Sleep(10 * time.Second) // Events that wait for their turn
}

// settle lets pass the time in which changes are gathered and returns what was
// written, sorted.
func (b *bed) settle() []string {
	time.Sleep(2 * time.Second)
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.writes
	b.writes = nil
	slices.Sort(w)
	return w
}

func (b *bed) events() (texts []string) {
	list, err := b.client.CoreV1().Events("").List(b.t.Context(), metav1.ListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range list.Items {
		texts = append(texts, fmt.Sprintf("%s %s/%s %s", e.Reason, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Message))
	}
	slices.Sort(texts)
	return texts
}

// pod is a Pod of the controller.
func pod(name, app string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Labels: map[string]string{"app": app, "pod-template-hash": name}}}
}

// TestPublish: statuses follow the Ingresses, are written once, and are put right when
// somebody else wrote them.
func TestPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{Addresses: []string{"192.0.2.1"}}, published("one"), published("two", "192.0.2.1"), published("foreign"))
		defer b.end()
		b.Tell([]string{"a/one", "a/two", "a/gone"}, nil)
		if got := b.settle(); !slices.Equal(got, []string{"one=192.0.2.1"}) {
			t.Errorf("written %q", got)
		}
		b.Tell([]string{"a/one", "a/two"}, nil)
		if got := b.settle(); len(got) != 0 {
			t.Errorf("written again %q", got)
		}
		if _, err := b.client.NetworkingV1().Ingresses("a").UpdateStatus(t.Context(), published("two", "192.0.2.7"), metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		b.settle()
		time.Sleep(time.Minute)
		if got := b.settle(); !slices.Equal(got, []string{"two=192.0.2.1"}) {
			t.Errorf("put right %q", got)
		}
	})
}

// TestPublishService: the addresses are those of the Service; while it is not there
// nothing is written.
func TestPublishService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{Service: "a/front"}, published("one", "192.0.2.9"))
		defer b.end()
		b.Tell([]string{"a/one"}, nil)
		if got := b.settle(); len(got) != 0 {
			t.Errorf("written %q without the Service", got)
		}
		svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "front"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
		svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.3"}}
		if err := b.client.Tracker().Add(svc); err != nil {
			t.Fatal(err)
		}
		b.Seen(nil, svc)
		if got := b.settle(); !slices.Equal(got, []string{"one=192.0.2.3"}) {
			t.Errorf("written %q", got)
		}
	})
}

// TestFailedLast: an Ingress whose status nobody lets us write holds up no other, and
// is tried again, ever more rarely.
func TestFailedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		var objects []runtime.Object
		for i := range 2 * writesAtATime {
			in := published(fmt.Sprintf("i%03d", i))
			keys = append(keys, "a/"+in.Name)
			objects = append(objects, in)
		}
		b := startRefusing(t, fmt.Sprintf("i%03d", writesAtATime), Options{Addresses: []string{"192.0.2.1"}}, objects...)
		defer b.end()
		b.Tell(keys, nil)
		if got := b.settle(); len(got) != writesAtATime {
			t.Errorf("%d written, want %d", len(got), writesAtATime)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := b.refused.Load() / writesAtATime; n < 10 || n > 40 {
			t.Errorf("each was tried %d times in ten minutes", n)
		}
	})
}

// TestShutdown: the last Pod empties the statuses that are its own, any other leaves
// them.
func TestShutdown(t *testing.T) {
	for name, c := range map[string]struct {
		opt  Options
		pods []runtime.Object
		want []string
	}{
		"last":          {Options{ClearAtEnd: true}, []runtime.Object{pod("pod", "x"), pod("stranger", "y")}, []string{"one="}},
		"not the last":  {Options{ClearAtEnd: true}, []runtime.Object{pod("pod", "x"), pod("next", "x")}, nil},
		"unknown":       {Options{ClearAtEnd: true}, nil, nil},
		"not asked for": {Options{}, []runtime.Object{pod("pod", "x")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.opt.Addresses = []string{"192.0.2.1"}
				b := start(t, c.opt, append(c.pods, published("one", "192.0.2.1"), published("foreign", "192.0.2.1"))...)
				defer b.end()
				b.Tell([]string{"a/one"}, nil)
				b.settle()
				b.Shutdown(t.Context())
				if got := b.settle(); !slices.Equal(got, c.want) {
					t.Errorf("written %q, want %q", got, c.want)
				}
				b.Tell([]string{"a/one", "a/foreign"}, nil)
				if got := b.settle(); len(got) != 0 {
					t.Errorf("written %q after the end", got)
				}
			})
		})
	}
}

// TestElection: one of two leads; when it ends the other takes over at once.
func TestElection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := start(t, Options{Addresses: []string{"192.0.2.1"}}, published("in"))
		one.settle()
		if !one.Leading() {
			t.Fatal("the only one does not lead")
		}
		second := New(one.opt)
		second.opt.Election.Identity, second.opt.Addresses = "second", []string{"192.0.2.2"}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- second.Run(ctx) }()
		second.Tell([]string{"a/in"}, nil)
		if got := one.settle(); len(got) != 0 || second.Leading() {
			t.Errorf("the second one leads; written %q", got)
		}
		one.end()
		time.Sleep(10 * time.Second) // a third of the usual TTL
		synctest.Wait()
		if !second.Leading() || one.Leading() {
			t.Error("the second one does not take over")
		}
		if got := one.settle(); !slices.Equal(got, []string{"in=192.0.2.2"}) {
			t.Errorf("written %q", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
	})
}

// TestEvents: an Event for each problem of a live object, once; again when it is still
// there after the API server has forgotten it.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{}, published("one"))
		defer b.end()
		origin := model.Origin{Kind: "Ingress", Namespace: "a", Name: "one"}
		ps := []model.Problem{
			{Origin: origin, Field: "spec.x", Reason: "bad", Severity: model.Error},
			{Origin: origin, Reason: "no matter", Severity: model.Info},
			{Origin: model.Origin{Kind: "Ingress", Namespace: "a", Name: "gone"}, Reason: "bad", Severity: model.Error},
			{Origin: model.Origin{Kind: "Controller", Name: "default"}, Field: "--configmap", Reason: "missing", Severity: model.Warning},
		}
		want := []string{"Ignored Pod/pod --configmap: missing", "NotServed Ingress/one spec.x: bad"}
		for range 3 {
			b.Tell(nil, ps)
			b.settle()
		}
		if got := b.events(); !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
		time.Sleep(repeatEvent + 2*time.Minute)
		b.settle()
		n := int32(0)
		list, _ := b.client.CoreV1().Events("").List(t.Context(), metav1.ListOptions{})
		for _, e := range list.Items {
			n += e.Count
		}
		if n != 4 {
			t.Errorf("%d events after an hour, want 4", n)
		}
	})
}

// TestEventsOfAnother: an Ingress that is deleted and made again with the same mistake is
// told it too, although the problems are the same list.
func TestEventsOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := published("one")
		first.UID = "first"
		b := start(t, Options{}, first)
		defer b.end()
		ps := []model.Problem{{Origin: model.Origin{Kind: "Ingress", Namespace: "a", Name: "one"}, Field: "spec.x", Reason: "bad", Severity: model.Error}}
		b.Tell([]string{"a/one"}, ps)
		b.settle()
		second := published("one")
		second.UID = "second"
		if err := b.client.Tracker().Update(networkingv1.SchemeGroupVersion.WithResource("ingresses"), second, "a"); err != nil {
			t.Fatal(err)
		}
		b.Seen(nil, second)
		b.Tell([]string{"a/one"}, ps)
		b.settle()
		if got := b.events(); len(got) != 2 {
			t.Errorf("events %q, want one for each", got)
		}
	})
}

// TestSync: changes of Ingresses that are ours are told, statuses and others' are not.
func TestSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Options{SyncEvents: true}, published("one"), published("two"))
		defer b.end()
		b.Tell([]string{"a/one"}, nil)
		b.settle()
		was, is := published("one"), published("one", "192.0.2.1")
		was.Generation, is.Generation = 1, 1
		b.Seen(was, is) // a status
		is.Generation = 2
		b.Seen(nil, published("two"))
		b.Tell([]string{"a/one"}, nil)
		if b.settle(); len(b.events()) != 0 {
			t.Errorf("events %q", b.events())
		}
		b.Seen(was, is)
		b.Tell([]string{"a/one"}, nil)
		b.settle()
		if got := b.events(); !slices.Equal(got, []string{"Sync Ingress/one Scheduled for sync"}) {
			t.Errorf("events %q", got)
		}
	})
}
