//go:build !race

// What is matched costs the heap nothing. The race detector has sync.Pool, which regular
// expressions are kept in, forget things on purpose.

package routing

import "testing"

func TestMatchAllocations(t *testing.T) {
	hosts := append(manyHosts(100), hostOf("*.wild.example.com", "Regex /a(.*)/b", "Prefix /foo"))
	table := compile(t, hosts...)
	x := newExchange("", "")
	hostBuf, pathBuf := make([]byte, 64), make([]byte, 64)
	for _, c := range [][2]string{
		{"host-50.example.com", "/api/v1/users/7?x=y"},
		{"HOST-50.example.com:80", "/api//v1/../x"},
		{"x.wild.example.com", "/abc/b"},
		{"nobody", "/"},
	} {
		if n := testing.AllocsPerRun(100, func() {
			x.HostName, _, _ = ParseHost(c[0], hostBuf)
			x.Path, x.Query, _ = Normalize(c[1], pathBuf)
			table.Match(x)
		}); n != 0 {
			t.Errorf("matching %s%s allocates %v times", c[0], c[1], n)
		}
	}
}
