package listen

import (
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// idle is the connections of one controller and one loop that wait for a request: what
// makes room where there are as many connections as there may be. Only code of the loop
// touches them, but for oldest.
type idle struct {
	first, last *conn        // since the longest time, the shortest
	oldest      atomic.Int64 // since of the first; 0: there is none
	_           [40]byte
}

// start is what the times of idle count from.
var start = time.Now()

// idle notes that the connection waits for a request, or no longer.
func (k *conn) idle(is bool) {
	if is == (k.since != 0) {
		return
	}
	l := k.raw.Loop()
	list, n := &k.socket.crowd.idle[l.Index()], &k.socket.set.loops[l.Index()].idle
	if is {
		k.since = max(1, int64(l.Now().Sub(start)))
		list.add(k)
		n.Store(n.Load() + 1)
	} else {
		list.remove(k)
		k.since = 0
		n.Store(n.Load() - 1)
	}
}

func (i *idle) add(k *conn) {
	if k.earlier = i.last; i.last != nil {
		i.last.newer = k
	} else {
		i.first = k
		i.oldest.Store(k.since)
	}
	i.last = k
}

func (i *idle) remove(k *conn) {
	if k.newer != nil {
		k.newer.earlier = k.earlier
	} else {
		i.last = k.earlier
	}
	if k.earlier != nil {
		k.earlier.newer = k.newer
	} else if i.first = k.newer; i.first != nil {
		i.oldest.Store(i.first.since)
	} else {
		i.oldest.Store(0)
	}
	k.newer, k.earlier = nil, nil
}

// closeFirst closes the connection that is idle since the longest time.
func (i *idle) closeFirst() bool {
	k := i.first
	if k == nil {
		return false
	}
	k.idle(false)
	return k.codec.CloseIdle()
}

// makeRoom closes the connection that is idle since the longest time, of any loop, and
// reports whether there was one. The coroutine, of l, may wait.
func (c *crowd) makeRoom(l *loop.Loop) bool {
	for range 2 * len(c.idle) { // what is idle on another loop may be so no longer
		i := c.longestIdle()
		if i < 0 {
			return false
		}
		if i == l.Index() {
			if c.idle[i].closeFirst() {
				return true
			}
			continue
		}
		closed := make(chan bool, 1)
		l.Engine().Loops()[i].Post(func() { closed <- c.idle[i].closeFirst() })
		did := false
		l.Await(func() {
			select {
			case did = <-closed:
			case <-l.Engine().Context().Done():
			}
		})
		if did {
			return true
		}
	}
	return false
}

// longestIdle returns the loop of the connection that is idle since the longest time; -1:
// there is none.
func (c *crowd) longestIdle() int {
	best, least := -1, int64(0)
	for i := range c.idle {
		if since := c.idle[i].oldest.Load(); since != 0 && (best < 0 || since < least) {
			best, least = i, since
		}
	}
	return best
}
