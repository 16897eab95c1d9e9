package proxyproto

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// maxV1 is the longest line that version 1 allows, its end included.
const maxV1 = 107

// parse1 reads a line such as "PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n".
func parse1(b []byte) (h Header, n int, err error) {
	h.Version = 1
	end := bytes.IndexByte(b[:min(len(b), maxV1)], '\n')
	if end < 0 {
		if len(b) >= maxV1 {
			return h, 0, invalid("the line is longer than %d bytes", maxV1)
		}
		return h, 0, nil
	}
	n = end + 1
	line, ok := strings.CutSuffix(string(b[:end]), "\r")
	if !ok {
		return h, 0, invalid("%q does not end in CR LF", line)
	}
	f := strings.Split(line, " ")
	if len(f) > 1 && f[1] == "UNKNOWN" { // whatever follows is to be ignored
		return h, n, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return h, 0, invalid("%q: must be PROXY, TCP4 or TCP6, two addresses and two ports", line)
	}
	six := f[1] == "TCP6"
	if h.Source, err = addrPort(f[2], f[4], six); err == nil {
		h.Destination, err = addrPort(f[3], f[5], six)
	}
	if err != nil {
		return Header{}, 0, err
	}
	return h, n, nil
}

func addrPort(addr, port string, six bool) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Is6() != six || a.Zone() != "" {
		return netip.AddrPort{}, invalid("address %q: must be of the family that the line names", addr)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, invalid("port %q: must be a number up to 65535 without leading zeros", port)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), nil
}

// AppendV1 appends a header of version 1 for a TCP connection from src to dst. When
// an address is missing it tells none.
func AppendV1(b []byte, src, dst netip.AddrPort) []byte {
	s, d, six, ok := pair(src, dst)
	if !ok {
		return append(b, "PROXY UNKNOWN\r\n"...)
	}
	if six {
		b = append(b, "PROXY TCP6 "...)
	} else {
		b = append(b, "PROXY TCP4 "...)
	}
	b = append(s.Addr().AppendTo(b), ' ')
	b = append(d.Addr().AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(s.Port()), 10), ' ')
	b = strconv.AppendUint(b, uint64(d.Port()), 10)
	return append(b, "\r\n"...)
}

// pair returns the addresses in one family: IPv4 when both are, else IPv6.
func pair(src, dst netip.AddrPort) (s, d netip.AddrPort, six, ok bool) {
	if !src.IsValid() || !dst.IsValid() {
		return src, dst, false, false
	}
	x, y := src.Addr().Unmap().WithZone(""), dst.Addr().Unmap().WithZone("")
	if x.Is4() != y.Is4() {
		x, y = netip.AddrFrom16(x.As16()), netip.AddrFrom16(y.As16())
	}
	return netip.AddrPortFrom(x, src.Port()), netip.AddrPortFrom(y, dst.Port()), x.Is6(), true
}
