package server

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"github.com/pierhead/pierhead/internal/dns"
)

// exchange asks a running server over a network.
func exchange(t *testing.T, s *Server, network string, q *wire.Msg) *wire.Msg {
	t.Helper()
	c := wire.Client{Net: network, Timeout: 5 * time.Second}
	m, _, err := c.Exchange(q, s.Addr().String())
	if err != nil {
		t.Fatalf("%s: %v", network, err)
	}
	return m
}

func question(name string, kind uint16) *wire.Msg {
	return new(wire.Msg).SetQuestion(name, kind)
}

func TestServerAnswersOverBothTransports(t *testing.T) {
	s := start(t, zoneFile)
	for _, network := range []string{"udp", "tcp"} {
		m := exchange(t, s, network, question("example.net.", wire.TypeA))
		if len(m.Answer) != 1 || m.Answer[0].(*wire.A).A.String() != "127.80.0.10" {
			t.Errorf("%s: %v", network, m)
		}
	}
}

func TestATruncatedAnswerIsWholeOverTCP(t *testing.T) {
	s := start(t, many(300))
	if m := exchange(t, s, "udp", question("many.example.com.", wire.TypeA)); !m.Truncated {
		t.Error("the answer over UDP is not marked as truncated")
	}
	if m := exchange(t, s, "tcp", question("many.example.com.", wire.TypeA)); m.Truncated || len(m.Answer) != 300 {
		t.Errorf("over TCP: %d addresses, truncated %v", len(m.Answer), m.Truncated)
	}
}

func TestMessagesThatAreNoQueries(t *testing.T) {
	s := start(t, zoneFile)
	for _, c := range []struct {
		name   string
		change func(*wire.Msg)
		code   int
	}{
		{"UPDATE", func(m *wire.Msg) { m.Opcode = wire.OpcodeUpdate }, wire.RcodeNotImplemented},
		{"NOTIFY", func(m *wire.Msg) { m.Opcode = wire.OpcodeNotify }, wire.RcodeNotImplemented},
		{"no question", func(m *wire.Msg) { m.Question = nil }, wire.RcodeFormatError},
		{"two questions", func(m *wire.Msg) { m.Question = append(m.Question, m.Question[0]) }, wire.RcodeFormatError},
	} {
		q := question("example.net.", wire.TypeA)
		c.change(q)
		if m := exchange(t, s, "tcp", q); m.Rcode != c.code || m.Opcode != q.Opcode && c.code == wire.RcodeNotImplemented {
			t.Errorf("%s: %v", c.name, m)
		}
	}
}

// An answer that is sent to us is dropped, and so is what is too short for a header;
// the server goes on.
func TestServerDropsAnswersAndShortMessages(t *testing.T) {
	s := start(t, zoneFile)
	conn, err := net.Dial("udp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	forged := question("example.net.", wire.TypeA)
	forged.Id, forged.Response = 1, true
	good := question("example.net.", wire.TypeA)
	good.Id = 2
	for _, b := range [][]byte{{}, {1, 2, 3}, pack(t, forged), pack(t, good)} {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 512)
	n, err := conn.Read(b)
	if err != nil || n < 12 || binary.BigEndian.Uint16(b) != 2 {
		t.Errorf("first answer has the ID %d, want 2: %v", binary.BigEndian.Uint16(b), err)
	}
}

func TestManyQueriesOnOneTCPConnection(t *testing.T) {
	s := start(t, zoneFile)
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	for i := range 20 {
		q := question("example.net.", wire.TypeA)
		q.Id = uint16(i)
		b := pack(t, q)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, binary.BigEndian.Uint16(size[:]))); err != nil {
			t.Fatal(err)
		}
	}
}

func pack(t *testing.T, m *wire.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestATakenAddressIsAnError(t *testing.T) {
	s := start(t, zoneFile)
	other := New(Config{Listen: s.Addr()})
	if err := other.Start(); err == nil || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Errorf("error %v, want one that names %s", err, s.Addr())
	}
	if err := other.Close(t.Context()); err != nil {
		t.Errorf("close of a server that did not start: %v", err)
	}
}

func TestSerialGrowsWithEachChange(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := New(Config{Now: func() time.Time { return now }})
	z := dns.Zone{Name: "example.com", Kind: dns.Public}
	if err := s.SetZones([]dns.Zone{z}); err != nil {
		t.Fatal(err)
	}
	serial := func() uint32 {
		return s.answer(question("example.com.", wire.TypeSOA), outsider, 0).Answer[0].(*wire.SOA).Serial
	}
	first := serial()
	if first != 1_700_000_000 {
		t.Errorf("first serial %d", first)
	}
	r := dns.Record{Name: "a.example.com", Type: "A", TTL: 60, Values: []string{"127.80.0.1"}, Owner: dns.Owner}
	apply := func(rs ...dns.Record) {
		t.Helper()
		if _, err := dns.Publish(t.Context(), s, []dns.ZoneRecords{{Zone: z, Records: rs}}, dns.Rules{}); err != nil {
			t.Fatal(err)
		}
	}
	apply(r)
	if serial() != first+1 {
		t.Errorf("serial %d after a change, want %d", serial(), first+1)
	}
	apply(r)
	if err := s.SetZones([]dns.Zone{z}); err != nil {
		t.Fatal(err)
	}
	if serial() != first+1 {
		t.Errorf("serial %d although nothing changed, want %d", serial(), first+1)
	}
	r.Values = []string{"127.80.0.2"}
	apply(r)
	if got := ask(s, outsider, "a.example.com.", "A"); got != "NOERROR aa a.example.com./A/127.80.0.2" {
		t.Errorf("after the update: %s", got)
	}
	apply()
	if got := ask(s, outsider, "a.example.com.", "A"); !strings.HasPrefix(got, "NXDOMAIN") {
		t.Errorf("after the deletion: %s", got)
	}
	if err := s.SetZones(nil); err != nil {
		t.Fatal(err)
	}
	if got := ask(s, outsider, "a.example.com.", "A"); got != "REFUSED" {
		t.Errorf("after the zone went: %s", got)
	}
}

