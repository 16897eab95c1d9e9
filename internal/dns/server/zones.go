package server

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	wire "github.com/miekg/dns"

	"github.com/pierhead/pierhead/internal/dns"
)

// What the synthesised SOA says. The last one is how long a client may remember that
// a name is not there: short, since names are made while people watch.
const (
	soaRefresh  = 3600
	soaRetry    = 600
	soaExpire   = 86400
	soaNegative = 5
)

// snapshot is all zones at one moment. Nothing in it is written to again.
type snapshot struct {
	public, private map[string]*zone // by name, lower case, with trailing dot
}

// zone is one zone. Nothing in it is written to again.
type zone struct {
	id      dns.Zone
	serial  uint32
	records []dns.Record
	soa     *wire.SOA
	nodes   map[string]*node // by name; what lies between a name and the apex is there too
}

// node is what one name has. An empty one is a name that only leads to others.
type node struct{ sets []rrset }

// rrset is the records of one type.
type rrset struct {
	kind uint16
	rrs  []wire.RR
}

// find returns the records of a type.
func (n *node) find(kind uint16) []wire.RR {
	for i := range n.sets {
		if n.sets[i].kind == kind {
			return n.sets[i].rrs
		}
	}
	return nil
}

// SetZones makes the server answer for these zones and no others. Those it has
// already keep their records.
func (s *Server) SetZones(zones []dns.Zone) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.live.Load()
	next := &snapshot{public: map[string]*zone{}, private: map[string]*zone{}}
	for _, id := range zones {
		z := old.get(id)
		if z == nil {
			var err error
			if z, err = s.build(id, nil); err != nil {
				return err
			}
		}
		next.set(z)
	}
	s.live.Store(next)
	return nil
}

// Records returns the records that a zone has.
func (s *Server) Records(_ context.Context, id dns.Zone) ([]dns.Record, error) {
	z := s.live.Load().get(id)
	if z == nil {
		return nil, fmt.Errorf("zone %q is not served here", id)
	}
	return slices.Clone(z.records), nil
}

// Apply changes a zone: all of the changes at once, or none.
func (s *Server) Apply(_ context.Context, id dns.Zone, c dns.Changes) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.live.Load()
	z := old.get(id)
	if z == nil {
		return fmt.Errorf("zone %q is not served here", id)
	}
	gone := map[string]bool{}
	for _, r := range c.Deletes {
		gone[r.Name+" "+r.Type] = true
	}
	for _, u := range c.Updates {
		gone[u.Old.Name+" "+u.Old.Type] = true
	}
	records := slices.DeleteFunc(slices.Clone(z.records), func(r dns.Record) bool { return gone[r.Name+" "+r.Type] })
	records = append(records, c.Creates...)
	for _, u := range c.Updates {
		records = append(records, u.New)
	}
	z, err := s.build(id, records)
	if err != nil {
		return err
	}
	next := &snapshot{public: maps.Clone(old.public), private: maps.Clone(old.private)}
	next.set(z)
	s.live.Store(next)
	return nil
}

// build makes a zone with a new serial. The caller holds s.mu.
func (s *Server) build(id dns.Zone, records []dns.Record) (*zone, error) {
	s.serial = max(s.serial+1, uint32(s.cfg.Now().Unix()))
	apex := wire.Fqdn(id.Name)
	z := &zone{id: id, serial: s.serial, records: records, nodes: map[string]*node{}}
	slices.SortFunc(z.records, func(a, b dns.Record) int {
		return strings.Compare(a.Name+" "+a.Type, b.Name+" "+b.Type)
	})
	z.soa = &wire.SOA{
		Hdr: wire.RR_Header{Name: apex, Rrtype: wire.TypeSOA, Class: wire.ClassINET, Ttl: soaRefresh},
		Ns:  "ns." + apex, Mbox: "hostmaster." + apex, Serial: z.serial,
		Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: soaNegative,
	}
	ns := &wire.NS{Hdr: wire.RR_Header{Name: apex, Rrtype: wire.TypeNS, Class: wire.ClassINET, Ttl: soaRefresh}, Ns: "ns." + apex}
	z.add(apex, wire.TypeSOA, z.soa)
	z.add(apex, wire.TypeNS, ns)
	for _, r := range records {
		if !id.Contains(r.Name) {
			return nil, fmt.Errorf("record %q is not in zone %q", r.Name, id)
		}
		for _, value := range r.Values {
			rr, err := parse(r, value)
			if err != nil {
				return nil, err
			}
			z.add(rr.Header().Name, rr.Header().Rrtype, rr)
		}
	}
	if z.nodes[z.soa.Ns] == nil {
		for _, a := range s.cfg.Addresses {
			rr := address(z.soa.Ns, soaRefresh, a)
			z.add(z.soa.Ns, rr.Header().Rrtype, rr)
		}
	}
	return z, nil
}

// parse makes one record of the wire out of one value.
func parse(r dns.Record, value string) (wire.RR, error) {
	a, err := netip.ParseAddr(value)
	switch {
	case r.Type != "A" && r.Type != "AAAA":
		return nil, fmt.Errorf("record %q has type %q; this server has A and AAAA only", r.Name, r.Type)
	case err != nil || a.Is4() != (r.Type == "A") || a.Is4In6() || a.Zone() != "":
		return nil, fmt.Errorf("record %q of type %s has value %q, which is no such address", r.Name, r.Type, value)
	}
	return address(wire.Fqdn(r.Name), r.TTL, a), nil
}

// address makes an A or AAAA record.
func address(name string, ttl uint32, a netip.Addr) wire.RR {
	h := wire.RR_Header{Name: name, Rrtype: wire.TypeA, Class: wire.ClassINET, Ttl: ttl}
	if a.Is4() {
		return &wire.A{Hdr: h, A: a.AsSlice()}
	}
	h.Rrtype = wire.TypeAAAA
	return &wire.AAAA{Hdr: h, AAAA: a.AsSlice()}
}

// add puts a record into the zone, and empty nodes for the names on the way to it.
func (z *zone) add(name string, kind uint16, rr wire.RR) {
	n := z.nodes[name]
	if n == nil {
		n = &node{}
		z.nodes[name] = n
		for up := name; up != z.soa.Hdr.Name; {
			_, up, _ = strings.Cut(up, ".")
			if z.nodes[up] == nil {
				z.nodes[up] = &node{}
			}
		}
	}
	for i := range n.sets {
		if n.sets[i].kind == kind {
			n.sets[i].rrs = append(n.sets[i].rrs, rr)
			return
		}
	}
	n.sets = append(n.sets, rrset{kind: kind, rrs: []wire.RR{rr}})
}

// of returns the zones of a kind.
func (s *snapshot) of(k dns.Kind) map[string]*zone {
	if k == dns.Private {
		return s.private
	}
	return s.public
}

// get returns a zone, or nil.
func (s *snapshot) get(id dns.Zone) *zone { return s.of(id.Kind)[wire.Fqdn(id.Name)] }

// set puts a zone into a snapshot that is being made.
func (s *snapshot) set(z *zone) { s.of(z.id.Kind)[z.soa.Hdr.Name] = z }

// find returns the zone that answers for a name, or nil: of the private zones the
// most specific one if the client is inside, else of the public ones. The labels are
// where the labels of the name begin.
func (s *snapshot) find(name string, labels []int, inside bool) *zone {
	if inside {
		for _, at := range labels {
			if z := s.private[name[at:]]; z != nil {
				return z
			}
		}
	}
	for _, at := range labels {
		if z := s.public[name[at:]]; z != nil {
			return z
		}
	}
	return nil
}
