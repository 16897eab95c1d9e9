package kube

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/pierhead/pierhead/internal/model"
)

// How a feed behaves when the API server does not answer. Its return must be noticed
// within two seconds however long it was away; one refused connection a second and
// kind is no burden for anybody.
const (
	retryFirst   = 100 * time.Millisecond
	retryMost    = 500 * time.Millisecond
	retryRefused = 5 * time.Second  // at most, where the answer is that this may not be read
	trouble      = 10 * time.Second // after which it is a problem
)

// feed keeps the objects of one kind in one namespace, or in all, as the API server
// has them. It is what a reflector fills; the Source's mutex guards its fields.
type feed struct {
	source    *Source
	kind      string
	namespace string // "" is all
	needless  bool   // one can do without it where it may not be read
	reflector *cache.Reflector

	have    map[string]Object
	settled chan struct{} // closed when all objects have been read once, or none may be
	done    bool          // settled is closed
	err     error         // why the API server was not asked with success
	since   time.Time     // of err
	refused time.Time     // since when the answer is that this may not be read; zero: it is another
	told    bool          // err was a problem of the last Load
}

// api is the part of a client for one kind.
type api[L runtime.Object] interface {
	List(ctx context.Context, opts metav1.ListOptions) (L, error)
	Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// newFeed returns the feed of one kind.
func newFeed[L runtime.Object](s *Source, kind, namespace string, example Object, client api[L]) *feed {
	f := &feed{source: s, kind: kind, namespace: namespace, have: map[string]Object{}, settled: make(chan struct{})}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			list, err := client.List(ctx, opts)
			f.asked(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			w, err := client.Watch(ctx, opts)
			f.asked(ctx, err)
			return w, err
		},
	}
	f.reflector = cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(lw, s.opt.Client), example, f, cache.ReflectorOptions{
		Name:    f.what(),
		Backoff: &wait.Backoff{Duration: retryFirst, Factor: 2, Jitter: 0.5, Steps: 10, Cap: retryMost},
	})
	return f
}

// what names the feed for people.
func (f *feed) what() string {
	if f.namespace == "" {
		return f.kind
	}
	return f.kind + " in " + f.namespace
}

// run lists and watches until ctx ends.
func (f *feed) run(ctx context.Context) { f.reflector.RunWithContext(ctx) }

// asked notes how the API server answered. Where it refuses to answer, the next
// question is put off.
func (f *feed) asked(ctx context.Context, err error) {
	if ctx.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	if where := (*url.Error)(nil); errors.As(err, &where) {
		err = where.Err // the address holds numbers that differ each time
	}
	s := f.source
	s.mu.Lock()
	was := f.err
	if apierrors.IsForbidden(err) && apierrors.IsForbidden(was) {
		err = was // to list and to watch are refused in turn, in other words
	}
	f.err = err
	if err != nil && was == nil {
		f.since = time.Now()
		time.AfterFunc(trouble, s.all.tell)
	}
	if err == nil && f.told {
		s.all.tell()
	}
	refused := apierrors.IsForbidden(err)
	if refused && f.needless {
		f.settle()
	}
	wait := f.refusal(refused, time.Now())
	s.mu.Unlock()
	switch {
	case err != nil && (was == nil || was.Error() != err.Error()):
		s.opt.Log.Warn("the API server does not give what is asked for; what is known of it stays in use", "kind", f.what(), "error", err)
	case err == nil && was != nil:
		s.opt.Log.Info("the API server answers again", "kind", f.what())
	}
	if refused {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// refusal returns how long not to ask again after an answer: as long as it has been the
// same refusal, within limits. An API server that has just started refuses all it is asked
// until it has read its roles, and that is over in no time.
func (f *feed) refusal(refused bool, now time.Time) time.Duration {
	switch {
	case !refused:
		f.refused = time.Time{}
		return 0
	case f.refused.IsZero():
		f.refused = now
	}
	return min(max(now.Sub(f.refused), retryFirst), retryRefused)
}

// settle says that all there is to read has been read.
func (f *feed) settle() {
	if !f.done {
		f.done = true
		close(f.settled)
	}
}

// problem returns what to tell of an error that lasts, or nil.
func (f *feed) problem() *model.Problem {
	if f.told = f.err != nil && time.Since(f.since) >= trouble; !f.told {
		return nil
	}
	return &model.Problem{
		Origin: model.Origin{Kind: "Watch", Namespace: f.namespace, Name: f.kind},
		Reason: fmt.Sprintf("changes are not seen, the last state stays in use: %v", f.err), Remedy: remedy(f.err), Severity: model.Error,
	}
}

func remedy(err error) string {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return "let the ServiceAccount list and watch it"
	}
	return "see why the API server does not answer; it is asked again all the time"
}

// The methods below are the reflector's store.

var errForeign = errors.New("the API server sent an object of another kind")

// Transformer trims objects before they are gathered for Replace.
func (f *feed) Transformer() cache.TransformFunc {
	return func(x any) (any, error) {
		obj, ok := x.(Object)
		if !ok {
			return nil, errForeign
		}
		f.trim(obj)
		return obj, nil
	}
}

func (f *feed) trim(obj Object) {
	f.source.mu.RLock()
	wanted := f.source.wanted[ref{f.kind, keyOf(obj)}] > 0
	f.source.mu.RUnlock()
	if !isEmptied(obj) {
		trim(obj, wanted)
	}
}

// keyOf returns namespace/name.
func keyOf(obj Object) string {
	if ns := obj.GetNamespace(); ns != "" {
		return ns + "/" + obj.GetName()
	}
	return obj.GetName()
}

// Add takes an object that is new.
func (f *feed) Add(x any) error { return f.Update(x) }

// Update takes an object that changed.
func (f *feed) Update(x any) error {
	obj, ok := x.(Object)
	if !ok {
		return errForeign
	}
	f.trim(obj)
	f.source.mu.Lock()
	defer f.source.mu.Unlock()
	f.take(keyOf(obj), obj)
	return nil
}

// Delete takes the news that an object is gone.
func (f *feed) Delete(x any) error {
	obj, ok := x.(Object)
	if !ok {
		return errForeign
	}
	f.source.mu.Lock()
	defer f.source.mu.Unlock()
	f.take(keyOf(obj), nil)
	return nil
}

// Replace takes all objects there are.
func (f *feed) Replace(list []any, _ string) error {
	now := make(map[string]Object, len(list))
	for _, x := range list {
		obj, ok := x.(Object)
		if !ok {
			return errForeign
		}
		f.trim(obj)
		now[keyOf(obj)] = obj
	}
	f.source.mu.Lock()
	defer f.source.mu.Unlock()
	for key := range f.have {
		if now[key] == nil {
			f.take(key, nil)
		}
	}
	for key, obj := range now {
		f.take(key, obj)
	}
	f.settle()
	return nil
}

// Resync has nothing to do: every list is compared with what is known.
func (f *feed) Resync() error { return nil }

// take notes what stands under a key now; nil: nothing.
func (f *feed) take(key string, now Object) {
	had := f.have[key]
	switch {
	case now == nil && had == nil:
		return
	case now == nil:
		delete(f.have, key)
	case had != nil && had.GetResourceVersion() == now.GetResourceVersion() && had.GetUID() == now.GetUID() && isEmptied(had) == isEmptied(now):
		return
	default:
		f.have[key] = now
	}
	f.source.note(f, key, had, now)
}
