package upstream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
)

// pending is the requests that wait until an endpoint of their pool has room, in order
// of arrival. Whoever makes room calls the first of them, which looks for it like any
// other request, and calls the next one if there is more.
type pending struct {
	waiting atomic.Int64  // those in the line and those called
	late    atomic.Uint64 // requests that waited in vain

	mu          sync.Mutex
	first, last *waiter // the line
	called      int     // out of the line, and not done yet
	rooms       uint64  // counts the times that room was made while somebody waited
}

// waiter is one request that waits. Mu guards it, but for what only its loop touches.
type waiter struct {
	task         *loop.Task
	loop         *loop.Loop
	before, next *waiter
	called       bool
	rooms        uint64 // of pending, when it was called
	over         bool   // its loop's: it waits no longer
}

// Wait waits until an endpoint has room for x, for as long as a connection may take, and
// picks it; or until gone, which is asked at every Wake of the coroutine and now and then.
// Nil: there is no room in time, or too many wait already, or the pool has lost its
// endpoints.
func (p *Pool) Wait(l *loop.Loop, x *exchange.Exchange, longest time.Duration, gone func() bool) *Endpoint {
	q, most := &p.circuit.pending, p.view.Load().MaxPending
	if most == 0 {
		p.circuit.full.Add(1)
		return nil
	}
	w := &waiter{task: l.Task(), loop: l}
	if !q.join(w, most) {
		p.circuit.full.Add(1)
		return nil
	}
	defer func() { w.over = true }()
	for until := l.Now().Add(longest); ; {
		if q.isCalled(w) {
			if e := p.look(x); e != nil || p.Empty() {
				p.done(w)
				return e
			}
			if !q.rejoin(w) {
				continue // there was room meanwhile
			}
		}
		left := until.Sub(l.Now())
		if left <= 0 || gone() || parkFor(l, min(left, lookAround)) != nil {
			break
		}
	}
	if !gone() {
		q.late.Add(1)
	}
	p.done(w)
	return nil
}

// lookAround is how often a request that waits looks whether its client is still there.
const lookAround = time.Second / 2

// parkFor is Park for d at most.
func parkFor(l *loop.Loop, d time.Duration) error {
	t := l.AfterFunc(d, wakeTask, l.Task())
	defer t.Stop()
	return l.Park()
}

func wakeTask(t any) { t.(*loop.Task).Wake() }

// look is Pick for who has waited.
func (p *Pool) look(x *exchange.Exchange) *Endpoint {
	v := p.view.Load()
	switch {
	case len(v.endpoints) == 0:
		return nil
	case v.MaxConnections > 0:
		return p.pickFree(v, x)
	}
	return p.pick(v, x)
}

// join puts w at the end of the line unless so many wait already. The only one is called
// at once: there may have been room since it looked.
func (q *pending) join(w *waiter, most int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.Load() >= int64(most) {
		return false
	}
	if q.waiting.Add(1) == 1 {
		q.call(w)
		return true
	}
	if w.before = q.last; q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	return true
}

// rejoin puts a waiter that was called and found no room back at the head of the line,
// unless there was some meanwhile.
func (q *pending) rejoin(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.rooms != q.rooms {
		w.rooms = q.rooms
		return false
	}
	w.called = false
	q.called--
	if w.next = q.first; q.first != nil {
		q.first.before = w
	} else {
		q.last = w
	}
	q.first = w
	return true
}

func (q *pending) isCalled(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return w.called
}

// call marks w, which is not in the line, as called. The caller holds mu.
func (q *pending) call(w *waiter) {
	w.called, w.rooms = true, q.rooms
	q.called++
}

// leave takes w out of the line. The caller holds mu.
func (q *pending) leave(w *waiter) {
	if w.before != nil {
		w.before.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.before = w.before
	} else {
		q.last = w.before
	}
	w.before, w.next = nil, nil
}

// roomMade calls the first of the line: there may be room.
func (q *pending) roomMade() {
	if q.waiting.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rooms++
	q.callFirst()
}

// callFirst calls the first of the line. The caller holds mu.
func (q *pending) callFirst() {
	w := q.first
	if w == nil {
		return
	}
	q.leave(w)
	q.call(w)
	w.loop.Post(func() {
		if !w.over {
			w.task.Wake()
		}
	})
}

// done ends the wait of w. Who was called calls the next one if there is more room.
func (p *Pool) done(w *waiter) {
	q := &p.circuit.pending
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting.Add(-1)
	if !w.called {
		q.leave(w)
		return
	}
	q.called--
	if p.hasRoom() {
		q.callFirst()
	}
}

// hasRoom reports whether a look is worth it.
func (p *Pool) hasRoom() bool {
	v := p.view.Load()
	for _, e := range v.endpoints {
		if !e.full(v.MaxConnections) {
			return true
		}
	}
	return len(v.endpoints) == 0
}
