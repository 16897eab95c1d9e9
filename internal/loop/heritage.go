package loop

import "net/netip"

// Heritage joins the listening sockets of this process with those of the process before
// it and after it, where one takes another's place. Any goroutine may call its methods.
type Heritage interface {
	// Take returns the descriptor of a listening socket of the process before, for an
	// address that is in use. The caller owns it. False: there is none.
	Take(netip.AddrPort) (fd int, ok bool)
	// Left reports whether another process has the socket of this address too. Then it is
	// let go of and goes on; else Close shuts it.
	Left(netip.AddrPort) bool
}

// Inherit has the engine's listeners take part in h. It is called before the first
// Listen and needs an engine of Loops.
func (e *Engine) Inherit(h Heritage) { e.heritage = h }

// Round returns when every loop has done what others asked of it before, and what that
// asked of other loops. It must not be called by code that runs on one of the loops.
func (e *Engine) Round() {
	for range 2 {
		for _, l := range e.loops {
			reached := make(chan struct{})
			if l.post(job{kind: jobRun, f: func() { close(reached) }}) {
				<-reached // also at the loop's end: see unwind
			}
		}
	}
}
