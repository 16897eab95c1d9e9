package exchange

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestStreamFormat(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &Session{
		Protocol: "TCP", Client: netip.MustParseAddrPort("192.0.2.7:4711"), Server: netip.MustParseAddrPort("10.0.0.1:9000"),
		Endpoint: netip.MustParseAddrPort("10.1.0.2:9001"), Status: 200, Begin: begin, End: begin.Add(1234567 * time.Microsecond), In: 5, Out: 70,
	}
	for text, want := range map[string]string{
		DefaultStreamFormat: "[192.0.2.7] [01/Mar/2026:12:00:01 +0000] TCP 200 70 5 1.234\n",
		"${remote_addr}:$remote_port>$server_addr:$server_port>$upstream_addr": "192.0.2.7:4711>10.0.0.1:9000>10.1.0.2:9001\n",
		"$upstream_bytes_sent $upstream_bytes_received $proxy_protocol_addr":   "5 70 -\n",
		"$time_iso8601 $msec": "2026-03-01T12:00:01+00:00 1772366401.234\n",
		"plain":               "plain\n",
	} {
		f, err := ParseStreamFormat(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := string(f.Append(nil, s)); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"$request", "$", "${remote_addr"} {
		if _, err := ParseStreamFormat(text); err == nil || !strings.Contains(err.Error(), "$") {
			t.Errorf("%q: error %v", text, err)
		}
	}
	f, _ := ParseStreamFormat(DefaultStreamFormat)
	line := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { line = f.Append(line[:0], s) }); n != 0 {
		t.Errorf("%v allocations for a line", n)
	}
	if got := string(f.Append(nil, &Session{Protocol: "UDP", Status: 502})); !strings.HasPrefix(got, "[-] [") {
		t.Errorf("a session without client is %q", got)
	}
}
