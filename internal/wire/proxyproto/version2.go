package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"

	"github.com/pierhead/pierhead/internal/loop"
)

// signature is how version 2 begins.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

const headV2 = 16 // signature, version and command, family, length

// maxV2 is how much may follow the head. The protocol allows 64 KiB; load balancers
// send less than one.
const maxV2 = loop.SmallSize - headV2

// The second byte's high half is the version, its low half the command.
const (
	localV2 = 0x20
	proxyV2 = 0x21
)

// The third byte: TCP over IPv4 or IPv6. All other values that the protocol defines
// are connections without addresses for us.
const (
	tcp4 = 0x11
	tcp6 = 0x21
)

func parse2(b []byte) (h Header, n int, err error) {
	h.Version = 2
	if len(b) > 12 && b[12] != localV2 && b[12] != proxyV2 {
		return h, 0, invalid("version and command %#x: must be %#x or %#x", b[12], localV2, proxyV2)
	}
	if len(b) > 13 && !defined(b[13]) && b[12] == proxyV2 {
		return h, 0, invalid("address family %#x is not one of the protocol", b[13])
	}
	if len(b) < headV2 {
		return h, 0, nil
	}
	size := int(binary.BigEndian.Uint16(b[14:]))
	if size > maxV2 {
		return h, 0, invalid("%d bytes long: at most %d are accepted", size, maxV2)
	}
	if n = headV2 + size; len(b) < n {
		return h, 0, nil
	}
	if b[12] == localV2 { // addresses and options are to be ignored
		return h, n, nil
	}
	rest, err := addresses(b[13], b[headV2:n], &h)
	if err == nil {
		err = options(b[:n], n-len(rest))
	}
	if err != nil {
		return Header{}, 0, err
	}
	return h, n, nil
}

func defined(family byte) bool { return family>>4 <= 3 && family&15 <= 2 }

// addresses reads the address block and returns what follows it.
func addresses(family byte, b []byte, h *Header) ([]byte, error) {
	size := [4]int{0, 12, 36, 216}[family>>4]
	if len(b) < size {
		return nil, invalid("%d bytes for the addresses: must be %d at least", len(b), size)
	}
	switch family {
	case tcp4:
		h.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[8:]))
		h.Destination = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), binary.BigEndian.Uint16(b[10:]))
	case tcp6:
		h.Source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), binary.BigEndian.Uint16(b[32:]))
		h.Destination = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[16:])).Unmap(), binary.BigEndian.Uint16(b[34:]))
	}
	return b[size:], nil
}

// optionCRC is the option that holds the CRC-32C of the header.
const optionCRC = 0x03

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// options checks the options of a header, which begin at from: each is a type, a
// length in two bytes and a value. Of their values only the checksum matters here.
func options(header []byte, from int) error {
	for at := from; at < len(header); {
		if len(header)-at < 3 {
			return invalid("%d bytes after the options", len(header)-at)
		}
		value := at + 3
		size := int(binary.BigEndian.Uint16(header[at+1:]))
		if size > len(header)-value {
			return invalid("option %#x has %d bytes: there are %d", header[at], size, len(header)-value)
		}
		if header[at] == optionCRC {
			if size != 4 {
				return invalid("the checksum has %d bytes: must be 4", size)
			}
			sum := crc32.Update(0, castagnoli, header[:value])
			sum = crc32.Update(sum, castagnoli, make([]byte, 4))
			sum = crc32.Update(sum, castagnoli, header[value+4:])
			if got := binary.BigEndian.Uint32(header[value:]); got != sum {
				return invalid("checksum %#x: must be %#x", got, sum)
			}
		}
		at = value + size
	}
	return nil
}

// AppendV2 appends a header of version 2 for a TCP connection from src to dst. When
// an address is missing it is one of a connection of our own.
func AppendV2(b []byte, src, dst netip.AddrPort) []byte {
	b = append(b, signature...)
	s, d, six, ok := pair(src, dst)
	switch {
	case !ok:
		return append(b, localV2, 0, 0, 0)
	case six:
		b = append(b, proxyV2, tcp6, 0, 36)
	default:
		b = append(b, proxyV2, tcp4, 0, 12)
	}
	b = append(b, s.Addr().AsSlice()...)
	b = append(b, d.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, s.Port())
	return binary.BigEndian.AppendUint16(b, d.Port())
}
