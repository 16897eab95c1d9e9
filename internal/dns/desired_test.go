package dns_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pierhead/pierhead/internal/dns"
	"github.com/pierhead/pierhead/internal/model"
)

// aliases are two load balancers: ext is external, int is internal.
var aliases = map[string]dns.Alias{
	"default/ext": {Hostname: "a1-1.local.elb.internal", Addresses: addrs("127.80.0.1")},
	"default/two": {Hostname: "a2-1.local.elb.internal", Addresses: addrs("127.80.0.2")},
	"default/int": {Hostname: "internal-a3-1.local.elb.internal", Addresses: addrs("127.81.0.1"), Internal: true},
}

func addrs(s ...string) []netip.Addr {
	var out []netip.Addr
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// claim is the claim of default/<service> for a name.
func claim(name, service string) model.NameClaim {
	return model.NameClaim{Name: name, LoadBalancer: "default/" + service, Origin: model.Origin{Kind: "Service", Namespace: "default", Name: service}}
}

func zones(t *testing.T, names ...string) []dns.Zone {
	t.Helper()
	var out []dns.Zone
	for _, n := range names {
		z, err := dns.ParseZone(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, z)
	}
	if err := dns.CheckZones(out); err != nil {
		t.Fatal(err)
	}
	return out
}

// lines prints records as "zone name type values", without those of the hostnames.
func lines(all []dns.ZoneRecords) []string {
	var out []string
	for _, z := range all {
		if z.Zone.Name == dns.HostnameZone {
			continue
		}
		for _, r := range z.Records {
			out = append(out, fmt.Sprintf("%s %s %s %s", z.Zone, r.Name, r.Type, strings.Join(r.Values, ",")))
		}
	}
	return out
}

func TestDesiredZoneRule(t *testing.T) {
	for _, c := range []struct {
		name     string
		zones    []string
		claims   []model.NameClaim
		want     []string
		problems []string // "severity service: part of the reason"
	}{
		{
			name:   "the 2017 workflow: one external Service, a public and a private name",
			claims: []model.NameClaim{claim("nodejs-app-external.encompasshost.com", "ext"), claim("nodejs-app.tftest.encompasshost.internal", "ext")},
			want: []string{
				"encompasshost.com=public nodejs-app-external.encompasshost.com A 127.80.0.1",
				"encompasshost.internal=private nodejs-app.tftest.encompasshost.internal A 127.80.0.1",
			},
		},
		{
			name:   "split horizon: one name, another answer inside",
			zones:  []string{"example.com=public", "example.com=private"},
			claims: []model.NameClaim{claim("app.example.com", "ext"), claim("app.example.com", "int")},
			want:   []string{"example.com=public app.example.com A 127.80.0.1", "example.com=private app.example.com A 127.81.0.1"},
		},
		{
			name:   "split horizon does not depend on who was first",
			zones:  []string{"example.com=public", "example.com=private"},
			claims: []model.NameClaim{claim("app.example.com", "int"), claim("app.example.com", "ext")},
			want:   []string{"example.com=public app.example.com A 127.80.0.1", "example.com=private app.example.com A 127.81.0.1"},
		},
		{
			name:   "a private zone hides the public one, so public names are in it too",
			zones:  []string{"example.com=public", "example.com=private"},
			claims: []model.NameClaim{claim("app.example.com", "ext"), claim("db.example.com", "int")},
			want: []string{
				"example.com=public app.example.com A 127.80.0.1",
				"example.com=private app.example.com A 127.80.0.1",
				"example.com=private db.example.com A 127.81.0.1",
			},
		},
		{
			name:     "an internal load balancer with a public zone only",
			zones:    []string{"example.com=public"},
			claims:   []model.NameClaim{claim("db.example.com", "int")},
			want:     []string{"example.com=public db.example.com A 127.81.0.1"},
			problems: []string{"info int: only the public zone example.com contains the name"},
		},
		{
			name:  "the most specific zone of the kind has the name",
			zones: []string{"example.com", "dev.example.com", "xdev.example.com"},
			claims: []model.NameClaim{claim("a.dev.example.com", "ext"), claim("dev.example.com", "ext"),
				claim("devs.example.com", "ext"), claim("example.com", "two")},
			want: []string{
				"dev.example.com=public a.dev.example.com A 127.80.0.1",
				"dev.example.com=public dev.example.com A 127.80.0.1",
				"example.com=public devs.example.com A 127.80.0.1",
				"example.com=public example.com A 127.80.0.2",
			},
		},
		{
			name:     "no zone: a suffix that is not a whole label does not count",
			zones:    []string{"example.com"},
			claims:   []model.NameClaim{claim("www.myexample.com", "ext")},
			problems: []string{"error ext: the name is in no zone"},
		},
		{
			name:     "one owner: the oldest claim",
			claims:   []model.NameClaim{claim("app.example.com", "two"), claim("app.example.com", "ext"), claim("app.example.com", "two")},
			want:     []string{"example.com=public app.example.com A 127.80.0.2"},
			problems: []string{"error ext: the name belongs to Service default/two in the public zone example.com"},
		},
		{
			name:     "a Service without a load balancer holds no name",
			claims:   []model.NameClaim{claim("app.example.com", "none"), claim("app.example.com", "ext")},
			want:     []string{"example.com=public app.example.com A 127.80.0.1"},
			problems: []string{"warning none: Service default/none has no load balancer address"},
		},
		{
			name:   "wildcards",
			claims: []model.NameClaim{claim("*.example.co.uk", "ext"), claim("*.lan.example.test", "int")},
			want:   []string{"example.co.uk=public *.example.co.uk A 127.80.0.1", "example.test=private *.lan.example.test A 127.81.0.1"},
		},
		{
			name:     "a public suffix is nobody's zone, and neither is a single label",
			claims:   []model.NameClaim{claim("co.uk", "ext"), claim("nodejs-app", "two")},
			problems: []string{"error ext: the name is in no zone", "error two: the name is in no zone"},
		},
		{
			name:     "the zone of the hostnames is taken",
			zones:    []string{"internal"},
			claims:   []model.NameClaim{claim("app.elb.internal", "ext")},
			problems: []string{"error ext: the zone elb.internal holds the hostnames"},
		},
		{
			name:     "names that cannot be records",
			zones:    []string{"example.com"},
			claims:   []model.NameClaim{claim("a..example.com", "ext"), claim("bücher.example.com", "int"), claim("a.*.example.com", "two")},
			problems: []string{"error ext: two dots follow", "error int: the label \"bücher\" is not ASCII", "error two: the label \"*\" has the character"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			zs := zones(t, c.zones...)
			if zs == nil {
				zs = dns.AutoZones(c.claims)
			}
			got, problems := dns.Desired(c.claims, aliases, zs)
			if diff := cmp.Diff(c.want, lines(got)); diff != "" {
				t.Error(diff)
			}
			if len(problems) != len(c.problems) {
				t.Fatalf("%d problems, want %d: %v", len(problems), len(c.problems), problems)
			}
			slices.SortFunc(problems, func(a, b model.Problem) int { return strings.Compare(a.Origin.Name, b.Origin.Name) })
			for i, p := range problems {
				severity, rest, _ := strings.Cut(c.problems[i], " ")
				service, reason, _ := strings.Cut(rest, ": ")
				if p.Severity.String() != severity || p.Origin.Name != service || !strings.Contains(p.Reason, reason) {
					t.Errorf("problem %v, want %q", p, c.problems[i])
				}
			}
		})
	}
}

func TestDesiredAddressesOfBothFamilies(t *testing.T) {
	both := map[string]dns.Alias{"default/ext": {Hostname: "a1.local.elb.internal", Addresses: addrs("127.80.0.9", "fd00::2", "::ffff:127.80.0.3", "fd00::1", "127.80.0.9")}}
	claims := []model.NameClaim{claim("app.example.com", "ext")}
	got, _ := dns.Desired(claims, both, dns.AutoZones(claims))
	want := []string{"example.com=public app.example.com A 127.80.0.3,127.80.0.9", "example.com=public app.example.com AAAA fd00::1,fd00::2"}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Error(diff)
	}
}

