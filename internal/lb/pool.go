package lb

import (
	"encoding/binary"
	"math/big"
	"net/netip"
)

// maxPool bounds how many addresses of a range are looked at: more than any machine
// has Services, and an IPv6 range need not be counted to its end.
const maxPool = 1 << 20

// pool is a range of addresses by number.
type pool struct {
	prefix netip.Prefix
	size   int // usable numbers are 0 to size-1, some of which are skipped
}

// newPool returns the pool of a range. Its size is 0 when no address of the range
// may be given out.
func newPool(p netip.Prefix) pool {
	p = p.Masked()
	bits := p.Addr().BitLen() - p.Bits()
	size := maxPool
	if bits < 20 {
		size = 1 << bits
	}
	out := pool{prefix: p, size: size}
	if size <= 2 {
		usable := 0
		for i := range size {
			if usableAddress(out.address(i)) {
				usable++
			}
		}
		if usable == 0 {
			out.size = 0
		}
	}
	return out
}

// address returns the address with the given number.
func (p pool) address(i int) netip.Addr {
	if p.prefix.Addr().Is4() {
		b := p.prefix.Addr().As4()
		n := binary.BigEndian.Uint32(b[:]) + uint32(i)
		binary.BigEndian.PutUint32(b[:], n)
		return netip.AddrFrom4(b)
	}
	b := p.prefix.Addr().As16()
	n := new(big.Int).SetBytes(b[:])
	n.Add(n, big.NewInt(int64(i)))
	n.FillBytes(b[:])
	return netip.AddrFrom16(b)
}

// pick returns the first free address from the start number on.
func (p pool) pick(start uint64, taken map[netip.Addr]string) (netip.Addr, bool) {
	if p.size == 0 {
		return netip.Addr{}, false
	}
	first := int(start % uint64(p.size))
	for i := range p.size {
		a := p.address((first + i) % p.size)
		if _, used := taken[a]; !used && usableAddress(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// holds reports whether the pool may have given out the address.
func (p pool) holds(a netip.Addr) bool {
	return p.size > 0 && p.prefix.Contains(a) && usableAddress(a)
}

// usableAddress reports whether an address may belong to one machine: the last byte
// of an IPv4 address is neither 0 nor 255, which people and tools take for the
// network and for broadcast, and an IPv6 address does not end in zeros only, which
// is any router of the network.
func usableAddress(a netip.Addr) bool {
	if a.Is4() {
		b := a.As4()
		return b[3] != 0 && b[3] != 255
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[8:]) != 0
}
