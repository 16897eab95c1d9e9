// Package lb gives every Service of type LoadBalancer what a cloud would give it: an
// address of its own, a hostname, and for each port the address and port to listen on.
//
// Plan is a pure function from what was given out so far and what is wanted to what
// is given out now. An address is chosen by a hash of namespace and name, and the
// next free one is taken when two Services meet: so it is the same after a restart.
// What a Service has it keeps while it exists, whatever comes and goes beside it.
//
// Machines that have no address but 127.0.0.1 get a port map instead: every port of
// every Service is a port of its own of that one address.
package lb

import (
	"fmt"
	"net/netip"
)

// The ranges that addresses come from when nothing else is said.
var (
	DefaultExternal = netip.MustParsePrefix("127.80.0.0/16")
	DefaultInternal = netip.MustParsePrefix("127.81.0.0/16")
)

// HostnameZone is the zone of the hostnames that Plan makes.
const HostnameZone = "elb.internal"

// The port map gives out the ports from mapFirst to mapLast.
const (
	mapFirst = 30000
	mapLast  = 32767
)

// Rules say what Plan may give out.
type Rules struct {
	External   netip.Prefix // of Services that the world may reach
	Internal   netip.Prefix // of internal ones
	PortOffset uint16       // added to ports below 1024
	PortMap    bool         // only MapAddress is there: give out ports instead of addresses
	MapAddress netip.Addr   // the one address of the port map; 127.0.0.1 when not set
}

// DefaultRules returns the rules of a Linux machine that may bind every port.
func DefaultRules() Rules {
	return Rules{External: DefaultExternal, Internal: DefaultInternal}
}

// Check reports what is wrong with the rules themselves.
func (r Rules) Check() error {
	if int(r.PortOffset)+1023 > 65535 {
		return fmt.Errorf("port offset %d: port 1023 would become %d; it must be at most %d", r.PortOffset, int(r.PortOffset)+1023, 65535-1023)
	}
	if r.PortMap {
		return nil
	}
	for _, p := range []struct {
		name  string
		value netip.Prefix
	}{{"external", r.External}, {"internal", r.Internal}} {
		if !p.value.IsValid() {
			return fmt.Errorf("%s address range is not set; it must be a CIDR such as %s", p.name, DefaultExternal)
		}
		if newPool(p.value).size == 0 {
			return fmt.Errorf("%s address range %q has no address to give out", p.name, p.value)
		}
	}
	if r.External.Overlaps(r.Internal) {
		return fmt.Errorf("external address range %q overlaps the internal one %q; no address may be in both", r.External, r.Internal)
	}
	return nil
}

// State is what was given out, sorted by Namespace and Name. The zero State is that
// of the first start.
type State []Allocation

// Allocation is what one Service got.
type Allocation struct {
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	Internal  bool       `json:"internal"`
	Hostname  string     `json:"hostname"`
	Address   netip.Addr `json:"address"`
	Ports     []Port     `json:"ports"` // in the order of the Service
}

// Port is one port of a Service and where it is really served.
type Port struct {
	Name   string         `json:"name"`
	Port   uint16         `json:"port"`
	Listen netip.AddrPort `json:"listen"`
}

// Key returns "namespace/name".
func (a Allocation) Key() string { return a.Namespace + "/" + a.Name }

// Find returns the allocation of a Service by its "namespace/name".
func (s State) Find(key string) (Allocation, bool) {
	for _, a := range s {
		if a.Key() == key {
			return a, true
		}
	}
	return Allocation{}, false
}

// Changes are the differences between two States, each sorted by Namespace and Name.
type Changes struct {
	Create []Allocation
	Update []Update
	Delete []Allocation
}

// Update is a Service that has something else now.
type Update struct{ Old, New Allocation }

// Empty reports whether nothing changed.
func (c Changes) Empty() bool {
	return len(c.Create) == 0 && len(c.Update) == 0 && len(c.Delete) == 0
}
