package kube

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/translate"
)

// What may be looked at at any time, beside what Load returned: the objects as the API
// server told them last, not as they are served since a moment ago. Of two Ingresses
// that come one after the other the second is judged with the first in sight.
//
// Changes wait in late, which the Source's mutex guards, until somebody looks, so that
// no event ever waits for a look.
type review struct {
	mu      sync.RWMutex // of objects; taken before the Source's mutex
	objects *translate.Objects
}

// View calls f with the objects as they are now. They do not change before f returns.
// Any goroutine may call it, if Options.Review says so.
func (s *Source) View(f func(*translate.Objects)) {
	v := &s.review
	v.mu.Lock()
	s.bringUp()
	v.mu.Unlock()
	v.mu.RLock()
	defer v.mu.RUnlock()
	f(v.objects)
}

// bringUp makes the changes that are late. The mutex of review is held.
func (s *Source) bringUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r, obj := range s.late {
		s.put(s.review.objects, r.kind, r.key, obj)
	}
	clear(s.late)
	for r := range s.refused {
		s.review.objects.Refuse(r.origin())
	}
}

// bringUpSome does so when nobody looks, lest changes gather for ever.
func (s *Source) bringUpSome() {
	if s.late != nil && s.review.mu.TryLock() {
		s.bringUp()
		s.review.mu.Unlock()
	}
}

// fetchAtMost bounds what is fetched for one look. Who refers to more is told that the
// rest could not be read.
const fetchAtMost = 100

// Fetch returns the content of Secrets and ConfigMaps that exist and that nothing has
// referred to so far. It asks the API server and keeps nothing.
func (s *Source) Fetch(ctx context.Context, refs translate.References) translate.Further {
	var further translate.Further
	seen, work := map[ref]bool{}, make(chan ref, fetchAtMost)
	for _, r := range append(refsOf("Secret", refs.Secrets), refsOf("ConfigMap", refs.ConfigMaps)...) {
		obj := s.find(r)
		if seen[r] || obj == nil || !isEmptied(obj) {
			continue
		}
		seen[r] = true
		if len(seen) > fetchAtMost {
			further.Refused = append(further.Refused, r.origin())
			continue
		}
		work <- r
	}
	close(work)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(fetchAtATime, len(work)) {
		wg.Go(func() {
			for r := range work {
				obj, err := s.get(ctx, r)
				mu.Lock()
				further = addFurther(further, r.origin(), obj, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return further
}

// refsOf makes references of keys.
func refsOf(kind string, keys []string) []ref {
	refs := make([]ref, len(keys))
	for i, key := range keys {
		refs[i] = ref{kind, key}
	}
	return refs
}

// addFurther adds what came of one question.
func addFurther(f translate.Further, o model.Origin, obj Object, err error) translate.Further {
	switch {
	case err != nil:
		f.Refused = append(f.Refused, o)
	case obj != nil: // else it has gone meanwhile
		trim(obj, true)
		f.Objects = append(f.Objects, runtime.Object(obj))
	}
	return f
}
