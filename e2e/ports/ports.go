// Package ports finds ports for programs that tests start.
package ports

import (
	"net"
	"testing"
)

// Free returns n ports of TCP on loopback that nobody uses for the moment.
func Free(t testing.TB, n int) (ports []string) {
	t.Helper()
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		ports = append(ports, port)
	}
	return ports
}
