package exchange

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/message"
)

// httpField is $http_name: the fields of that name in the client's request.
func httpField(b []byte, x *Exchange, name string) []byte {
	if strings.EqualFold(name, "cookie") {
		return appendJoined(b, &x.In.Header, name, "; ")
	}
	return appendJoined(b, &x.In.Header, name, ", ")
}

// sentField is $sent_http_name: the fields of that name in the answer.
func sentField(b []byte, x *Exchange, name string) []byte {
	if x.Resp == nil {
		return b
	}
	if strings.EqualFold(name, "content_length") {
		if x.Resp.Length == message.Unknown {
			return b
		}
		return strconv.AppendInt(b, x.Resp.Length, 10)
	}
	return appendJoined(b, &x.Resp.Header, name, ", ")
}

// upstreamField is $upstream_http_name: as sentField, of answers that an upstream
// gave.
func upstreamField(b []byte, x *Exchange, name string) []byte {
	if len(x.Upstream.Tries) == 0 {
		return b
	}
	return sentField(b, x, name)
}

// appendJoined appends all values of the fields of that name.
func appendJoined(b []byte, h *message.Header, name, sep string) []byte {
	first := true
	for i := range h.Len() {
		f := h.At(i)
		if !variableNames(f.Name, name) {
			continue
		}
		if !first {
			b = append(b, sep...)
		}
		first = false
		b = append(b, f.Value...)
	}
	return b
}

// variableNames reports whether a variable's name means the field: without regard
// to case, "_" standing for "-".
func variableNames(field, name string) bool {
	if len(field) != len(name) {
		return false
	}
	for i := range len(field) {
		if fold(field[i]) != fold(name[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	if c == '-' {
		return '_'
	}
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// Cookie returns the value of the first cookie of that name which the client sent.
func (x *Exchange) Cookie(name string) (string, bool) {
	h := &x.In.Header
	for i := range h.Len() {
		f := h.At(i)
		if f.Known() != message.Cookie {
			continue
		}
		rest := f.Value
		for rest != "" {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			n, v, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if ok && n == name {
				return v, true
			}
		}
	}
	return "", false
}

func cookie(b []byte, x *Exchange, name string) []byte {
	v, _ := x.Cookie(name)
	return append(b, v...)
}

// arg is $arg_name: the raw value of that query parameter.
func arg(b []byte, x *Exchange, name string) []byte {
	rest := x.Query
	for rest != "" {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if n, v, ok := strings.Cut(pair, "="); ok && len(n) == len(name) && strings.EqualFold(n, name) {
			return append(b, v...)
		}
	}
	return b
}

// The parts of a route that variables show.
type routePart uint8

const (
	routeUpstream routePart = iota
	routeNamespace
	routeIngress
	routeService
	routePort
	routePath
)

func appendRoute(b []byte, x *Exchange, p routePart) []byte {
	if x.Route == nil {
		return b
	}
	r := x.Route
	switch p {
	case routeUpstream:
		return append(b, r.Upstream...)
	case routeNamespace:
		return append(b, r.Namespace...)
	case routeIngress:
		return append(b, r.Ingress...)
	case routeService:
		return append(b, r.Service...)
	case routePort:
		return append(b, r.Port...)
	}
	return append(b, r.Path...)
}

func upstreamAddr(b []byte, x *Exchange, _ string) []byte {
	for i := range x.Upstream.Tries {
		b = x.Upstream.Tries[i].Addr.AppendTo(separate(b, i))
	}
	return b
}

func upstreamStatus(b []byte, x *Exchange, _ string) []byte {
	for i := range x.Upstream.Tries {
		t := &x.Upstream.Tries[i]
		b = separate(b, i)
		switch {
		case t.Status != 0:
			b = strconv.AppendInt(b, int64(t.Status), 10)
		case t.Err != OK && t.Err.Source() == Upstream:
			b = strconv.AppendInt(b, int64(t.Err.Status()), 10)
		default:
			b = append(b, '-')
		}
	}
	return b
}

func upstreamResponseTime(b []byte, x *Exchange, _ string) []byte {
	for i := range x.Upstream.Tries {
		b = appendSeconds(separate(b, i), x.Upstream.Tries[i].Total)
	}
	return b
}

func upstreamConnectTime(b []byte, x *Exchange, _ string) []byte {
	for i := range x.Upstream.Tries {
		t := &x.Upstream.Tries[i]
		b = separate(b, i)
		if t.Err == ConnectFailed || t.Err == ConnectTimeout {
			b = append(b, '-')
			continue
		}
		b = appendSeconds(b, t.Connect)
	}
	return b
}

func upstreamHeaderTime(b []byte, x *Exchange, _ string) []byte {
	for i := range x.Upstream.Tries {
		t := &x.Upstream.Tries[i]
		b = separate(b, i)
		if t.Status == 0 {
			b = append(b, '-')
			continue
		}
		b = appendSeconds(b, t.Header)
	}
	return b
}

func upstreamResponseLength(b []byte, x *Exchange, _ string) []byte {
	for i := range x.Upstream.Tries {
		b = strconv.AppendInt(separate(b, i), x.Upstream.Tries[i].Length, 10)
	}
	return b
}

func separate(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ", "...)
	}
	return b
}

// appendAddr appends an address as clients are shown: IPv4 in its own form.
func appendAddr(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return b
	}
	return a.Unmap().AppendTo(b)
}

func appendPort(b []byte, p uint16) []byte {
	if p == 0 {
		return b
	}
	return strconv.AppendUint(b, uint64(p), 10)
}

// appendSeconds appends seconds with three decimals.
func appendSeconds(b []byte, d time.Duration) []byte {
	ms := max(d.Milliseconds(), 0)
	b = strconv.AppendInt(b, ms/1000, 10)
	return append(b, '.', byte('0'+ms/100%10), byte('0'+ms/10%10), byte('0'+ms%10))
}

// AppendEscaped appends s as a component of a URI (RFC 3986): all but the
// unreserved characters as %XX.
func AppendEscaped(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}
