package exchange

import "sync"

// State is what outlives a table: limiter counters, caches. Its entries are keyed
// by names. An entry that no table asked for since the last but one Sweep is
// dropped.
type State struct {
	mu   sync.Mutex
	m    map[string]*stateEntry
	gen  uint64
	kept *Kept // where Record notes entries; nil: nowhere
}

type stateEntry struct {
	v   any
	gen uint64
}

// NewState returns an empty State.
func NewState() *State { return &State{m: map[string]*stateEntry{}} }

// Keep returns the entry of that key, made on first use. Keys begin with the name of
// the unit they belong to, so that two types never meet under one key.
func Keep[T any](s *State, key string, make func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.m[key]
	if e == nil {
		e = &stateEntry{v: make()}
		s.m[key] = e
	}
	e.gen = s.gen
	if s.kept != nil {
		*s.kept = append(*s.kept, e)
	}
	return e.v.(T)
}

// Kept is entries that something was built with.
type Kept []*stateEntry

// Record returns the entries that f asks for. Only one caller at a time may build
// something with a State.
func (s *State) Record(f func()) Kept {
	var kept Kept
	s.record(&kept)
	defer s.record(nil)
	f()
	return kept
}

func (s *State) record(kept *Kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = kept
}

// Renew counts as asking for entries again, for who goes on with what was built with
// them.
func (s *State) Renew(kept Kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range kept {
		e.gen = s.gen
	}
}

// Sweep begins a new generation and drops what the last one did not use. The
// caller compiles all tables between two Sweeps.
func (s *State) Sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, e := range s.m {
		if e.gen < s.gen {
			delete(s.m, k)
		}
	}
	s.gen++
}
