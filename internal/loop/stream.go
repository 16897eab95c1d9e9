// Package loop runs connections: code above it is plain sequential code that reads
// and writes as if it could block, and below it one event loop per core serves all
// of them.
//
// On Linux a Loop is an epoll and every piece of sequential code a coroutine
// (iter.Pull) that yields to the loop where it would block. Elsewhere, in unit
// tests and by choice, the same code runs on goroutines over net.Conn, one at a
// time per Loop. Nothing above this package knows which.
//
// The rules for code that runs on a loop:
//
//   - Only code of the same loop touches a Conn or a Task. What belongs to one loop
//     needs no lock.
//   - No mutex is held across a call that may wait (Read, Write, WaitRead, Park,
//     Sleep, Dial, Await): the whole loop would hang.
//   - Nothing else blocks or burns CPU for long: that goes through Await.
//   - After a wait, shared state may have changed: look again.
//   - Buffers are owned, not shared: scratch memory of the loop is not valid after a wait.
package loop

import (
	"io"
	"net/netip"
	"time"
)

// Stream is a connection as codecs see it: a Conn, or something that stands on
// one, such as TLS.
type Stream interface {
	io.Reader
	// Write sends all of p or fails. It may wait.
	io.Writer
	// WriteTwo sends a and then b, in one system call where that is possible.
	WriteTwo(a, b []byte) error
	// Ready reports whether a Read may find something without waiting. It is a
	// hint: true may be wrong, false is not.
	Ready() bool
	// WaitRead waits until Ready.
	WaitRead() error
	// Quiet reports whether the stream is open and nothing has arrived: what a
	// pooled connection must be before it is used again.
	Quiet() bool
	// OnReadable runs f in a new coroutine when the stream becomes readable or is
	// closed by the peer or its read deadline passes. The caller returns
	// afterwards: until then the connection holds neither coroutine nor buffer. A
	// nil f takes the wish back.
	OnReadable(f func(any), arg any)
	// SetReadDeadline and SetWriteDeadline bound every later wait; the zero time
	// lifts the bound. They cost no system call. A wait that is cut short answers
	// ErrTimeout.
	SetReadDeadline(time.Time)
	SetWriteDeadline(time.Time)
	// SetWriteTimeout bounds later waits for room to write: within each such time the
	// peer must take something. It takes the place of SetWriteDeadline; 0 is no bound.
	SetWriteTimeout(time.Duration)
	// CloseWrite ends the sending direction: FIN, with TLS close_notify before it.
	CloseWrite() error
	Close() error
	LocalAddr() netip.AddrPort
	RemoteAddr() netip.AddrPort
	Loop() *Loop
}
