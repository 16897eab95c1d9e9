package service

import (
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"

	"github.com/pierhead/pierhead/e2e/netns"
)

// addresses are those of the Services, on the loopback interface of the namespace: every
// Pod reaches them through its gateway.
type addresses struct {
	mu     sync.Mutex
	handle *netlink.Handle
	lo     netlink.Link
	count  map[netip.Addr]int
}

func newAddresses(in *netns.Namespace) (*addresses, error) {
	h, err := in.Netlink()
	if err != nil {
		return nil, err
	}
	lo, err := h.LinkByName("lo")
	if err != nil {
		h.Close()
		return nil, err
	}
	return &addresses{handle: h, lo: lo, count: map[netip.Addr]int{}}, nil
}

// add makes a an address of the namespace, once more.
func (s *addresses) add(a netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count[a] == 0 {
		if err := s.handle.AddrAdd(s.lo, single(a)); err != nil {
			return err
		}
	}
	s.count[a]++
	return nil
}

// remove takes back one add. An address that is not there any more is as good as removed.
func (s *addresses) remove(a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count[a]--; s.count[a] <= 0 {
		delete(s.count, a)
		s.handle.AddrDel(s.lo, single(a))
	}
}

func (s *addresses) close() { s.handle.Close() }

func single(a netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}}
}