func TestDesiredHostnames(t *testing.T) {
	got, _ := dns.Desired(nil, aliases, nil)
	var out []string
	for _, z := range got {
		for _, r := range z.Records {
			out = append(out, z.Zone.String()+" "+r.Name)
		}
	}
	want := []string{
		"elb.internal=public a1-1.local.elb.internal",
		"elb.internal=public a2-1.local.elb.internal",
		"elb.internal=private a1-1.local.elb.internal",
		"elb.internal=private a2-1.local.elb.internal",
		"elb.internal=private internal-a3-1.local.elb.internal",
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
}

// The order of claims for different names does not reach the output; that of claims
// for one name is their age.
func TestDesiredShuffled(t *testing.T) {
	services := []string{"ext", "two", "int", "none"}
	groups := [][]model.NameClaim{}
	for i := range 60 {
		name := fmt.Sprintf("app-%d.zone-%d.com", i, i%7)
		var g []model.NameClaim
		for j := range 1 + i%3 {
			g = append(g, claim(name, services[(i+j)%len(services)]))
		}
		groups = append(groups, g)
	}
	print := func() string {
		claims := slices.Concat(groups...)
		records, problems := dns.Desired(claims, aliases, dns.AutoZones(claims))
		b, err := json.Marshal([]any{records, problems})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := print()
	for range 10 {
		rand.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
		if diff := cmp.Diff(want, print()); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestParseZone(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{in: "example.com", want: "example.com=public"},
		{in: "Example.COM.", want: "example.com=public"},
		{in: "encompasshost.internal", want: "encompasshost.internal=private"},
		{in: "home.arpa", want: "home.arpa=private"},
		{in: "corp.lan", want: "corp.lan=private"},
		{in: "me.github.io", want: "me.github.io=public"},
		{in: "example.com=private", want: "example.com=private"},
		{in: "x.internal=public", want: "x.internal=public"},
		{in: "example.com=both", err: `kind "both" is not known; it must be public or private`},
		{in: "example.com=", err: `kind "" is not known`},
		{in: "=public", err: "the name is empty"},
		{in: "*.example.com", err: "a zone has no wildcard"},
		{in: "exa mple.com", err: "has the character ' '"},
	} {
		z, err := dns.ParseZone(c.in)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), c.in) {
				t.Errorf("%q: error %v, want %q", c.in, err, c.err)
			}
		case err != nil || z.String() != c.want:
			t.Errorf("%q: %v %v, want %s", c.in, z, err, c.want)
		}
	}
}

func TestCheckZones(t *testing.T) {
	for _, c := range []struct {
		zones []string
		err   string
	}{
		{zones: []string{"example.com", "example.com=private", "dev.example.com"}},
		{zones: []string{"example.com", "example.org", "EXAMPLE.com=public"}, err: `"example.com=public" overlaps itself`},
		{zones: []string{"internal", "x.elb.internal"}, err: `"x.elb.internal=private" overlaps zone "elb.internal"`},
	} {
		var zs []dns.Zone
		for _, s := range c.zones {
			z, err := dns.ParseZone(s)
			if err != nil {
				t.Fatal(err)
			}
			zs = append(zs, z)
		}
		err := dns.CheckZones(zs)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%v: %v, want %q", c.zones, err, c.err)
		}
	}
}
