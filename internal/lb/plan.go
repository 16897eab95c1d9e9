package lb

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/pierhead/pierhead/internal/model"
)

// Plan says what every Service has now: what it had, if it still may, and otherwise
// something new. A Service that nothing is left for is not in the State, and a
// Problem says so. The rules must have passed Check.
func Plan(current State, desired []model.LoadBalancer, rules Rules) (State, Changes, []model.Problem) {
	p := planner{rules: rules, external: newPool(rules.External), internal: newPool(rules.Internal)}
	desired = slices.Clone(desired)
	slices.SortFunc(desired, func(a, b model.LoadBalancer) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	desired = slices.CompactFunc(desired, func(a, b model.LoadBalancer) bool {
		return a.Namespace == b.Namespace && a.Name == b.Name
	})
	had := map[string]Allocation{}
	for _, a := range current {
		had[a.Key()] = a
	}
	if rules.PortMap {
		p.planPorts(desired, had)
	} else {
		p.planAddresses(desired, had)
	}
	return p.state, difference(current, p.state), model.SortProblems(p.problems)
}

// planner is one run of Plan.
type planner struct {
	rules              Rules
	external, internal pool
	state              State
	problems           []model.Problem
}

// planAddresses gives an address to each Service. Those who have one come first, so
// that nobody new takes it.
func (p *planner) planAddresses(desired []model.LoadBalancer, had map[string]Allocation) {
	taken := map[netip.Addr]string{}
	for _, d := range desired {
		a, ok := had[key(d)]
		if ok && p.pool(d).holds(a.Address) && taken[a.Address] == "" {
			taken[a.Address] = key(d)
		}
	}
	for _, d := range desired {
		address := had[key(d)].Address
		if taken[address] != key(d) {
			var ok bool
			address, ok = p.pool(d).pick(hash("address", key(d)), taken)
			if !ok {
				p.full(d)
				continue
			}
			taken[address] = key(d)
		}
		a := p.allocation(d, address)
		a.Ports = p.ports(d, address)
		p.state = append(p.state, a)
	}
}

// ports returns where the ports of a Service are served at its own address.
func (p *planner) ports(d model.LoadBalancer, address netip.Addr) []Port {
	asked := map[uint16]bool{}
	for _, port := range d.Ports {
		asked[port.Port] = true
	}
	var out []Port
	for i, port := range d.Ports {
		if !p.served(d, i) {
			continue
		}
		number := port.Port
		if number < 1024 {
			number += p.rules.PortOffset
		}
		if number != port.Port && asked[number] {
			p.problem(d, i, strconv.Itoa(int(port.Port)), model.Error,
				fmt.Sprintf("the port would be served on %d, which is another port of the Service; it is not served", number),
				"use another --port-offset")
			continue
		}
		out = append(out, Port{Name: port.Name, Port: port.Port, Listen: netip.AddrPortFrom(address, number)})
	}
	return out
}

// planPorts gives a port of the one address to each port of each Service.
func (p *planner) planPorts(desired []model.LoadBalancer, had map[string]Allocation) {
	address := p.rules.MapAddress
	if !address.IsValid() {
		address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	taken := map[uint16]string{}
	for _, d := range desired {
		for _, port := range had[key(d)].Ports {
			n := port.Listen.Port()
			if wants(d, port.Port) && port.Listen.Addr() == address && n >= mapFirst && n <= mapLast && taken[n] == "" {
				taken[n] = portKey(d, port.Port)
			}
		}
	}
	for _, d := range desired {
		a := p.allocation(d, address)
		for i, port := range d.Ports {
			if !p.served(d, i) {
				continue
			}
			n, ok := mapped(had[key(d)], d, port.Port, taken)
			if !ok {
				p.problem(d, i, strconv.Itoa(int(port.Port)), model.Error,
					fmt.Sprintf("all ports from %d to %d are given out; the port is not served", mapFirst, mapLast), "remove Services of type LoadBalancer")
				continue
			}
			taken[n] = portKey(d, port.Port)
			a.Ports = append(a.Ports, Port{Name: port.Name, Port: port.Port, Listen: netip.AddrPortFrom(address, n)})
		}
		p.state = append(p.state, a)
	}
}

// mapped returns the port that a port of a Service had, or else the next free one
// from its hash on.
func mapped(had Allocation, d model.LoadBalancer, port uint16, taken map[uint16]string) (uint16, bool) {
	for _, old := range had.Ports {
		if old.Port == port && taken[old.Listen.Port()] == portKey(d, port) {
			return old.Listen.Port(), true
		}
	}
	const size = mapLast - mapFirst + 1
	first := hash("port", portKey(d, port)) % size
	for i := range uint64(size) {
		n := uint16(mapFirst + (first+i)%size)
		if _, used := taken[n]; !used {
			return n, true
		}
	}
	return 0, false
}

// served reports whether a port can be served at all, and says so if not.
func (p *planner) served(d model.LoadBalancer, i int) bool {
	port := d.Ports[i]
	switch {
	case port.Protocol != "" && port.Protocol != "TCP":
		p.problem(d, i, port.Protocol, model.Warning, "only TCP is balanced; the port is not served", "remove the port or use TCP")
		return false
	case port.Port == 0:
		p.problem(d, i, "0", model.Error, "the port has no number; it is not served", "give it a number from 1 to 65535")
		return false
	}
	for _, before := range d.Ports[:i] {
		if before.Port == port.Port && (before.Protocol == "" || before.Protocol == "TCP") {
			p.problem(d, i, strconv.Itoa(int(port.Port)), model.Error, "the port is listed twice; the first one is served", "remove one of them")
			return false
		}
	}
	return true
}

// allocation returns what does not depend on addresses.
func (p *planner) allocation(d model.LoadBalancer, address netip.Addr) Allocation {
	return Allocation{Namespace: d.Namespace, Name: d.Name, Internal: d.Internal, Hostname: Hostname(d.Namespace, d.Name, d.Internal), Address: address}
}

// full says that a range has no address left.
func (p *planner) full(d model.LoadBalancer) {
	kind, flag := "external", "--lb-external-cidr"
	if d.Internal {
		kind, flag = "internal", "--lb-internal-cidr"
	}
	p.problems = append(p.problems, model.Problem{
		Origin: d.Origin, Field: "spec.type", Value: "LoadBalancer", Severity: model.Error,
		Reason: fmt.Sprintf("all addresses of the %s range %s are given out; the Service has no address and is not served", kind, p.pool(d).prefix),
		Remedy: "give a larger range with " + flag,
	})
}

// problem notes what is wrong with one port.
func (p *planner) problem(d model.LoadBalancer, i int, value string, s model.Severity, reason, remedy string) {
	p.problems = append(p.problems, model.Problem{
		Origin: d.Origin, Field: fmt.Sprintf("spec.ports[%d]", i), Value: value, Reason: reason, Remedy: remedy, Severity: s,
	})
}

// pool returns the addresses that a Service may have.
func (p *planner) pool(d model.LoadBalancer) pool {
	if d.Internal {
		return p.internal
	}
	return p.external
}

// Hostname returns the name that a Service's load balancer has, as long as the
// Service lives: the form that clouds give, with the digest of namespace and name
// where those have the object's UID.
func Hostname(namespace, name string, internal bool) string {
	sum := sha256.Sum256([]byte("hostname\x00" + namespace + "/" + name))
	n := 1_000_000_000 + binary.BigEndian.Uint64(sum[16:])%1_000_000_000
	out := fmt.Sprintf("a%s-%d.local.%s", hex.EncodeToString(sum[:16]), n, HostnameZone)
	if internal {
		return "internal-" + out
	}
	return out
}

// difference compares two States.
func difference(old, now State) Changes {
	var c Changes
	before := map[string]Allocation{}
	for _, a := range old {
		before[a.Key()] = a
	}
	kept := map[string]bool{}
	for _, a := range now {
		o, ok := before[a.Key()]
		kept[a.Key()] = true
		switch {
		case !ok:
			c.Create = append(c.Create, a)
		case !same(o, a):
			c.Update = append(c.Update, Update{Old: o, New: a})
		}
	}
	for _, a := range old {
		if !kept[a.Key()] {
			c.Delete = append(c.Delete, a)
		}
	}
	slices.SortFunc(c.Delete, func(a, b Allocation) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return c
}

// same reports whether two allocations are equal.
func same(a, b Allocation) bool {
	return a.Internal == b.Internal && a.Hostname == b.Hostname && a.Address == b.Address && slices.Equal(a.Ports, b.Ports)
}

// wants reports whether the Service still has the port.
func wants(d model.LoadBalancer, port uint16) bool {
	return slices.ContainsFunc(d.Ports, func(p model.LoadBalancerPort) bool {
		return p.Port == port && (p.Protocol == "" || p.Protocol == "TCP")
	})
}

// key returns "namespace/name".
func key(d model.LoadBalancer) string { return d.Namespace + "/" + d.Name }

// portKey names one port of a Service.
func portKey(d model.LoadBalancer, port uint16) string {
	return key(d) + ":" + strconv.Itoa(int(port))
}

// hash returns a number that is the same on every machine and in every version.
func hash(what, key string) uint64 {
	sum := sha256.Sum256([]byte(what + "\x00" + key))
	return binary.BigEndian.Uint64(sum[:8])
}
