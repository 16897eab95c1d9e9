package control

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/loop"
)

// namedService is a load balancer that asks for names in the DNS.
func namedService(name, names string, annotations ...string) string {
	text := "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: " + name + "\n  namespace: default\n  labels: {dns: route53}\n  annotations:\n    domainName: \"" + names + "\"\n"
	for _, a := range annotations {
		text += "    service.beta.kubernetes.io/" + a + "\n"
	}
	return text + "spec: {type: LoadBalancer, ports: [{name: http, port: 2000}]}\n"
}

// digger asks a DNS server by dig.
type digger struct {
	t      testing.TB
	server netip.AddrPort
}

// withDNS starts the DNS server, with a zone for each registrable domain.
func withDNS(o *Options) {
	o.DNSListen = netip.MustParseAddrPort("127.0.0.1:0")
	o.Rules.Zones = nil
}

func (d *digger) dig(args ...string) string {
	d.t.Helper()
	args = append([]string{"@" + d.server.Addr().String(), "-p", fmt.Sprint(d.server.Port()), "+tries=2", "+time=5", "+norecurse"}, args...)
	got := run(d.t, nil, "dig", append([]string{"-r"}, args...)...)
	if got.exit != 0 {
		d.t.Fatalf("dig %q: exit %d\n%s%s", args, got.exit, got.stdout, got.stderr)
	}
	return got.stdout
}

// addresses are the A records of a name, over UDP and TCP alike.
func (d *digger) addresses(name string) []string {
	d.t.Helper()
	udp, tcp := strings.Fields(d.dig("+short", name, "A")), strings.Fields(d.dig("+short", "+tcp", name, "A"))
	if !slices.Equal(udp, tcp) {
		d.t.Errorf("%s: %v over UDP, %v over TCP", name, udp, tcp)
	}
	return udp
}

var digStatus = regexp.MustCompile(`status: (\w+),`)

// status is the response code of a question for a name and type.
func (d *digger) status(name, kind string) string {
	d.t.Helper()
	out := d.dig(name, kind)
	m := digStatus.FindStringSubmatch(out)
	if m == nil || !strings.Contains(out, "flags: qr aa") {
		d.t.Fatalf("not an authoritative answer:\n%s", out)
	}
	return m[1]
}

// addressOf is the address of a load balancer.
func addressOf(st *admin.State, name string) string {
	for _, b := range st.LoadBalancers {
		if b.Name == name {
			return b.Addresses[0]
		}
	}
	return ""
}

// TestPeerDig asks for the names of load balancers while these come and go.
func TestPeerDig(t *testing.T) {
	s := serve(t, loop.DefaultKind(), map[string]string{
		"1-first.yaml": namedService("first", "shop.example.com, .example.com,*.apps.example.com"),
	}, withDNS)
	s.noErrors()
	d := &digger{t, s.DNSAddr()}
	first := addressOf(s.State(), "first")
	same := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	same("name", d.addresses("shop.example.com"), first)
	same("case", d.addresses("ShOp.EXAMPLE.com"), first)
	same("apex", d.addresses("example.com"), first)
	same("wildcard", d.addresses("any.apps.example.com"), first)
	same("hostname", d.addresses(s.State().LoadBalancers[0].Hostname), first)
	for _, x := range []struct{ name, kind, status string }{
		{"shop.example.com", "AAAA", "NOERROR"}, {"shop.example.com", "MX", "NOERROR"}, {"apps.example.com", "A", "NOERROR"},
		{"no.example.com", "A", "NXDOMAIN"}, {"example.com", "SOA", "NOERROR"}, {"example.com", "NS", "NOERROR"},
	} {
		if got := d.status(x.name, x.kind); got != x.status {
			t.Errorf("%s %s: %s, want %s", x.name, x.kind, got, x.status)
		}
	}
	if out := d.dig("www.example.org", "A"); !strings.Contains(out, "status: REFUSED") {
		t.Errorf("a name of nobody's zone:\n%s", out)
	}

	// A second Service wants one of the names and one of its own.
	s.changeAndWait("2-second.yaml", namedService("second", "shop.example.com,second.example.com"))
	second := addressOf(s.State(), "second")
	same("name of the first", d.addresses("shop.example.com"), first)
	same("name of the second", d.addresses("second.example.com"), second)
	if n := s.toldAbout("second", "shop.example.com"); n != 1 {
		t.Errorf("the second Service is told %d times that the name has an owner, want once: %v", n, s.State().Problems)
	}
	serial := d.dig("+short", "example.com", "SOA")

	// The first one loses its label, and then goes.
	s.changeAndWait("1-first.yaml", strings.Replace(namedService("first", "shop.example.com"), "labels: {dns: route53}", "labels: {}", 1))
	same("name that was given up", d.addresses("shop.example.com"), second)
	same("hostname without a name", d.addresses(s.State().LoadBalancers[0].Hostname), first)
	if got := d.status("any.apps.example.com", "A"); got != "NXDOMAIN" {
		t.Errorf("a name that nobody has any more: %s, want NXDOMAIN", got)
	}
	if n := s.toldAbout("second", "shop.example.com"); n != 0 {
		t.Errorf("the second Service has the name and is told otherwise: %v", s.State().Problems)
	}
	if now := d.dig("+short", "example.com", "SOA"); now == serial {
		t.Errorf("the SOA record is the same after a change: %s", now)
	}
	hostname := s.State().LoadBalancers[0].Hostname
	s.changeAndWait("1-first.yaml", "")
	if got := d.status(hostname, "A"); got != "NXDOMAIN" {
		t.Errorf("the hostname of a load balancer that is gone: %s, want NXDOMAIN", got)
	}
	same("name of the second", d.addresses("second.example.com"), second)

	// A zone goes with its last name.
	s.changeAndWait("2-second.yaml", namedService("second", "second.example.org"))
	same("name in another zone", d.addresses("second.example.org"), second)
	if out := d.dig("second.example.com", "A"); !strings.Contains(out, "status: REFUSED") {
		t.Errorf("a zone that nobody has names in:\n%s", out)
	}

	// An internal one is not told to the world, but to clients here.
	s.changeAndWait("3-third.yaml", namedService("third", "third.corp.internal", `aws-load-balancer-internal: "0.0.0.0/0"`))
	same("internal", d.addresses("third.corp.internal"), addressOf(s.State(), "third"))
}

// toldAbout counts the problems of a Service that tell it who has a name.
func (s *served) toldAbout(service, name string) (n int) {
	for _, p := range s.State().Problems {
		if p.Origin.Name == service && p.Value == name && strings.Contains(p.Reason, "belongs to Service default/first") {
			n++
		}
	}
	return n
}
