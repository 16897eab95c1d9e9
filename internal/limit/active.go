package limit

import "sync"

// Active counts what goes on at this moment, by key. The zero value is not usable;
// see NewActive.
type Active struct {
	shards [shards]activeShard
}

type activeShard struct {
	mu sync.Mutex
	n  map[Key]int
	_  [64]byte
}

// NewActive returns counters at zero.
func NewActive() *Active {
	a := &Active{}
	for i := range a.shards {
		a.shards[i].n = map[Key]int{}
	}
	return a
}

// Acquire counts one more of k, unless max are there already. What it counted, the
// caller gives back with Release.
func (a *Active) Acquire(k Key, max int) bool {
	s := &a.shards[k.shard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.n[k]
	if n >= max {
		return false
	}
	s.n[k] = n + 1
	return true
}

// Release counts one less of k.
func (a *Active) Release(k Key) {
	s := &a.shards[k.shard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.n[k]; n > 1 {
		s.n[k] = n - 1
	} else {
		delete(s.n, k)
	}
}

// Len returns how many keys are counted.
func (a *Active) Len() int {
	n := 0
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.Lock()
		n += len(s.n)
		s.mu.Unlock()
	}
	return n
}
