package loop

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// The errors of waits. ErrTimeout is a net.Error whose Timeout is true, and
// matches os.ErrDeadlineExceeded.
var (
	ErrTimeout error = timeout{}
	ErrStopped       = errors.New("the engine is closed")
	ErrClosed        = errors.New("the connection is closed on this side")
)

// errAgain is a link's word for: not now, an event will tell.
var errAgain = errors.New("not now")

type timeout struct{}

func (timeout) Error() string        { return "timeout" }
func (timeout) Timeout() bool        { return true }
func (timeout) Temporary() bool      { return true }
func (timeout) Is(target error) bool { return target == os.ErrDeadlineExceeded }

var onPanic atomic.Pointer[func(any, []byte)]

// OnPanic sets where panics that were recovered in coroutines are reported. It is
// called once, at the start; without it they go to standard error. F may be called
// on several loops at the same time, and must not wait.
func OnPanic(f func(v any, stack []byte)) { onPanic.Store(&f) }

func report(v any, stack []byte) {
	if p, ok := v.(*awaitPanic); ok {
		v, stack = p.value, p.stack
	}
	if f := onPanic.Load(); f != nil {
		(*f)(v, stack)
		return
	}
	fmt.Fprintf(os.Stderr, "panic in a coroutine: %v\n%s\n", v, stack)
}

// awaitPanic carries a panic from the goroutine of Await to the coroutine.
type awaitPanic struct {
	value any
	stack []byte
}

func (p *awaitPanic) String() string { return fmt.Sprint(p.value) }
