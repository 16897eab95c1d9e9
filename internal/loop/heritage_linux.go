package loop

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Descriptors returns copies of the sockets that are listened on, by address. The caller
// closes them.
func (e *Engine) Descriptors() map[netip.AddrPort]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := map[netip.AddrPort]int{}
	for ln := range e.open {
		if s, ok := ln.source.(*socketSource); ok { // open: its descriptor is ours until Close
			if fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
				all[ln.addr] = fd
			}
		}
	}
	return all
}
