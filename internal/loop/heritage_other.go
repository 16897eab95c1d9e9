//go:build !linux

package loop

import "net/netip"

// Descriptors returns nothing: sockets cannot be handed over here.
func (e *Engine) Descriptors() map[netip.AddrPort]int { return nil }
