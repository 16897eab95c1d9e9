package dns

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/pierhead/pierhead/internal/model"
)

// ParseZone reads NAME or NAME=public or NAME=private. Without a kind the zone is
// private when its top-level domain is none of the public ones, such as "internal".
func ParseZone(s string) (Zone, error) {
	name, kind, given := strings.Cut(s, "=")
	z := Zone{Name: strings.ToLower(strings.Trim(strings.TrimSpace(name), ".")), Kind: Kind(strings.TrimSpace(kind))}
	if reason := invalidName(z.Name); reason != "" {
		return Zone{}, fmt.Errorf("zone %q: %s; it must be a name such as example.com", s, reason)
	}
	if strings.Contains(z.Name, "*") {
		return Zone{}, fmt.Errorf("zone %q: a zone has no wildcard; it must be a name such as example.com", s)
	}
	if !given {
		z.Kind = kindOf(z.Name)
	}
	if z.Kind != Public && z.Kind != Private {
		return Zone{}, fmt.Errorf("zone %q: kind %q is not known; it must be public or private", s, kind)
	}
	return z, nil
}

// CheckZones reports zones that cannot stand together: the same one twice, and
// one that overlaps the zone of the load balancers' hostnames. A zone inside another
// is no error: the most specific one has the name.
func CheckZones(zones []Zone) error {
	for i, z := range zones {
		if below(z.Name, HostnameZone) {
			return fmt.Errorf("zone %q overlaps zone %q, which holds the hostnames of the load balancers", z, HostnameZone)
		}
		if slices.Contains(zones[:i], z) {
			return fmt.Errorf("zone %q overlaps itself: it is given twice; a name may be given once as public and once as private", z)
		}
	}
	return nil
}

// AutoZones returns one zone for each registrable domain that names are claimed in:
// public for those of the public suffix list, and private for the last two labels of
// names below other top-level domains. Names that have no registrable domain, such as
// a single label, make no zone.
func AutoZones(claims []model.NameClaim) []Zone {
	var zones []Zone
	for _, c := range claims {
		if invalidName(c.Name) != "" || below(c.Name, HostnameZone) {
			continue
		}
		base := strings.TrimPrefix(c.Name, "*.")
		if name, err := publicsuffix.EffectiveTLDPlusOne(base); err == nil {
			zones = append(zones, Zone{Name: name, Kind: kindOf(name)})
		}
	}
	slices.SortFunc(zones, compareZones)
	return slices.Compact(zones)
}

// kindOf returns the kind of zone that a name would have by itself. The public suffix
// list names every top-level domain of the Internet; a suffix that is not on it and
// has no dot is somebody's own. home.arpa is on it, but for homes (RFC 8375).
func kindOf(name string) Kind {
	suffix, icann := publicsuffix.PublicSuffix(name)
	if !icann && !strings.Contains(suffix, ".") || below(name, "home.arpa") {
		return Private
	}
	return Public
}

// best returns the most specific zone of a kind that contains the name.
func best(zones []Zone, kind Kind, name string) (Zone, bool) {
	var found Zone
	for _, z := range zones {
		if z.Kind == kind && z.Contains(name) && len(z.Name) > len(found.Name) {
			found = z
		}
	}
	return found, found.Name != ""
}

// invalidName says why something cannot be the name of a record, or "".
func invalidName(name string) string {
	if name == "" {
		return "the name is empty"
	}
	if len(name) > 253 {
		return fmt.Sprintf("the name has %d bytes, more than 253", len(name))
	}
	for i, label := range strings.Split(name, ".") {
		switch {
		case label == "":
			return "two dots follow each other, or the name begins or ends with one"
		case len(label) > 63:
			return fmt.Sprintf("the label %q has %d bytes, more than 63", label, len(label))
		case label == "*" && i == 0:
			continue
		case label[0] == '-' || label[len(label)-1] == '-':
			return fmt.Sprintf("the label %q begins or ends with a hyphen", label)
		}
		for _, r := range label {
			switch {
			case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-', r == '_':
			case r > 127:
				return fmt.Sprintf("the label %q is not ASCII; write it in its xn-- form", label)
			default:
				return fmt.Sprintf("the label %q has the character %q; allowed are a-z, 0-9, - and _, and * alone as first label", label, r)
			}
		}
	}
	return ""
}
