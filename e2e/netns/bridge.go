package netns

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
)

// A Bridge connects the Pods' namespaces with each other and with the namespace it is in,
// whose address on it is the first of the prefix. There is no way out of it.
type Bridge struct {
	Gateway netip.Addr
	prefix  netip.Prefix
	handle  *netlink.Handle
	link    netlink.Link

	mu     sync.Mutex
	next   netip.Addr
	used   map[netip.Addr]bool
	serial int
}

// NewBridge makes a bridge in n. It ends with n.
func NewBridge(n *Namespace, prefix netip.Prefix) (*Bridge, error) {
	h, err := n.Netlink()
	if err != nil {
		return nil, err
	}
	b := &Bridge{Gateway: prefix.Masked().Addr().Next(), prefix: prefix.Masked(), handle: h, used: map[netip.Addr]bool{}}
	b.next = b.Gateway
	// With an address of its own it keeps it when links join: Pods remember it.
	attrs := netlink.LinkAttrs{Name: "pods", HardwareAddr: net.HardwareAddr{2, 0, 10, 244, 0, 1}}
	if err := h.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return nil, fmt.Errorf("add bridge: %w", err)
	}
	if b.link, err = h.LinkByName("pods"); err != nil {
		return nil, err
	}
	if err := h.AddrAdd(b.link, &netlink.Addr{IPNet: ipNet(b.Gateway, prefix.Bits())}); err != nil {
		return nil, fmt.Errorf("address of the bridge: %w", err)
	}
	return b, h.LinkSetUp(b.link)
}

// Attach connects n and gives it an address and the bridge as its gateway. Addresses are
// given in turn, so that one that was freed stays silent for a while.
func (b *Bridge) Attach(n *Namespace) (addr netip.Addr, err error) {
	addr, name, err := b.take()
	if err != nil {
		return addr, err
	}
	defer func() {
		if err != nil {
			b.Free(addr)
		}
	}()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, MasterIndex: b.link.Attrs().Index},
		PeerName: "eth0", PeerNamespace: netlink.NsFd(int(n.file.Fd()))}
	if err := b.handle.LinkAdd(veth); err != nil {
		return addr, fmt.Errorf("add %s: %w", name, err)
	}
	if err := b.handle.LinkSetUp(veth); err != nil {
		return addr, fmt.Errorf("%s: %w", name, err)
	}
	h, err := n.Netlink()
	if err != nil {
		return addr, err
	}
	defer h.Close()
	eth0, err := h.LinkByName("eth0")
	if err != nil {
		return addr, err
	}
	if err := h.AddrAdd(eth0, &netlink.Addr{IPNet: ipNet(addr, b.prefix.Bits())}); err != nil {
		return addr, fmt.Errorf("address %s: %w", addr, err)
	}
	if err := h.LinkSetUp(eth0); err != nil {
		return addr, err
	}
	return addr, h.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: b.Gateway.AsSlice()})
}

// take returns an address and an interface name that nobody has.
func (b *Bridge) take() (netip.Addr, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range 1 << min(20, b.Gateway.BitLen()-b.prefix.Bits()) {
		if b.next = b.next.Next(); !b.prefix.Contains(b.next.Next()) {
			b.next = b.Gateway.Next()
		}
		if !b.used[b.next] {
			b.used[b.next] = true
			b.serial++
			return b.next, fmt.Sprintf("pod%d", b.serial), nil
		}
	}
	return netip.Addr{}, "", fmt.Errorf("prefix %s: no address is free", b.prefix)
}

// Free gives an address back.
func (b *Bridge) Free(a netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.used, a)
}

// Close lets go of the handle; the bridge ends with its namespace.
func (b *Bridge) Close() { b.handle.Close() }

func ipNet(a netip.Addr, bits int) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}
}