func TestApplyRefusesWhatItCannotAnswer(t *testing.T) {
	s := New(Config{})
	z := dns.Zone{Name: "example.com", Kind: dns.Public}
	if err := s.SetZones([]dns.Zone{z}); err != nil {
		t.Fatal(err)
	}
	good := dns.Record{Name: "good.example.com", Type: "A", TTL: 60, Values: []string{"127.80.0.1"}}
	for _, c := range []struct {
		zone   dns.Zone
		record dns.Record
		want   string
	}{
		{z, dns.Record{Name: "a.example.org", Type: "A", Values: []string{"127.0.0.1"}}, `"a.example.org" is not in zone "example.com=public"`},
		{z, dns.Record{Name: "a.example.com", Type: "TXT", Values: []string{"x"}}, `has type "TXT"`},
		{z, dns.Record{Name: "a.example.com", Type: "A", Values: []string{"fd00::1"}}, `has value "fd00::1"`},
		{z, dns.Record{Name: "a.example.com", Type: "AAAA", Values: []string{"::ffff:1.2.3.4"}}, `has value "::ffff:1.2.3.4"`},
		{dns.Zone{Name: "example.com", Kind: dns.Private}, good, `zone "example.com=private" is not served here`},
	} {
		err := s.Apply(t.Context(), c.zone, dns.Changes{Creates: []dns.Record{good, c.record}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.record, err, c.want)
		}
		if got := ask(s, outsider, "good.example.com.", "A"); !strings.HasPrefix(got, "NXDOMAIN") {
			t.Errorf("half of a refused change is served: %s", got)
		}
	}
	if _, err := s.Records(t.Context(), dns.Zone{Name: "example.org", Kind: dns.Public}); err == nil {
		t.Error("records of a zone that is not there")
	}
}

// Queries see one state of a zone or the next, never half of one.
func TestChangesWhileQueriesRun(t *testing.T) {
	s := start(t, zoneFile)
	z := dns.Zone{Name: "dev.example.com", Kind: dns.Public}
	states := [][]dns.Record{
		{{Name: "dev.example.com", Type: "A", TTL: 60, Values: []string{"127.0.1.1", "127.0.1.2"}, Owner: dns.Owner}},
		{{Name: "dev.example.com", Type: "A", TTL: 60, Values: []string{"127.0.2.1", "127.0.2.2"}, Owner: dns.Owner}},
	}
	publish := func(i int) {
		if _, err := dns.Publish(context.Background(), s, []dns.ZoneRecords{{Zone: z, Records: states[i%2]}}, dns.Rules{}); err != nil {
			t.Error(err)
		}
	}
	publish(0)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a := s.answer(question("dev.example.com.", wire.TypeA), outsider, 0).Answer
				if len(a) != 2 || a[0].(*wire.A).A[2] != a[1].(*wire.A).A[2] {
					t.Errorf("answer %v", a)
					return
				}
			}
		})
	}
	for i := range 200 {
		publish(i)
	}
	close(stop)
	wg.Wait()
}

func TestNameServerAddresses(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "127.0.0.1"},
		{Config{Listen: netip.MustParseAddrPort("127.0.0.53:8053")}, "127.0.0.53"},
		{Config{Listen: netip.MustParseAddrPort("0.0.0.0:8053")}, "127.0.0.1"},
		{Config{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}, "192.0.2.53"},
	} {
		s := New(c.cfg)
		load(t, s, zoneFile)
		m := s.answer(question("dev.example.com.", wire.TypeNS), outsider, 0)
		if len(m.Extra) != 1 || m.Extra[0].(*wire.A).A.String() != c.want {
			t.Errorf("%+v: glue %v, want %s", c.cfg, m.Extra, c.want)
		}
	}
}

func TestAPanicAnswersServerFailure(t *testing.T) {
	reported := make(chan any, 1)
	s := New(Config{Inside: []netip.Prefix{}, OnPanic: func(v any, _ []byte) { reported <- v }})
	load(t, s, zoneFile)
	s.live.Load().public["dev.example.com."].nodes = map[string]*node{"dev.example.com.": nil, "x.dev.example.com.": {sets: []rrset{{kind: wire.TypeA, rrs: []wire.RR{nil}}}}}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	if m := exchange(t, s, "udp", question("x.dev.example.com.", wire.TypeA)); m.Rcode != wire.RcodeServerFailure {
		t.Errorf("answer %v", m)
	}
	<-reported
}
