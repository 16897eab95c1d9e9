package loop

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Loop is one event loop with its connections, coroutines, timers and buffers.
// Except where a method says otherwise, only code that runs on the loop may call
// its methods.
type Loop struct {
	engine *Engine
	index  int
	driver driver

	cur   *Task   // the running coroutine
	tasks []*Task // all of them
	free  []*Task // of them, those without work
	ready []*Task // to be resumed at the end of this turn
	next  []later // to be looked at in the next turn
	ends  []call  // to be called at the end of this turn
	spare []call  // the memory of ends, by turns

	open   map[*Conn]struct{} // of net.Conn connections; those of epoll are in its table
	timers timers
	start  time.Time // what nanos counts from
	clock  time.Time // read once per turn
	nanos  int64     // clock as the timers have it

	small, big [][]byte
	records    []byte

	stopping bool // waits answer ErrStopped
	done     chan struct{}

	mu     sync.Mutex
	posted []job
	taken  []job // the memory of posted, by turns
	shut   bool  // nothing can be posted any more
	mail   atomic.Bool

	live, conns                   atomic.Int64
	coming                        atomic.Int64 // accepted elsewhere, on their way here
	accepted, pauses, turns, slow atomic.Uint64
	longest                       atomic.Int64
}

// driver is what a loop waits with.
type driver interface {
	// poll takes the events that are there, waiting up to wait for the first (for
	// ever when negative), and gives them to their connections.
	poll(wait time.Duration)
	// wake ends a poll. Any goroutine may call it.
	wake()
	// each calls f for every open connection.
	each(f func(*Conn))
	// dial opens a connection; the coroutine waits.
	dial(local netip.Addr, addr netip.AddrPort, timeout time.Duration) (*Conn, error)
	// stop gives up the loop's part in every listener.
	stop()
	// close frees what the driver holds.
	close()
}

// call is a function with its argument.
type call struct {
	f   func(any)
	arg any
}

// later is a coroutine that gave way to others, or a connection that was readable
// already when OnReadable was called.
type later struct {
	t *Task
	c *Conn
}

// job is something that came from another goroutine.
type job struct {
	kind jobKind
	t    *Task  // jobResume
	f    func() // jobRun, jobGo
}

type jobKind uint8

const (
	jobGo     jobKind = iota // f, in a coroutine
	jobRun                   // f, which does not wait
	jobResume                // t, whose Await is over
	jobStop
)

func newLoop(e *Engine, index int) *Loop {
	now := time.Now()
	return &Loop{engine: e, index: index, start: now, clock: now, done: make(chan struct{}), open: map[*Conn]struct{}{}}
}

// Index returns the loop's number, from 0 to the engine's number of loops less one.
func (l *Loop) Index() int { return l.index }

// Engine returns the engine that the loop belongs to. Any goroutine may call it.
func (l *Loop) Engine() *Engine { return l.engine }

// Now returns the time at which the present turn began.
func (l *Loop) Now() time.Time { return l.clock }

// Task returns the running coroutine.
func (l *Loop) Task() *Task { return l.cur }

// Post runs f on the loop, in a coroutine. Any goroutine may call it. After the
// engine was closed f is not run.
func (l *Loop) Post(f func()) { l.post(job{kind: jobGo, f: f}) }

// post hands j to the loop and reports whether the loop will look at it.
func (l *Loop) post(j job) bool {
	l.mu.Lock()
	if l.shut {
		l.mu.Unlock()
		return false
	}
	first := len(l.posted) == 0
	l.posted = append(l.posted, j)
	l.mail.Store(true)
	if first { // under the lock: the driver is not closed before
		l.driver.wake()
	}
	l.mu.Unlock()
	return true
}

// AtTurnEnd calls f once, when the events at hand are done and before the loop
// waits for new ones. F must not wait; it may start a coroutine.
func (l *Loop) AtTurnEnd(f func(any), arg any) { l.ends = append(l.ends, call{f, arg}) }

// Dial opens a TCP connection. It answers ErrTimeout or the system's error when
// there is none.
func (l *Loop) Dial(addr netip.AddrPort, timeout time.Duration) (*Conn, error) {
	return l.DialFrom(netip.Addr{}, addr, timeout)
}

