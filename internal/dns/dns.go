// Package dns says which records stand for which load balancers.
//
// Desired turns the wishes of Services for names into the records of each zone, and
// Plan compares the records of one zone with those that are there. Both are pure.
// A Provider holds the records; the embedded server of package server is the first.
//
// # Which zone a name goes to
//
// Zones are public or private, and each is planned on its own: a public and a private
// zone may have one name (split horizon). Within a kind the most specific zone that
// contains the name counts. Then:
//
//  1. A name of an internal load balancer goes to the private zone, a name of an
//     external one to the public zone.
//  2. A name that only a zone of the other kind contains goes to that one. The 2017
//     workflow relied on it: one external Service claimed a name of a public zone and
//     one of a private zone, and got both. An internal address in a public zone is
//     told as information, since everyone may read it there.
//  3. Clients inside ask the private zones first, so that a private zone hides whatever
//     public zone it meets. Therefore a name that went to the public zone by rule 1 is
//     written to the private zone that contains it as well, unless rule 1 or 2 put a
//     claim for the same name there: inside and outside then get different answers.
//  4. A name that no zone contains is written nowhere, and a Problem says so.
//
// In each zone a name has one owner: the oldest claim. The others are told who has it.
//
// The hostnames of the load balancers themselves are in the zone elb.internal, which
// belongs to this package: everyone may resolve those of external load balancers, and
// clients inside those of internal ones too.
package dns

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
)

// HostnameZone is the zone of the load balancers' own hostnames. No other zone may be
// it or lie in it.
const HostnameZone = "elb.internal"

// TTL is the time in seconds that an answer may be kept, as clouds have it for their
// load balancers.
const TTL = 60

// Kind says who may ask a zone.
type Kind string

// The kinds of zones.
const (
	Public  Kind = "public"
	Private Kind = "private"
)

// Zone is one zone. Its Name is lower case, without trailing dot.
type Zone struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
}

// String returns the zone as it is written in a flag: name=kind.
func (z Zone) String() string { return z.Name + "=" + string(z.Kind) }

// Contains reports whether a name is the zone's apex or lies below it.
func (z Zone) Contains(name string) bool { return below(name, z.Name) }

// below reports whether name is zone or ends in it, label by label.
func below(name, zone string) bool {
	return name == zone || strings.HasSuffix(name, zone) && name[len(name)-len(zone)-1] == '.'
}

// compareZones orders zones by name, public before private.
func compareZones(a, b Zone) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), -cmp.Compare(a.Kind, b.Kind))
}

// Record is all values of one name and type.
type Record struct {
	Name   string   `json:"name"` // lower case, without trailing dot; the first label may be "*"
	Type   string   `json:"type"` // "A", "AAAA"
	TTL    uint32   `json:"ttl"`
	Values []string `json:"values"` // sorted
	Owner  string   `json:"owner"`  // who wrote it: see Rules
	For    string   `json:"for"`    // namespace/name of the Service it was written for
}

// compareRecords orders records by name and type.
func compareRecords(a, b Record) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type))
}

// equal reports whether two records say the same.
func equal(a, b Record) bool {
	return a.Name == b.Name && a.Type == b.Type && a.TTL == b.TTL && a.Owner == b.Owner && a.For == b.For && slices.Equal(a.Values, b.Values)
}

// ZoneRecords are the records that a zone should have, sorted by name and type.
type ZoneRecords struct {
	Zone    Zone     `json:"zone"`
	Records []Record `json:"records"`
}

// Alias is what a name may stand for: a load balancer.
type Alias struct {
	Hostname  string
	Addresses []netip.Addr
	Internal  bool
}

// Provider holds the records of zones.
type Provider interface {
	// Records returns the records that the zone has now, of every owner.
	Records(ctx context.Context, zone Zone) ([]Record, error)
	// Apply carries changes out: all of them or, with an error, as many as it can.
	Apply(ctx context.Context, zone Zone, changes Changes) error
}
