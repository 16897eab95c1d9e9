package server

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	wire "github.com/miekg/dns"
)

var (
	insider  = netip.MustParseAddr("127.0.0.1")
	outsider = netip.MustParseAddr("192.0.2.1")
)

// ask asks a server without a network and prints "CODE aa records | authority".
func ask(s *Server, client netip.Addr, name, kind string) string {
	q := new(wire.Msg)
	q.SetQuestion(name, wire.StringToType[kind])
	m := s.answer(q, client, wire.MaxMsgSize)
	out := wire.RcodeToString[m.Rcode]
	if m.Authoritative {
		out += " aa"
	}
	for _, rr := range m.Answer {
		out += " " + short(rr)
	}
	for _, rr := range m.Ns {
		out += " | " + short(rr)
	}
	return out
}

// short prints a record without TTL and class, and an SOA without numbers.
func short(rr wire.RR) string {
	value := strings.TrimPrefix(rr.String(), rr.Header().String())
	if soa, ok := rr.(*wire.SOA); ok {
		value = soa.Ns
	}
	return rr.Header().Name + "/" + wire.TypeToString[rr.Header().Rrtype] + "/" + value
}

func TestAnswer(t *testing.T) {
	s := New(Config{Inside: []netip.Prefix{netip.PrefixFrom(insider, 32)}})
	load(t, s, zoneFile)
	const soa = " | example.com./SOA/ns.example.com."
	for _, c := range []struct {
		client     netip.Addr
		name, kind string
		want       string
	}{
		{outsider, "www.example.com.", "A", "NOERROR aa www.example.com./A/127.80.0.1 www.example.com./A/127.80.0.2"},
		{outsider, "www.example.com.", "AAAA", "NOERROR aa www.example.com./AAAA/fd00::1"},
		{outsider, "wWw.eXample.COM.", "AAAA", "NOERROR aa wWw.eXample.COM./AAAA/fd00::1"},
		{outsider, "www.example.com.", "TXT", "NOERROR aa" + soa},
		{outsider, "www.example.com.", "ANY", "NOERROR aa www.example.com./A/127.80.0.1 www.example.com./A/127.80.0.2"},
		{outsider, "example.com.", "A", "NOERROR aa example.com./A/127.80.0.9"},
		{outsider, "example.com.", "SOA", "NOERROR aa example.com./SOA/ns.example.com."},
		{outsider, "example.com.", "NS", "NOERROR aa example.com./NS/ns.example.com."},
		{outsider, "ns.example.com.", "A", "NOERROR aa ns.example.com./A/127.0.0.1"},
		{outsider, "none.example.com.", "A", "NXDOMAIN aa" + soa},
		{outsider, "none.www.example.com.", "A", "NXDOMAIN aa" + soa},
		{outsider, "none.example.com.", "ANY", "NXDOMAIN aa" + soa},
		// Names that only lead to others are there, but have nothing.
		{outsider, "c.example.com.", "A", "NOERROR aa" + soa},
		{outsider, "b.c.example.com.", "ANY", "NOERROR aa" + soa},
		{outsider, "x.c.example.com.", "A", "NXDOMAIN aa" + soa},
		// RFC 4592: a wildcard stands for any depth, not for itself's parent, and
		// not below a name that is there.
		{outsider, "p.wild.example.com.", "A", "NOERROR aa p.wild.example.com./A/127.80.0.4"},
		{outsider, "P.q.Wild.example.com.", "A", "NOERROR aa P.q.Wild.example.com./A/127.80.0.4"},
		{outsider, "p.wild.example.com.", "AAAA", "NOERROR aa" + soa},
		{outsider, "wild.example.com.", "A", "NOERROR aa" + soa},
		{outsider, "*.wild.example.com.", "A", "NOERROR aa *.wild.example.com./A/127.80.0.4"},
		{outsider, "y.wild.example.com.", "A", "NOERROR aa" + soa},
		{outsider, "z.y.wild.example.com.", "A", "NXDOMAIN aa" + soa},
		// The most specific zone answers.
		{outsider, "dev.example.com.", "A", "NOERROR aa dev.example.com./A/127.80.0.7"},
		{outsider, "x.dev.example.com.", "A", "NXDOMAIN aa | dev.example.com./SOA/ns.dev.example.com."},
		// Views.
		{outsider, "split.example.com.", "A", "NOERROR aa split.example.com./A/127.80.0.6"},
		{insider, "split.example.com.", "A", "NOERROR aa split.example.com./A/127.81.0.6"},
		{insider, "www.example.com.", "A", "NXDOMAIN aa" + soa},
		{insider, "app.corp.internal.", "A", "NOERROR aa app.corp.internal./A/127.81.0.1"},
		{outsider, "app.corp.internal.", "A", "REFUSED"},
		{insider, "a0-1.local.elb.internal.", "A", "NOERROR aa a0-1.local.elb.internal./A/127.80.0.8"},
		{outsider, "a0-1.local.elb.internal.", "A", "NOERROR aa a0-1.local.elb.internal./A/127.80.0.8"},
		// What is not ours.
		{outsider, "example.org.", "A", "REFUSED"},
		{outsider, "myexample.com.", "A", "REFUSED"},
		{outsider, `www\.example.com.`, "A", "REFUSED"},
		{outsider, "com.", "A", "REFUSED"},
		{outsider, ".", "NS", "REFUSED"},
		{outsider, "example.com.", "AXFR", "REFUSED"},
		{outsider, "example.com.", "IXFR", "REFUSED"},
		{outsider, "example.com.", "MAILB", "NOTIMP"},
		{outsider, "example.com.", "OPT", "FORMERR"},
	} {
		if got := ask(s, c.client, c.name, c.kind); got != c.want {
			t.Errorf("%s asks %s %s:\n got %s\nwant %s", c.client, c.name, c.kind, got, c.want)
		}
	}
}

