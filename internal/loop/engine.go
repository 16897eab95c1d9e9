package loop

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Kind names one of the two ways in which loops are driven.
type Kind string

// The kinds. Loops needs Linux; Goroutines works everywhere.
const (
	Loops      Kind = "loops"
	Goroutines Kind = "goroutines"
)

// DefaultKind returns Loops where the system has epoll, else Goroutines.
func DefaultKind() Kind {
	if haveEpoll {
		return Loops
	}
	return Goroutines
}

// Engine is a fixed number of loops that share listeners.
type Engine struct {
	kind  Kind
	loops []*Loop
	turn  atomic.Uint32 // of Next

	ctx    context.Context // ends with the engine: for what blocks outside a loop
	cancel context.CancelFunc
	away   sync.WaitGroup // goroutines started for the loops
	mu     sync.Mutex
	open   map[*Listener]struct{}
	closed bool

	heritage Heritage // nil: none
}

// New starts n loops of a kind; with n = 0 one for each processor that Go uses.
func New(kind Kind, n int) (*Engine, error) {
	if kind != Loops && kind != Goroutines {
		return nil, fmt.Errorf("engine %q: must be %q or %q", kind, Loops, Goroutines)
	}
	if n < 0 {
		return nil, fmt.Errorf("number of loops %d: must not be negative", n)
	}
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	e := &Engine{kind: kind, open: map[*Listener]struct{}{}}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	for i := range n {
		l := newLoop(e, i)
		var err error
		if l.driver, err = newDriver(kind, l); err != nil {
			for _, l := range e.loops {
				l.driver.close()
			}
			return nil, err
		}
		e.loops = append(e.loops, l)
	}
	for _, l := range e.loops {
		go l.run()
	}
	return e, nil
}

// newDriver makes what a loop of that kind waits with.
func newDriver(kind Kind, l *Loop) (driver, error) {
	if kind == Loops {
		return newEpoll(l)
	}
	return newSignal(l), nil
}

// Kind returns how the engine's loops are driven.
func (e *Engine) Kind() Kind { return e.kind }

// Loops returns the loops, in the order of their Index.
func (e *Engine) Loops() []*Loop { return e.loops }

// Context ends when the engine is closed, before anything waits for that: what code
// that runs by Await may block on must end with it.
func (e *Engine) Context() context.Context { return e.ctx }

// Next returns the loops in turn: where work of no particular loop goes.
func (e *Engine) Next() *Loop {
	return e.loops[int((e.turn.Add(1)-1)%uint32(len(e.loops)))]
}

// leastLoaded returns the loop with the fewest connections, or l when the
// difference is not worth the way to another loop.
func (e *Engine) leastLoaded(l *Loop) *Loop {
	if len(e.loops) == 1 {
		return l
	}
	mine := l.load()
	best, least := l, mine-max(4, mine/8)
	for _, o := range e.loops {
		if n := o.load(); n < least {
			best, least = o, n
		}
	}
	return best
}

// load returns how many connections the loop has or is about to get.
func (l *Loop) load() int64 { return l.conns.Load() + l.coming.Load() }

// Close stops the listeners, ends every coroutine (their waits answer
// ErrStopped), closes every connection and waits until all that is done. It must
// not be called by code that runs on one of the loops.
func (e *Engine) Close() error {
	e.mu.Lock()
	listeners := make([]*Listener, 0, len(e.open))
	for ln := range e.open {
		listeners = append(listeners, ln)
	}
	e.closed = true
	e.mu.Unlock()
	for _, ln := range listeners {
		ln.Close()
	}
	e.cancel()
	for _, l := range e.loops {
		l.post(job{kind: jobStop})
	}
	for _, l := range e.loops {
		<-l.done
	}
	e.away.Wait()
	return nil
}

// Listener is a listening TCP socket whose connections are spread over the loops.
type Listener struct {
	engine *Engine
	addr   netip.AddrPort
	serve  func(any) // the accept function, in the shape of Loop.Go
	source source
	closed atomic.Bool
}

// source is where a Listener's connections come from: a socket in every loop's
// epoll, or a goroutine that accepts.
type source interface{ close() error }

// pause is how long nothing is accepted when the system has no descriptors or
// memory left.
const pause = 100 * time.Millisecond

// Listen opens addr; port 0 takes a free one. Accept is called for each
// connection, in a coroutine of the connection's loop, and owns the connection. An
// IPv6 address, [::] included, takes IPv6 connections only.
func (e *Engine) Listen(addr netip.AddrPort, accept func(*Conn)) (*Listener, error) {
	if !addr.IsValid() {
		return nil, fmt.Errorf("listen: the address is empty: must be ip:port")
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	ln := &Listener{engine: e, serve: func(c any) { accept(c.(*Conn)) }}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, fmt.Errorf("listen %s: %w", addr, ErrStopped)
	}
	open := listenNet
	if e.kind == Loops {
		open = listenEpoll
	}
	if err := open(e, ln, addr); err != nil {
		return nil, fmt.Errorf("listen %s: %w", addr, err)
	}
	e.open[ln] = struct{}{}
	return ln, nil
}

// Addr returns the address listened on, with the port that was taken.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Close stops accepting. Connections go on.
func (l *Listener) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	e := l.engine
	e.mu.Lock()
	delete(e.open, l)
	e.mu.Unlock()
	return l.source.close()
}

// Stats is what an engine is doing, summed over its loops.
type Stats struct {
	Loops       int
	Coroutines  int           // that run or wait; those kept for reuse not counted
	Connections int           // open, both directions
	Accepted    uint64        // connections since the start
	Pauses      uint64        // times that accepting stopped for a moment: no descriptors or memory left
	Turns       uint64        // since the start
	SlowTurns   uint64        // of them, longer than SlowTurn
	LongestTurn time.Duration // since the start
}

// SlowTurn is the length from which on a turn of a loop counts as slow: everybody
// else on that loop waited for so long.
const SlowTurn = 5 * time.Millisecond

// Stats returns the present numbers.
func (e *Engine) Stats() Stats {
	s := Stats{Loops: len(e.loops)}
	for _, l := range e.loops {
		s.Coroutines += int(l.live.Load())
		s.Connections += int(l.conns.Load())
		s.Accepted += l.accepted.Load()
		s.Pauses += l.pauses.Load()
		s.Turns += l.turns.Load()
		s.SlowTurns += l.slow.Load()
		s.LongestTurn = max(s.LongestTurn, time.Duration(l.longest.Load()))
	}
	return s
}
