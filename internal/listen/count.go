package listen

import "sync/atomic"

// Counts is what a Set has seen.
type Counts struct {
	Accepted         uint64 // connections since the start
	Active           int64  // connections now
	Idle             int64  // of those, the ones that wait for a request; those of HTTP/3 do not count
	Reading          int64  // of those, the ones that have sent a part of an HTTP/1 request head
	ProxyRefused     uint64 // closed since their PROXY header was missing or wrong
	HandshakesFailed uint64 // closed in the TLS handshake
	MadeRoom         uint64 // idle ones closed so that others could be served
	// Refused were closed at once, by the names of Refusals. They count in nothing else.
	Refused map[string]uint64
}

type counts struct {
	accepted, proxyRefused, handshakesFailed, madeRoom atomic.Uint64
	active, reading                                    atomic.Int64
	refused                                            [refusals]atomic.Uint64
}

// Counts returns the present numbers.
func (s *Set) Counts() Counts {
	refused := make(map[string]uint64, refusals)
	for r := range refusals {
		refused[r.String()] = s.counts.refused[r].Load()
	}
	var idle int64
	for i := range s.loops {
		idle += s.loops[i].idle.Load()
	}
	return Counts{
		Idle:     idle,
		Accepted: s.counts.accepted.Load(), Active: s.counts.active.Load(), Reading: s.counts.reading.Load(),
		ProxyRefused: s.counts.proxyRefused.Load(), HandshakesFailed: s.counts.handshakesFailed.Load(),
		MadeRoom: s.counts.madeRoom.Load(), Refused: refused,
	}
}
