package dns

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Owner is the owner of the records that Desired makes.
const Owner = "pierhead"

// Rules say what Plan may do.
type Rules struct {
	Owner string // only records of this owner are replaced and deleted; "": Owner
}

// Changes turn the records of a zone into the desired ones. Each list is sorted by
// name and type.
type Changes struct {
	Creates []Record
	Updates []Replacement
	Deletes []Record
	Blocked []Blocked // what is desired and not done
}

// Replacement is a record with another value or TTL.
type Replacement struct{ Old, New Record }

// Blocked is a desired record that somebody else's record stands in the way of.
type Blocked struct{ Desired, By Record }

// Empty reports whether there is nothing to do.
func (c Changes) Empty() bool {
	return len(c.Creates) == 0 && len(c.Updates) == 0 && len(c.Deletes) == 0
}

// recordKey is what a record is found by.
type recordKey struct{ name, kind string }

// Plan compares the records of one zone. Whose a record is counts last: records of
// other owners are never replaced or deleted, and a desired record that meets one is
// Blocked.
func Plan(current, desired []Record, rules Rules) Changes {
	owner := rules.Owner
	if owner == "" {
		owner = Owner
	}
	there := map[recordKey]Record{}
	for _, r := range current {
		there[recordKey{r.Name, r.Type}] = r
	}
	var c Changes
	wanted := map[recordKey]bool{}
	for _, want := range desired {
		k := recordKey{want.Name, want.Type}
		if wanted[k] {
			continue
		}
		wanted[k] = true
		has, ok := there[k]
		switch by, stands := foreign(current, want, owner); {
		case stands:
			c.Blocked = append(c.Blocked, Blocked{Desired: want, By: by})
		case !ok:
			c.Creates = append(c.Creates, want)
		case !equal(has, want):
			c.Updates = append(c.Updates, Replacement{Old: has, New: want})
		}
	}
	for _, r := range current {
		if !wanted[recordKey{r.Name, r.Type}] && r.Owner == owner {
			c.Deletes = append(c.Deletes, r)
		}
	}
	slices.SortFunc(c.Creates, compareRecords)
	slices.SortFunc(c.Updates, func(a, b Replacement) int { return compareRecords(a.New, b.New) })
	slices.SortFunc(c.Deletes, compareRecords)
	slices.SortFunc(c.Blocked, func(a, b Blocked) int { return compareRecords(a.Desired, b.Desired) })
	return c
}

// foreign returns the record of another owner that a desired one cannot stand beside:
// one of the same name and type, or a CNAME where anything else is wanted, or
// anything else where a CNAME is.
func foreign(current []Record, want Record, owner string) (Record, bool) {
	for _, r := range current {
		if r.Name == want.Name && r.Owner != owner && (r.Type == want.Type || r.Type == "CNAME" || want.Type == "CNAME") {
			return r, true
		}
	}
	return Record{}, false
}

// Publish brings every zone of a provider to its desired records. A zone that fails
// does not stop the others. The changes are those of the zones in their order; where
// a zone failed, they were planned and perhaps not carried out.
func Publish(ctx context.Context, p Provider, zones []ZoneRecords, rules Rules) ([]Changes, error) {
	out := make([]Changes, len(zones))
	var errs []error
	for i, z := range zones {
		current, err := p.Records(ctx, z.Zone)
		if err != nil {
			errs = append(errs, fmt.Errorf("zone %q: records cannot be read: %w", z.Zone, err))
			continue
		}
		out[i] = Plan(current, z.Records, rules)
		if out[i].Empty() {
			continue
		}
		if err := p.Apply(ctx, z.Zone, out[i]); err != nil {
			errs = append(errs, fmt.Errorf("zone %q: changes cannot be applied: %w", z.Zone, err))
		}
	}
	return out, errors.Join(errs...)
}
