package demo

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWriteKeepsChanges: a second run leaves what somebody changed, unless it is asked
// to begin anew; addresses and certificates are always fresh.
func TestWriteKeepsChanges(t *testing.T) {
	dir := t.TempDir()
	at := func(port uint16) *app {
		a := netip.AddrPortFrom(netip.MustParseAddr("127.90.0.1"), port)
		return &app{addrs: []netip.AddrPort{a}, backend: a}
	}
	holds := func(name, text string) bool {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(b), text)
	}
	if err := write(dir, at(1001), true); err != nil {
		t.Fatal(err)
	}
	const ingress = "nodejs-app_ingress_external.yml"
	if err := os.WriteFile(filepath.Join(dir, ingress), []byte("# mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(dir, at(1002), true); err != nil {
		t.Fatal(err)
	}
	if !holds(ingress, "# mine") || !holds("nodejs-app.yml", "port: 1002") || !holds("nginx-default-backend.yml", "port: 1002") {
		t.Error("a second run did not keep the change, or not renew the addresses")
	}
	if err := write(dir, at(1003), false); err != nil {
		t.Fatal(err)
	}
	if holds(ingress, "# mine") {
		t.Error("a run that begins anew kept a change")
	}
}

// TestForeign: a folder with other things in it is not written to.
func TestForeign(t *testing.T) {
	dir := t.TempDir()
	if Foreign(dir) || Foreign(filepath.Join(dir, "new")) {
		t.Error("an empty folder or none counts as foreign")
	}
	if err := os.WriteFile(filepath.Join(dir, "access.log"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if !Foreign(dir) {
		t.Error("a folder with somebody's file does not count as foreign")
	}
	if err := writeCertificate(dir); err != nil {
		t.Fatal(err)
	}
	if Foreign(dir) {
		t.Error("an example of ours counts as foreign")
	}
}
