package limit

import (
	"sync"
	"time"
)

// Rate is how many requests may come in a time, and how many more at once.
type Rate struct {
	Requests int
	Per      time.Duration
	Burst    int
}

// MaxRates is how many rates one key can be held to.
const MaxRates = 2

// Requests counts the requests of many keys. The zero value is not usable; see
// NewRequests.
type Requests struct {
	shards [shards]requestShard
}

type requestShard struct {
	mu      sync.Mutex
	index   map[Key]int32
	entries []bucket
	newest  int32 // ends of the list by last use; -1 when empty
	oldest  int32
	max     int
	_       [64]byte
}

// bucket is one key's state: by how much it is ahead of each rate, in thousandths
// of a request, as of last.
type bucket struct {
	key          Key
	last         int64 // milliseconds
	excess       [MaxRates]int64
	newer, older int32
}

// NewRequests returns counters that remember up to max keys. When there are more,
// the key that was not seen for the longest time is forgotten, which can only let
// its next request through.
func NewRequests(max int) *Requests {
	r := &Requests{}
	for i := range r.shards {
		s := &r.shards[i]
		s.index, s.newest, s.oldest = map[Key]int32{}, -1, -1
		s.max = (max + shards - 1) / shards
	}
	return r
}

// Allow counts one request of k at the time now and reports whether all of the
// rates allow it; at most MaxRates count. A request that is not allowed counts
// against none. A key starts with its whole burst.
func (r *Requests) Allow(k Key, now time.Time, rates []Rate) bool {
	s := &r.shards[k.shard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	ms := now.UnixMilli()
	i, seen := s.index[k]
	if !seen {
		s.add(k, ms)
		return true
	}
	b := &s.entries[i]
	passed := max(ms-b.last, 0)
	var excess [MaxRates]int64
	for j := range min(len(rates), MaxRates) {
		excess[j] = max(b.excess[j]-rates[j].leaked(passed)+1000, 0)
		if excess[j] > int64(rates[j].Burst)*1000 {
			s.touch(i)
			return false
		}
	}
	b.excess, b.last = excess, ms
	s.touch(i)
	return true
}

// leaked returns how many thousandths of requests the rate gives back in ms
// milliseconds.
func (r *Rate) leaked(ms int64) int64 {
	per := max(r.Per.Milliseconds(), 1)
	if ms >= 1<<31 {
		return 1 << 52
	}
	return int64(r.Requests) * ms * 1000 / per
}

// Len returns how many keys are remembered.
func (r *Requests) Len() int {
	n := 0
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		n += len(s.index)
		s.mu.Unlock()
	}
	return n
}

// add remembers a new key in the place of the oldest one when the shard is full.
func (s *requestShard) add(k Key, ms int64) {
	i := int32(len(s.entries))
	if len(s.entries) >= s.max {
		i = s.oldest
		delete(s.index, s.entries[i].key)
		s.unlink(i)
	} else {
		s.entries = append(s.entries, bucket{})
	}
	s.entries[i] = bucket{key: k, last: ms}
	s.index[k] = i
	s.link(i)
}

// touch makes entry i the newest.
func (s *requestShard) touch(i int32) {
	if s.newest != i {
		s.unlink(i)
		s.link(i)
	}
}

func (s *requestShard) unlink(i int32) {
	b := &s.entries[i]
	if b.newer >= 0 {
		s.entries[b.newer].older = b.older
	} else {
		s.newest = b.older
	}
	if b.older >= 0 {
		s.entries[b.older].newer = b.newer
	} else {
		s.oldest = b.newer
	}
}

func (s *requestShard) link(i int32) {
	b := &s.entries[i]
	b.newer, b.older = -1, s.newest
	if s.newest >= 0 {
		s.entries[s.newest].newer = i
	} else {
		s.oldest = i
	}
	s.newest = i
}
