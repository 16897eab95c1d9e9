package dns_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pierhead/pierhead/internal/dns"
)

// record reads "name type value[,value] [owner]".
func record(s string) dns.Record {
	f := strings.Fields(s)
	r := dns.Record{Name: f[0], Type: f[1], TTL: dns.TTL, Values: strings.Split(f[2], ","), Owner: dns.Owner}
	if len(f) > 3 {
		r.Owner = f[3]
	}
	return r
}

func records(lines ...string) []dns.Record {
	var out []dns.Record
	for _, s := range lines {
		out = append(out, record(s))
	}
	return out
}

func TestPlan(t *testing.T) {
	current := records(
		"gone.example.com A 127.80.0.1",
		"kept.example.com A 127.80.0.1",
		"moved.example.com A 127.80.0.1",
		"theirs.example.com A 192.0.2.1 somebody",
		"alias.example.com CNAME other.example.com somebody",
		"beside.example.com TXT text somebody",
	)
	desired := records(
		"kept.example.com A 127.80.0.1",
		"moved.example.com A 127.80.0.2",
		"new.example.com A 127.80.0.1",
		"new.example.com AAAA fd00::1",
		"theirs.example.com A 127.80.0.1",
		"alias.example.com A 127.80.0.1",
		"beside.example.com A 127.80.0.1",
	)
	want := dns.Changes{
		Creates: records("beside.example.com A 127.80.0.1", "new.example.com A 127.80.0.1", "new.example.com AAAA fd00::1"),
		Updates: []dns.Replacement{{Old: record("moved.example.com A 127.80.0.1"), New: record("moved.example.com A 127.80.0.2")}},
		Deletes: records("gone.example.com A 127.80.0.1"),
		Blocked: []dns.Blocked{
			{Desired: record("alias.example.com A 127.80.0.1"), By: record("alias.example.com CNAME other.example.com somebody")},
			{Desired: record("theirs.example.com A 127.80.0.1"), By: record("theirs.example.com A 192.0.2.1 somebody")},
		},
	}
	for range 5 {
		if diff := cmp.Diff(want, dns.Plan(current, desired, dns.Rules{})); diff != "" {
			t.Fatal(diff)
		}
		rand.Shuffle(len(current), func(i, j int) { current[i], current[j] = current[j], current[i] })
		rand.Shuffle(len(desired), func(i, j int) { desired[i], desired[j] = desired[j], desired[i] })
	}
}

func TestPlanOfAnotherOwnerTouchesNothingOfOurs(t *testing.T) {
	c := dns.Plan(records("a.example.com A 127.80.0.1"), nil, dns.Rules{Owner: "another"})
	if !c.Empty() {
		t.Errorf("changes %+v", c)
	}
}

func TestPlanSeesEveryField(t *testing.T) {
	old := record("a.example.com A 127.80.0.1")
	ttl, service := old, old
	ttl.TTL, service.For = 5, "default/other"
	for _, now := range []dns.Record{ttl, service} {
		if c := dns.Plan([]dns.Record{old}, []dns.Record{now}, dns.Rules{}); len(c.Updates) != 1 {
			t.Errorf("%+v: changes %+v", now, c)
		}
	}
	if c := dns.Plan([]dns.Record{old}, []dns.Record{old}, dns.Rules{}); !c.Empty() {
		t.Errorf("nothing changed: %+v", c)
	}
}

// memory is a provider that fails for one zone.
type memory struct {
	zones  map[string][]dns.Record
	broken string
}

func (m *memory) Records(_ context.Context, z dns.Zone) ([]dns.Record, error) {
	return m.zones[z.String()], nil
}

func (m *memory) Apply(_ context.Context, z dns.Zone, c dns.Changes) error {
	if z.Name == m.broken {
		return errors.New("no such zone")
	}
	m.zones[z.String()] = c.Creates
	return nil
}

func TestPublishGoesOnAfterAZoneThatFails(t *testing.T) {
	m := &memory{zones: map[string][]dns.Record{}, broken: "b.com"}
	var all []dns.ZoneRecords
	for _, n := range []string{"a.com", "b.com", "c.com"} {
		all = append(all, dns.ZoneRecords{Zone: dns.Zone{Name: n, Kind: dns.Public}, Records: records("x." + n + " A 127.80.0.1")})
	}
	changes, err := dns.Publish(t.Context(), m, all, dns.Rules{})
	if err == nil || !strings.Contains(err.Error(), `zone "b.com=public"`) {
		t.Errorf("error %v", err)
	}
	if len(m.zones["a.com=public"]) != 1 || len(m.zones["c.com=public"]) != 1 || len(changes) != 3 {
		t.Errorf("zones %v, changes %v", m.zones, changes)
	}
	m.broken = ""
	if _, err := dns.Publish(t.Context(), m, all, dns.Rules{}); err != nil || len(m.zones["b.com=public"]) != 1 {
		t.Errorf("second time: %v %v", err, m.zones)
	}
}
