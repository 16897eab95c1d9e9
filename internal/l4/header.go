package l4

import (
	"net/netip"
	"strconv"
)

// appendHeader appends a PROXY protocol v1 header that says who connected to what.
func appendHeader(b []byte, client, local netip.AddrPort) []byte {
	from, to := client.Addr().Unmap().WithZone(""), local.Addr().Unmap().WithZone("")
	switch {
	case !from.IsValid() || !to.IsValid() || from.Is4() != to.Is4():
		return append(b, "PROXY UNKNOWN\r\n"...)
	case from.Is4():
		b = append(b, "PROXY TCP4 "...)
	default:
		b = append(b, "PROXY TCP6 "...)
	}
	b = append(from.AppendTo(b), ' ')
	b = append(to.AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(client.Port()), 10), ' ')
	b = strconv.AppendUint(b, uint64(local.Port()), 10)
	return append(b, "\r\n"...)
}