// DialFrom is Dial with a local address, when that is not the zero Addr. A timeout
// of 0 leaves it to the system.
func (l *Loop) DialFrom(local netip.Addr, addr netip.AddrPort, timeout time.Duration) (*Conn, error) {
	if !addr.IsValid() {
		return nil, errors.New("dial: the address is empty: must be ip:port")
	}
	if l.stopping {
		return nil, ErrStopped
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	c, err := l.driver.dial(local, addr, timeout)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return c, nil
}

// run is the loop.
func (l *Loop) run() {
	for !l.stopping {
		l.driver.poll(l.wait())
		l.rest()
	}
	l.unwind()
	close(l.done)
}

// wait returns how long the loop may sleep.
func (l *Loop) wait() time.Duration {
	if len(l.next)+len(l.ready)+len(l.ends) > 0 || l.mail.Load() {
		return 0
	}
	when, ok := l.timers.first()
	if !ok {
		return -1
	}
	return max(0, time.Duration(when)-time.Since(l.start))
}

// tick reads the clock: a turn begins.
func (l *Loop) tick() {
	l.clock = time.Now()
	l.nanos = int64(l.clock.Sub(l.start))
}

// rest is a turn without its first part, the events.
func (l *Loop) rest() {
	if l.mail.Load() {
		l.jobs()
	}
	if len(l.next) > 0 {
		l.laters()
	}
	l.expire()
	l.endTurn()
	l.turns.Store(l.turns.Load() + 1)
	d := time.Since(l.clock)
	if d > SlowTurn {
		l.slow.Add(1)
	}
	if int64(d) > l.longest.Load() {
		l.longest.Store(int64(d))
	}
}

// jobs does what other goroutines asked for.
func (l *Loop) jobs() {
	l.mu.Lock()
	l.taken, l.posted = l.posted, l.taken[:0]
	l.mail.Store(false)
	l.mu.Unlock()
	for i, j := range l.taken {
		l.taken[i] = job{}
		switch j.kind {
		case jobGo:
			l.Go(callFunc, j.f)
		case jobRun:
			j.f()
		case jobResume:
			l.resume(j.t)
		case jobStop:
			l.stopping = true
		}
	}
	l.taken = l.taken[:0]
}

func callFunc(f any) { f.(func())() }

// laters goes on with what gave way in the last turn.
func (l *Loop) laters() {
	n := len(l.next)
	for i := 0; i < n; i++ {
		x := l.next[i]
		l.next[i] = later{}
		if x.t != nil {
			l.resume(x.t)
		} else {
			x.c.fire()
		}
	}
	l.next = append(l.next[:0], l.next[n:]...)
}

// passes bounds how often coroutines that wake each other are resumed before the
// loop looks for events again.
const passes = 16

// endTurn resumes who was woken and then makes the calls of AtTurnEnd, until there
// is neither.
func (l *Loop) endTurn() {
	for pass := 0; pass < passes && len(l.ready)+len(l.ends) > 0; pass++ {
		n := len(l.ready)
		for i := 0; i < n; i++ {
			t := l.ready[i]
			l.ready[i] = nil
			l.resume(t)
		}
		l.ready = append(l.ready[:0], l.ready[n:]...)
		if len(l.ends) == 0 || len(l.ready) > 0 && pass < passes-1 {
			continue
		}
		ends := l.ends
		l.ends, l.spare = l.spare[:0], nil
		for i, e := range ends {
			ends[i] = call{}
			l.guard(e.f, e.arg)
		}
		l.spare = ends[:0]
	}
}

// unwind ends everything: idle connections are given to their owners, every wait
// answers ErrStopped, and what is still open then is closed.
func (l *Loop) unwind() {
	l.driver.stop()
	for {
		l.driver.each(func(c *Conn) {
			if c.idle != nil && !c.told {
				c.told = true
				l.next = append(l.next, later{c: c})
				c.readable = true
			}
		})
		away := 0
		for _, t := range l.tasks {
			switch t.state {
			case waiting, parked:
				l.enqueue(t)
			case awaiting:
				away++
			}
		}
		if len(l.ready)+len(l.next)+len(l.ends) == 0 {
			if away == 0 {
				break
			}
			l.driver.poll(-1) // for the goroutines of Await
		}
		l.rest()
	}
	l.driver.each(func(c *Conn) { c.Close() })
	for _, t := range l.free {
		t.end()
	}
	l.mu.Lock()
	l.shut = true
	left := l.posted
	l.posted = nil
	l.mu.Unlock()
	for _, j := range left {
		if j.kind == jobRun {
			j.f()
		}
	}
	l.driver.close()
}
