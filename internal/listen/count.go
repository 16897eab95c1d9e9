package listen

import "sync/atomic"

// Counts is what a Set has seen.
type Counts struct {
	Accepted         uint64 // connections since the start
	Active           int64  // connections now
	ProxyRefused     uint64 // closed since their PROXY header was missing or wrong
	HandshakesFailed uint64 // closed in the TLS handshake
}

type counts struct {
	accepted, proxyRefused, handshakesFailed atomic.Uint64
	active                                   atomic.Int64
}

// Counts returns the present numbers.
func (s *Set) Counts() Counts {
	return Counts{
		Accepted: s.counts.accepted.Load(), Active: s.counts.active.Load(),
		ProxyRefused: s.counts.proxyRefused.Load(), HandshakesFailed: s.counts.handshakesFailed.Load(),
	}
}
