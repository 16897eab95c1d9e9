package kube

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/pierhead/pierhead/internal/translate"
)

// Only the Secrets and ConfigMaps that something refers to are kept with their
// content. One that is referred to later is fetched then, by a list of one: who may
// list and watch need not be allowed to get.

const (
	refetch      = time.Second     // between tries of what could not be fetched
	fetchLimit   = 2 * time.Second // for one answer
	fetchAtATime = 8
)

// refer exchanges the references of one object for others.
func (s *Source) refer(had, has translate.References) {
	for _, key := range has.Secrets {
		s.want(ref{"Secret", key})
	}
	for _, key := range has.ConfigMaps {
		s.want(ref{"ConfigMap", key})
	}
	for _, key := range had.Secrets {
		s.unwant(ref{"Secret", key})
	}
	for _, key := range had.ConfigMaps {
		s.unwant(ref{"ConfigMap", key})
	}
}

// want counts one more reference.
func (s *Source) want(r ref) {
	s.wanted[r]++
	if s.wanted[r] > 1 {
		return
	}
	f, obj := s.holder(r)
	switch {
	case f == nil || obj == nil: // it does not exist, or comes with its content
	case isEmptied(obj):
		s.missing[r] = true
		s.all.tell()
	default:
		s.pend(r, obj)
	}
}

// unwant counts one reference less. Content that nobody wants is dropped.
func (s *Source) unwant(r ref) {
	if s.wanted[r]--; s.wanted[r] > 0 {
		return
	}
	delete(s.wanted, r)
	delete(s.missing, r)
	delete(s.refused, r)
	if f, obj := s.holder(r); obj != nil && !isEmptied(obj) {
		rest := obj.DeepCopyObject().(Object) // the content may be in use
		trim(rest, false)
		f.have[r.key] = rest
	}
	s.pend(r, nil)
}

// holder returns the feed that has an object of this name, and the object.
func (s *Source) holder(r ref) (*feed, Object) {
	for _, f := range s.feeds {
		if f.kind != r.kind {
			continue
		}
		if obj := f.have[r.key]; obj != nil {
			return f, obj
		}
	}
	return nil, nil
}

// noteContent notes that a Secret or ConfigMap came, went or changed.
func (s *Source) noteContent(r ref, had, now Object, changed bool) {
	if s.wanted[r] == 0 {
		return
	}
	delete(s.missing, r)
	delete(s.refused, r)
	switch {
	case now != nil && isEmptied(now): // it was not wanted yet when it came
		s.missing[r] = true
		s.all.tell()
		return
	case changed:
		s.pend(r, now)
	}
	if r == (ref{"ConfigMap", s.opt.ConfigMap}) {
		s.refer(settingsReferences(had), settingsReferences(now))
	}
}

// fetch gets the content that is missing and returns how much still is.
func (s *Source) fetch(ctx context.Context) int {
	s.mu.RLock()
	work := make(chan ref, len(s.missing))
	for r := range s.missing {
		work <- r
	}
	s.mu.RUnlock()
	close(work)
	var wg sync.WaitGroup
	for range min(fetchAtATime, len(work)) {
		wg.Go(func() {
			for r := range work {
				obj, err := s.get(ctx, r)
				s.fetched(r, obj, err)
			}
		})
	}
	wg.Wait()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.missing)
}

// fetched takes the content of one object, unless it has come by the watch meanwhile.
func (s *Source) fetched(r ref, obj Object, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, known := s.holder(r)
	switch {
	case !s.missing[r]:
	case err != nil:
		s.refused[r] = err
	case known == nil || obj == nil: // gone; the watch says so
		delete(s.missing, r)
		delete(s.refused, r)
	case isEmptied(known):
		trim(obj, true)
		f.have[r.key] = obj
		s.noteContent(r, nil, obj, true)
	}
}

// get asks for one object; nil: it is gone.
func (s *Source) get(ctx context.Context, r ref) (Object, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	ns, name := split(r.key)
	opts := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()}
	if r.kind == "Secret" {
		list, err := s.opt.Client.CoreV1().Secrets(ns).List(ctx, opts)
		return named(name, list, err, func(l *corev1.SecretList) []corev1.Secret { return l.Items })
	}
	list, err := s.opt.Client.CoreV1().ConfigMaps(ns).List(ctx, opts)
	return named(name, list, err, func(l *corev1.ConfigMapList) []corev1.ConfigMap { return l.Items })
}

// named returns the item of a list that has this name, or nil.
func named[L, T any, P interface {
	*T
	Object
}](name string, list L, err error, items func(L) []T) (Object, error) {
	if err != nil {
		return nil, err
	}
	all := items(list)
	for i := range all {
		if obj := P(&all[i]); obj.GetName() == name {
			return obj, nil
		}
	}
	return nil, nil
}
