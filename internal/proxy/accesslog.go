package proxy

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// maxLogBuffer bounds what one loop holds while the log cannot be written. Lines
// beyond it are dropped and counted: a slow disk does not slow down requests.
const maxLogBuffer = 4 << 20

// AccessLog writes the lines of all loops to one place. Loops append to a buffer of
// their own; one goroutine writes them out. No loop ever waits for it.
type AccessLog struct {
	w       io.Writer
	loops   []logBuffer
	wake    chan struct{}
	done    chan struct{}
	dropped atomic.Uint64
	failed  atomic.Uint64
	closing sync.Once
	closed  chan struct{}
}

type logBuffer struct {
	mu    sync.Mutex
	lines []byte
	armed bool // the end of this turn will wake the writer
	_     [64]byte
}

// NewAccessLog starts a log that is written to w, for an engine with so many loops.
func NewAccessLog(w io.Writer, loops int) *AccessLog {
	a := &AccessLog{
		w: w, loops: make([]logBuffer, loops),
		wake: make(chan struct{}, 1), done: make(chan struct{}), closed: make(chan struct{}),
	}
	go a.run()
	return a
}

// Dropped returns how many lines were dropped because the log could not be written
// fast enough, or not at all.
func (a *AccessLog) Dropped() uint64 { return a.dropped.Load() + a.failed.Load() }

// Close writes what is there and stops the writer. Lines added later are lost.
func (a *AccessLog) Close() {
	a.closing.Do(func() { close(a.closed) })
	<-a.done
}

// Add appends what write appends, which ends in a line end. Any goroutine may call it.
func (a *AccessLog) Add(write func([]byte) []byte) {
	full, _ := a.loops[0].add(nil, func(b []byte, _ *trip) []byte { return write(b) })
	if full {
		a.dropped.Add(1)
	}
	wakeWriter(a)
}

// add appends the line that write makes of t to the buffer of the loop.
func (a *AccessLog) add(l *loop.Loop, t *trip, write func([]byte, *trip) []byte) {
	full, arm := a.loops[l.Index()].add(t, write)
	if full {
		a.dropped.Add(1)
	}
	if arm {
		l.AtTurnEnd(wakeWriter, a)
	}
}

// add reports whether the line did not fit, and whether the writer must be woken. A
// write that panics leaves no part of its line and no lock behind.
func (b *logBuffer) add(t *trip, write func([]byte, *trip) []byte) (full, arm bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) > maxLogBuffer {
		return true, false
	}
	b.lines = write(b.lines, t)
	arm, b.armed = !b.armed, true
	return false, arm
}

// wakeWriter runs at the end of a turn in which lines were added.
func wakeWriter(arg any) {
	select {
	case arg.(*AccessLog).wake <- struct{}{}:
	default: // it is awake already
	}
}

// gather is how long the first line waits for others, so that a busy server writes many
// at once.
const gather = 5 * time.Millisecond

func (a *AccessLog) run() {
	defer close(a.done)
	var spare []byte
	timer := time.NewTimer(gather)
	for {
		select {
		case <-a.wake:
			timer.Reset(gather)
			select {
			case <-timer.C:
			case <-a.closed:
			}
			spare = a.writeOut(spare)
		case <-a.closed:
			a.writeOut(spare)
			return
		}
	}
}

// writeOut swaps every loop's buffer for an empty one and writes it.
func (a *AccessLog) writeOut(spare []byte) []byte {
	for i := range a.loops {
		b := &a.loops[i]
		b.mu.Lock()
		lines := b.lines
		b.lines, b.armed = spare[:0], false
		b.mu.Unlock()
		if len(lines) > 0 {
			if _, err := a.w.Write(lines); err != nil {
				a.failed.Add(countLines(lines))
			}
		}
		spare = lines
	}
	return spare
}

func countLines(b []byte) (n uint64) {
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n
}
