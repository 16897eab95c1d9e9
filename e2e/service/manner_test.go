package service

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestManner(t *testing.T) {
	client := &net.TCPAddr{IP: net.IPv4(10, 244, 0, 7), Port: 4711}
	for _, test := range []struct {
		name   string
		notes  map[string]string
		ranges []string
		want   manner
		admits bool
	}{
		{"nothing", nil, nil, manner{}, true},
		{"all", map[string]string{proxyNote: "*", idleNote: "1800", rangesNote: "10.244.0.0/16, 192.0.2.0/24"}, nil,
			manner{proxyProtocol: true, idle: 30 * time.Minute}, true},
		{"another range", nil, []string{"192.0.2.0/24"}, manner{}, false},
		{"the field goes before the annotation", map[string]string{rangesNote: "10.0.0.0/8"}, []string{"192.0.2.0/24"}, manner{}, false},
		{"no range", nil, []string{"everybody"}, manner{}, false},
		{"not AWS's values", map[string]string{proxyNote: "true", idleNote: "soon"}, nil, manner{}, true},
	} {
		s := newService("web", "10.96.0.7")
		s.Annotations, s.Spec.LoadBalancerSourceRanges = test.notes, test.ranges
		m := mannerOf(s)
		if m.proxyProtocol != test.want.proxyProtocol || m.idle != test.want.idle || m.admits(client) != test.admits {
			t.Errorf("%s: %+v, admits %t; want %+v, %t", test.name, m, m.admits(client), test.want, test.admits)
		}
	}
}

// pair is a connection's two ends.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		s.Close()
	})
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func TestGreet(t *testing.T) {
	client, server := pair(t)
	var sent bytes.Buffer
	if err := (&manner{proxyProtocol: true}).greet(&sent, server); err != nil {
		t.Fatal(err)
	}
	is := func(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }
	from, to := is(client.LocalAddr()), is(server.LocalAddr())
	want := strings.Join([]string{"PROXY TCP4", from.Addr().String(), to.Addr().String(), portOf(from), portOf(to)}, " ") + "\r\n"
	if sent.String() != want {
		t.Errorf("sent %q, want %q", &sent, want)
	}
	sent.Reset()
	if (&manner{}).greet(&sent, server); sent.Len() > 0 {
		t.Errorf("sent %q without being asked to", &sent)
	}
}

func portOf(a netip.AddrPort) string { return strings.TrimPrefix(a.String(), a.Addr().String()+":") }

// A connection ends when nothing has come from either side for a while, and not before.
func TestBound(t *testing.T) {
	client, a := pair(t)
	server, b := pair(t)
	go join(a, b, manner{idle: 300 * time.Millisecond})
	begin := time.Now()
	buffer := make([]byte, 1)
	for range 5 {
		client.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		client.Read(buffer) // nothing comes: it is a pause
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(server, buffer); err != nil {
			t.Fatalf("ended after %s: %v", time.Since(begin), err)
		}
	}
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	last := time.Now()
	if _, err := client.Read(buffer); err == nil || time.Since(last) > 5*time.Second {
		t.Errorf("after %s of silence: %v", time.Since(last), err)
	}
}

func TestHalves(t *testing.T) {
	b := &Balancer{Prefix: netip.MustParsePrefix("10.97.0.0/24")}
	s := newService("web", "10.96.0.7")
	for want, note := range map[string]string{"10.97.0.1": "", "10.97.0.129": "0.0.0.0/0"} {
		s.Annotations = map[string]string{internalNote: note}
		if a, err := b.choose(s, nil); err != nil || a.String() != want {
			t.Errorf("internal %q: %s %v, want %s", note, a, err, want)
		}
	}
	b.Prefix = netip.MustParsePrefix("10.97.0.1/32")
	if a, err := b.choose(s, nil); err == nil {
		t.Errorf("a prefix of one address gives %s", a)
	}
}
