package listen

import "sync/atomic"

// Counts is what a Set has seen.
type Counts struct {
	Accepted         uint64 // connections since the start
	Active           int64  // connections now
	Reading          int64  // of those, the ones that have sent a part of an HTTP/1 request head
	ProxyRefused     uint64 // closed since their PROXY header was missing or wrong
	HandshakesFailed uint64 // closed in the TLS handshake
}

type counts struct {
	accepted, proxyRefused, handshakesFailed atomic.Uint64
	active, reading                          atomic.Int64
}

// Counts returns the present numbers.
func (s *Set) Counts() Counts {
	return Counts{
		Accepted: s.counts.accepted.Load(), Active: s.counts.active.Load(), Reading: s.counts.reading.Load(),
		ProxyRefused: s.counts.proxyRefused.Load(), HandshakesFailed: s.counts.handshakesFailed.Load(),
	}
}
