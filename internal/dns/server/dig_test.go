package server

import (
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// dig runs the real one against a server, from a source address if one is given.
func dig(t *testing.T, s *Server, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("dig")
	if err != nil {
		t.Fatal("dig is not installed; this test asks the server with it: apt-get install bind9-dnsutils, or brew install bind")
	}
	at := netip.AddrPortFrom(s.Addr().Addr(), s.Addr().Port())
	args = append([]string{"@" + at.Addr().String(), "-p", strconv.Itoa(int(at.Port())), "+time=3", "+tries=1"}, args...)
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("dig %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestDig(t *testing.T) {
	s := start(t, zoneFile+many(300))
	for _, c := range []struct {
		args string
		want []string // all in the output
		not  string   // not in the output
	}{
		{"+short example.net", []string{"127.80.0.10\n"}, "; "},
		{"+short +tcp example.net", []string{"127.80.0.10\n"}, "; "},
		{"example.net AAAA", []string{"status: NOERROR", "ANSWER: 0, AUTHORITY: 1", "flags: qr aa rd;", "SOA\tns.example.net."}, ""},
		{"none.example.net", []string{"status: NXDOMAIN", "AUTHORITY: 1"}, ""},
		{"example.net NS", []string{"NS\tns.example.net.", "A\t127.0.0.1"}, ""},
		{"example.net SOA", []string{"ns.example.net. hostmaster.example.net."}, ""},
		{"+short ns.example.net", []string{"127.0.0.1\n"}, "; "},
		{"+noall +answer eXaMpLe.neT", []string{"eXaMpLe.neT."}, ""},
		{"example.org", []string{"status: REFUSED"}, ""},
		{"-b 127.0.0.2 +notcp example.net ANY", []string{"status: NOERROR", "ANSWER: 1,"}, ""},
		{"+opcode=UPDATE example.net", []string{"status: NOTIMP"}, ""},
		{"+edns=1 +noednsneg example.net", []string{"status: BADVERS"}, ""},
		{"-c CH version.bind TXT", []string{"status: REFUSED"}, ""},
		{"example.net AXFR", []string{"; Transfer failed."}, ""},
		// Views.
		{"+short app.corp.internal", []string{"127.81.0.1\n"}, ""},
		{"-b 127.0.0.2 app.corp.internal", []string{"status: REFUSED"}, "127.81.0.1"},
		{"+short split.example.com", []string{"127.81.0.6\n"}, "127.80.0.6"},
		{"-b 127.0.0.2 +short split.example.com", []string{"127.80.0.6\n"}, "127.81.0.6"},
		{"-b 127.0.0.2 +short any.depth.wild.example.com", []string{"127.80.0.4\n"}, ""},
		{"+short a0-1.local.elb.internal", []string{"127.80.0.8\n"}, ""},
		// What is too large comes again over TCP.
		{"-b 127.0.0.2 +ignore many.example.com", []string{" tc "}, "ANSWER: 300"},
		{"-b 127.0.0.2 many.example.com", []string{"ANSWER: 300", ";; Truncated, retrying in TCP mode.", "(TCP)"}, ""},
		{"-b 127.0.0.2 +bufsize=4096 +ignore many.example.com", []string{"udp: 1232"}, ""},
	} {
		out := dig(t, s, strings.Fields(c.args)...)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("dig %s: %q is not in\n%s", c.args, want, out)
			}
		}
		if c.not != "" && strings.Contains(out, c.not) {
			t.Errorf("dig %s: %q is in\n%s", c.args, c.not, out)
		}
	}
}
