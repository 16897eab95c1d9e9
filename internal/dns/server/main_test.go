package server

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/dns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zoneFile is the zones that the tests ask: "zone name type values". Those inside do
// not see the public zones at and below example.com.
const zoneFile = `
	example.com=public       example.com          A     127.80.0.9
	example.com=public       www.example.com      A     127.80.0.1,127.80.0.2
	example.com=public       www.example.com      AAAA  fd00::1
	example.com=public       a.b.c.example.com    A     127.80.0.3
	example.com=public       *.wild.example.com   A     127.80.0.4
	example.com=public       x.y.wild.example.com A     127.80.0.5
	example.com=public       split.example.com    A     127.80.0.6
	example.com=private      split.example.com    A     127.81.0.6
	dev.example.com=public   dev.example.com      A     127.80.0.7
	example.net=public       example.net          A     127.80.0.10
	corp.internal=private    app.corp.internal    A     127.81.0.1
	elb.internal=public      a0-1.local.elb.internal A  127.80.0.8
`

// load fills a server with the lines of a zone file.
func load(t testing.TB, s *Server, file string) {
	t.Helper()
	byZone := map[dns.Zone][]dns.Record{}
	for line := range strings.Lines(strings.TrimSpace(file)) {
		f := strings.Fields(line)
		z, err := dns.ParseZone(f[0])
		if err != nil {
			t.Fatal(err)
		}
		byZone[z] = append(byZone[z], dns.Record{Name: f[1], Type: f[2], TTL: dns.TTL, Values: strings.Split(f[3], ","), Owner: dns.Owner})
	}
	var zones []dns.Zone
	var all []dns.ZoneRecords
	for z, rs := range byZone {
		zones = append(zones, z)
		all = append(all, dns.ZoneRecords{Zone: z, Records: rs})
	}
	if err := s.SetZones(zones); err != nil {
		t.Fatal(err)
	}
	if _, err := dns.Publish(context.Background(), s, all, dns.Rules{}); err != nil {
		t.Fatal(err)
	}
}

// start runs a server for a test. Only 127.0.0.1 is inside.
func start(t testing.TB, file string) *Server {
	t.Helper()
	s := New(Config{Inside: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	load(t, s, file)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// many is a name with more addresses than fit a datagram.
func many(n int) string {
	var values []string
	for i := range n {
		values = append(values, fmt.Sprintf("127.90.%d.%d", i/200, i%200+1))
	}
	return "example.com=public many.example.com A " + strings.Join(values, ",")
}
