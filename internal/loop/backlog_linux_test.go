//go:build !arm64

// Not for arm64, where the tests run in an emulator that answers TCP_INFO with zeros.

package loop

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// As many connections may wait to be accepted as the system allows. Of a socket that
// listens TCP_INFO tells that number where it has that of other sockets' lost bytes.
func TestBacklog(t *testing.T) {
	e, err := New(Loops, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Listen(local, func(c *Conn) { c.Close() }); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range e.Descriptors() {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		unix.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
		if want := uint32(min(most, 1<<16-1)); info.Sacked != want {
			t.Errorf("%d connections may wait, want %d", info.Sacked, want)
		}
		return
	}
	t.Error("nothing listens")
}
