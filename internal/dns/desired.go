package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// field is where a claim was written, for its Problems.
const field = "metadata.annotations[domainName]"

// Desired returns the records of every zone, sorted, those of HostnameZone included,
// and what is wrong with claims. A zone without records is there too. Of the claims
// for one name the first is the oldest; otherwise their order does not count. A claim
// whose Service has no load balancer holds no name. The aliases are by namespace/name
// of their Service.
func Desired(claims []model.NameClaim, aliases map[string]Alias, zones []Zone) ([]ZoneRecords, []model.Problem) {
	d := desirer{aliases: aliases, zones: zones, records: map[Zone][]Record{}}
	claims = slices.Clone(claims)
	slices.SortStableFunc(claims, func(a, b model.NameClaim) int { return strings.Compare(a.Name, b.Name) })
	for len(claims) > 0 {
		n := 1
		for n < len(claims) && claims[n].Name == claims[0].Name {
			n++
		}
		d.name(claims[:n])
		claims = claims[n:]
	}
	hostnames := d.hostnames()
	all := slices.Concat(zones, hostnames)
	slices.SortFunc(all, compareZones)
	all = slices.Compact(all)
	out := make([]ZoneRecords, 0, len(all))
	for _, z := range all {
		records := d.records[z]
		slices.SortFunc(records, compareRecords)
		out = append(out, ZoneRecords{Zone: z, Records: records})
	}
	return out, model.SortProblems(d.problems)
}

// desirer is one run of Desired.
type desirer struct {
	aliases  map[string]Alias
	zones    []Zone
	records  map[Zone][]Record
	problems []model.Problem
}

// name decides about the claims for one name, the oldest first.
func (d *desirer) name(claims []model.NameClaim) {
	name := claims[0].Name
	if reason := invalidName(name); reason != "" {
		for _, c := range claims {
			d.problem(c, model.Error, reason+"; no record is written", "correct the name")
		}
		return
	}
	owners := map[Zone]model.NameClaim{}
	var order []Zone // the zones of owners, in the order of the claims
	for _, c := range claims {
		alias, ok := d.aliases[c.LoadBalancer]
		if !ok || len(alias.Addresses) == 0 {
			d.problem(c, model.Warning, fmt.Sprintf("Service %s has no load balancer address; no record is written", c.LoadBalancer),
				"make the Service one of type LoadBalancer, or see its own problems")
			continue
		}
		zone, ok := d.zone(name, alias.Internal)
		if !ok {
			d.noZone(c)
			continue
		}
		if winner, taken := owners[zone]; taken {
			if winner.LoadBalancer != c.LoadBalancer {
				d.problem(c, model.Error,
					fmt.Sprintf("the name belongs to %s in the %s zone %s, whose claim is older; no record is written", winner.Origin, zone.Kind, zone.Name),
					"choose another name, or remove it there")
			}
			continue
		}
		owners[zone] = c
		order = append(order, zone)
		if alias.Internal && zone.Kind == Public {
			d.problem(c, model.Info, fmt.Sprintf("the load balancer is internal, but only the public zone %s contains the name: everyone may read its address there", zone.Name),
				"add a private zone with --dns-zone "+zone.Name+"=private")
		}
	}
	for _, zone := range order {
		c := owners[zone]
		d.add(zone, name, c.LoadBalancer, d.aliases[c.LoadBalancer].Addresses)
		if zone.Kind != Public || d.aliases[c.LoadBalancer].Internal {
			continue
		}
		hiding, ok := best(d.zones, Private, name)
		if _, taken := owners[hiding]; ok && !taken {
			d.add(hiding, name, c.LoadBalancer, d.aliases[c.LoadBalancer].Addresses)
		}
	}
}

// zone returns the zone that a claim counts in: rules 1 and 2 of the package.
func (d *desirer) zone(name string, internal bool) (Zone, bool) {
	if below(name, HostnameZone) {
		return Zone{}, false
	}
	first, second := Public, Private
	if internal {
		first, second = Private, Public
	}
	if z, ok := best(d.zones, first, name); ok {
		return z, true
	}
	return best(d.zones, second, name)
}

// noZone tells a claim that there is no zone for it.
func (d *desirer) noZone(c model.NameClaim) {
	if below(c.Name, HostnameZone) {
		d.problem(c, model.Error, fmt.Sprintf("the zone %s holds the hostnames of the load balancers; no record is written", HostnameZone), "choose a name of another zone")
		return
	}
	suggestion := strings.TrimPrefix(c.Name, "*.")
	if _, parent, ok := strings.Cut(suggestion, "."); ok && strings.Contains(parent, ".") {
		suggestion = parent
	}
	d.problem(c, model.Error, "the name is in no zone; no record is written", "add its zone, such as --dns-zone "+suggestion)
}

// hostnames adds the hostnames of the load balancers themselves and returns their
// zones. The private one is always there: otherwise a private zone above it, such as
// "internal", would hide the public one from clients inside.
func (d *desirer) hostnames() []Zone {
	zones := []Zone{{HostnameZone, Public}, {HostnameZone, Private}}
	for key, a := range d.aliases {
		if !below(a.Hostname, HostnameZone) {
			continue
		}
		for _, z := range zones {
			if z.Kind == Private || !a.Internal {
				d.add(z, a.Hostname, key, a.Addresses)
			}
		}
	}
	return zones
}

// add writes the addresses of a name to a zone.
func (d *desirer) add(zone Zone, name, service string, addresses []netip.Addr) {
	addresses = slices.Clone(addresses)
	for i := range addresses {
		addresses[i] = addresses[i].Unmap().WithZone("")
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	addresses = slices.Compact(addresses)
	a := Record{Name: name, Type: "A", TTL: TTL, Owner: Owner, For: service}
	aaaa := a
	aaaa.Type = "AAAA"
	for _, addr := range addresses {
		if addr.Is4() {
			a.Values = append(a.Values, addr.String())
		} else {
			aaaa.Values = append(aaaa.Values, addr.String())
		}
	}
	for _, r := range []Record{a, aaaa} {
		if len(r.Values) > 0 {
			d.records[zone] = append(d.records[zone], r)
		}
	}
}

// problem notes what is wrong with a claim.
func (d *desirer) problem(c model.NameClaim, s model.Severity, reason, remedy string) {
	d.problems = append(d.problems, model.Problem{Origin: c.Origin, Field: field, Value: c.Name, Reason: reason, Remedy: remedy, Severity: s})
}
