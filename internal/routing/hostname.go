package routing

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/pierhead/pierhead/internal/message"
)

// ErrHost is the answer of ParseHost for what is no host: 400.
var ErrHost = errors.New(`host is not a name or an address with an optional port, such as "example.com:8080" or "[::1]"`)

// ParseHost splits the value of a Host field into the name that routes are matched
// by and the port. The name is in lower case, without a trailing dot; an IPv6 address
// keeps its brackets. An empty value is an empty name, which only the catch-all
// matches.
//
// A name without capital letters is a part of host; another one is made in buf, whose
// content is overwritten.
func ParseHost(host string, buf []byte) (name, port string, err error) {
	if host == "" {
		return "", "", nil
	}
	if host[0] == '[' {
		return parseLiteral(host, buf)
	}
	end, capitals, dot := len(host), false, -1
	for i := 0; i < len(host); i++ {
		c := host[i]
		if c == ':' {
			end = i
			break
		}
		if c == '.' {
			if dot == i-1 {
				return "", "", ErrHost
			}
			dot = i
		}
		if !hostBytes[c] {
			return "", "", ErrHost
		}
		capitals = capitals || 'A' <= c && c <= 'Z'
	}
	name = host[:end]
	if port, err = parsePort(host[end:]); err != nil {
		return "", "", err
	}
	name = strings.TrimSuffix(name, ".")
	if name == "" {
		return "", "", ErrHost
	}
	if capitals {
		name = lower(name, buf)
	}
	return name, port, nil
}

// parseLiteral is ParseHost for an address in brackets.
func parseLiteral(host string, buf []byte) (name, port string, err error) {
	end := strings.IndexByte(host, ']')
	if end < 0 {
		return "", "", ErrHost
	}
	a, err := netip.ParseAddr(host[1:end])
	if err != nil || !a.Is6() || a.Zone() != "" {
		return "", "", ErrHost
	}
	if port, err = parsePort(host[end+1:]); err != nil {
		return "", "", err
	}
	return lower(host[:end+1], buf), port, nil
}

// parsePort reads ":digits", ":" or nothing.
func parsePort(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if s[0] != ':' || len(s) > 6 {
		return "", ErrHost
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return "", ErrHost
		}
	}
	return s[1:], nil
}

// lower returns s in lower case: s itself when it is, else made in buf.
func lower(s string, buf []byte) string {
	i := 0
	for i < len(s) && (s[i] < 'A' || s[i] > 'Z') {
		i++
	}
	if i == len(s) {
		return s
	}
	b := append(buf[:0], s...)
	for ; i < len(b); i++ {
		if 'A' <= b[i] && b[i] <= 'Z' {
			b[i] |= 0x20
		}
	}
	return message.String(b)
}

// hostBytes are the bytes of a registered name (RFC 3986, section 3.2.2).
var hostBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	}
	for _, c := range "-._~%!$&'()*+,;=" {
		t[c] = true
	}
	return t
}()