func TestOtherClassesAreRefused(t *testing.T) {
	s := New(Config{})
	load(t, s, zoneFile)
	q := new(wire.Msg)
	q.SetQuestion("www.example.com.", wire.TypeA)
	q.Question[0].Qclass = wire.ClassCHAOS
	if m := s.answer(q, outsider, 0); m.Rcode != wire.RcodeRefused || len(m.Answer) != 0 {
		t.Errorf("class CH: %v", m)
	}
}

func TestNegativeAnswersMayBeKeptShortly(t *testing.T) {
	s := New(Config{})
	load(t, s, zoneFile)
	q := new(wire.Msg)
	q.SetQuestion("none.dev.example.com.", wire.TypeA)
	m := s.answer(q, outsider, 0)
	soa, ok := m.Ns[0].(*wire.SOA)
	if !ok || soa.Hdr.Ttl != soaNegative || soa.Minttl != soaNegative {
		t.Errorf("authority %v, want an SOA with TTL and minimum %d", m.Ns, soaNegative)
	}
}

func TestAnswerSize(t *testing.T) {
	s := New(Config{})
	load(t, s, many(300))
	for _, c := range []struct {
		name      string
		edns      int // the client's size; 0 without EDNS
		limit     int
		size      int
		truncated bool
	}{
		{"no EDNS", 0, 0, 512, true},
		{"EDNS below the least", 100, 0, 512, true},
		{"EDNS", 1000, 0, 1000, true},
		{"EDNS above ours", 65000, 0, udpSize, true},
		{"TCP", 0, wire.MaxMsgSize, wire.MaxMsgSize, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := new(wire.Msg)
			q.SetQuestion("many.example.com.", wire.TypeA)
			if c.edns > 0 {
				q.SetEdns0(uint16(c.edns), true)
			}
			m := s.answer(q, outsider, c.limit)
			b, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > c.size || m.Truncated != c.truncated {
				t.Errorf("%d bytes, truncated %v; want at most %d, %v", len(b), m.Truncated, c.size, c.truncated)
			}
			if opt := m.IsEdns0(); (opt != nil) != (c.edns > 0) || opt != nil && (int(opt.UDPSize()) != udpSize || !opt.Do()) {
				t.Errorf("OPT %v", opt)
			}
			if !c.truncated && len(m.Answer) != 300 {
				t.Errorf("%d addresses", len(m.Answer))
			}
		})
	}
}

func TestEDNSErrors(t *testing.T) {
	s := New(Config{})
	load(t, s, zoneFile)
	q := new(wire.Msg)
	q.SetQuestion("www.example.com.", wire.TypeA)
	q.SetEdns0(1232, false)
	q.IsEdns0().SetVersion(1)
	m := s.answer(q, outsider, 0)
	if b, err := m.Pack(); err != nil || m.Rcode != wire.RcodeBadVers || m.Unpack(b) != nil || m.Rcode != wire.RcodeBadVers {
		t.Errorf("version 1: %v %v", m, err)
	}
	q.IsEdns0().SetVersion(0)
	q.SetEdns0(1232, false)
	if m := s.answer(q, outsider, 0); m.Rcode != wire.RcodeFormatError || len(m.Answer) != 0 {
		t.Errorf("two OPT records: %v", m)
	}
}

func TestAnswersAreCounted(t *testing.T) {
	s := New(Config{})
	load(t, s, zoneFile)
	for range 3 {
		ask(s, outsider, "dev.example.com.", "A")
	}
	ask(s, outsider, "example.org.", "A")
	if got := fmt.Sprint(s.Answers()); got != "map[NOERROR:3 REFUSED:1]" {
		t.Errorf("counted %s", got)
	}
}

// FuzzAnswer sends arbitrary bytes through all that a datagram goes through.
func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"www.example.com.", "*.wild.example.com.", ".", `a\.b.example.com.`, "app.corp.internal."} {
		for _, kind := range []uint16{wire.TypeA, wire.TypeANY, wire.TypeNS, wire.TypeAXFR} {
			q := new(wire.Msg)
			q.SetQuestion(name, kind)
			q.SetEdns0(4096, true)
			b, err := q.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	s := New(Config{})
	load(f, s, zoneFile)
	f.Fuzz(func(t *testing.T, b []byte) {
		q := new(wire.Msg)
		if q.Unpack(b) != nil || q.Response || q.Opcode != wire.OpcodeQuery {
			return
		}
		for _, client := range []netip.Addr{insider, outsider} {
			m := s.answer(q, client, 0)
			out, err := m.Pack()
			if err != nil {
				t.Fatalf("answer to %v cannot be packed: %v", q, err)
			}
			if len(out) > udpSize {
				t.Fatalf("answer to %v has %d bytes", q, len(out))
			}
			if m.Id != q.Id || !m.Response {
				t.Fatalf("answer %v to %v", m, q)
			}
			if slices.ContainsFunc(m.Answer, func(rr wire.RR) bool { return !strings.EqualFold(rr.Header().Name, q.Question[0].Name) }) {
				t.Fatalf("answer %v to %v is about another name", m, q)
			}
		}
	})
}
