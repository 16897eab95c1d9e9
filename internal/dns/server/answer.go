package server

import (
	"net/netip"

	wire "github.com/miekg/dns"
)

// udpSize is the largest answer over UDP: what passes everywhere unfragmented, as the
// DNS flag day of 2020 settled it.
const udpSize = 1232

// accept decides by the header alone what to do with a message. What is an answer
// itself is ignored, so that two servers never talk in circles.
func accept(h wire.Header) wire.MsgAcceptAction {
	const response = 1 << 15
	switch {
	case h.Bits&response != 0:
		return wire.MsgIgnore
	case int(h.Bits>>11)&0xf != wire.OpcodeQuery:
		return wire.MsgRejectNotImplemented
	case h.Qdcount != 1 || h.Ancount > 1 || h.Nscount > 1 || h.Arcount > 2:
		return wire.MsgReject
	}
	return wire.MsgAccept
}

// answer answers one query of a client. The limit is the largest answer that the
// transport takes; 0 is UDP, where the query says it.
func (s *Server) answer(q *wire.Msg, client netip.Addr, limit int) *wire.Msg {
	m := new(wire.Msg)
	m.SetReply(q)
	m.Compress = true
	size := wire.MinMsgSize
	opts := 0
	for _, rr := range q.Extra {
		opt, ok := rr.(*wire.OPT)
		if !ok {
			continue
		}
		opts++
		size = min(max(int(opt.UDPSize()), wire.MinMsgSize), udpSize)
		m.SetEdns0(udpSize, opt.Do())
		if opt.Version() != 0 {
			m.Rcode = wire.RcodeBadVers
		}
	}
	if limit == 0 {
		limit = size
	}
	switch {
	case opts > 1 || len(q.Question) != 1:
		m.Rcode = wire.RcodeFormatError
		m.Extra = nil
	case m.Rcode == wire.RcodeSuccess:
		s.fill(m, q.Question[0], client)
	}
	if m.Rcode >= 0 && m.Rcode < len(s.seen) {
		s.seen[m.Rcode].Add(1)
	}
	m.Truncate(limit)
	return m
}

// fill puts the code and the records into an answer.
func (s *Server) fill(m *wire.Msg, q wire.Question, client netip.Addr) {
	switch q.Qtype {
	case wire.TypeAXFR, wire.TypeIXFR:
		m.Rcode = wire.RcodeRefused
		return
	case wire.TypeOPT, wire.TypeNone:
		m.Rcode = wire.RcodeFormatError
		return
	case wire.TypeMAILA, wire.TypeMAILB:
		m.Rcode = wire.RcodeNotImplemented
		return
	}
	name := wire.CanonicalName(q.Name)
	labels := wire.Split(name)
	z := s.live.Load().find(name, labels, s.inside(client))
	if z == nil || q.Qclass != wire.ClassINET {
		m.Rcode = wire.RcodeRefused
		return
	}
	m.Authoritative = true
	n := z.node(name, labels)
	if n == nil {
		m.Rcode = wire.RcodeNameError
		m.Ns = z.negative()
		return
	}
	found := n.find(q.Qtype)
	if q.Qtype == wire.TypeANY && len(n.sets) > 0 {
		// One set is enough (RFC 8482): nobody needs all of them, but those who
		// want a large answer to a small question.
		found = n.sets[0].rrs
	}
	if len(found) == 0 {
		m.Ns = z.negative()
		return
	}
	m.Answer = named(found, q.Name)
	if q.Qtype == wire.TypeNS {
		glue := z.nodes[z.soa.Ns]
		m.Extra = append(m.Extra, glue.find(wire.TypeA)...)
		m.Extra = append(m.Extra, glue.find(wire.TypeAAAA)...)
	}
}

// node returns what a name has: its own node, or that of the wildcard right below
// the closest name that is there (RFC 4592), or nil.
func (z *zone) node(name string, labels []int) *node {
	for i, at := range labels {
		n := z.nodes[name[at:]]
		if n == nil {
			continue
		}
		if i == 0 {
			return n
		}
		return z.nodes["*."+name[at:]]
	}
	return nil
}

// negative returns the SOA that goes with "not there", with the time for which that
// may be remembered (RFC 2308).
func (z *zone) negative() []wire.RR {
	soa := *z.soa
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	return []wire.RR{&soa}
}

// named returns records under the name that was asked for: in the letters of the
// question, which resolvers vary to tell true answers from forged ones, and instead
// of the wildcard.
func named(rrs []wire.RR, name string) []wire.RR {
	if rrs[0].Header().Name == name {
		return append([]wire.RR(nil), rrs...)
	}
	out := make([]wire.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = wire.Copy(rr)
		out[i].Header().Name = name
	}
	return out
}
