package http1

import (
	"math"

	"github.com/pierhead/pierhead/internal/message"
)

// fieldLine is one field line as it was found in a buffer.
type fieldLine struct {
	name  string
	value string
	class uint8 // which classes of characters name holds
	end   int   // position after the line; 0: the line is not complete
}

// parse reads the field line that begins at b[i].
func (f *fieldLine) parse(b []byte, i int) Fault {
	start, class := i, uint8(0)
	for i < len(b) {
		c := nameClass[b[i]]
		if c == 0 {
			break
		}
		class |= c
		i++
	}
	f.end = 0
	if i == len(b) {
		return NoFault
	}
	if b[i] != ':' || i == start {
		return badName(b[i], i == start)
	}
	f.name, f.class = message.String(b[start:i]), class
	for i++; i < len(b) && isSpace(b[i]); i++ {
	}
	from := i
	i = valueEnd(b, i)
	if i == len(b) {
		return NoFault
	}
	if b[i] != '\r' {
		if b[i] == '\n' {
			return BadLineEnd
		}
		return BadValue
	}
	if i+1 == len(b) {
		return NoFault
	}
	if b[i+1] != '\n' {
		return BadLineEnd
	}
	to := i
	for to > from && isSpace(b[to-1]) {
		to--
	}
	f.value, f.end = message.String(b[from:to]), i+2
	return NoFault
}

// badName names the fault of a line whose name ends at c.
func badName(c byte, atStart bool) Fault {
	switch {
	case c == '\n' || c == '\r':
		return BadLineEnd
	case c == ':':
		return EmptyName
	case isSpace(c) && atStart:
		return Folded
	}
	return BadName
}

// sectionEnd looks whether the section of fields ends at b[i]: it returns the
// position after the empty line, or 0 when it does not end there or more bytes are
// needed to tell.
func sectionEnd(b []byte, i int) (end int, more bool, fault Fault) {
	switch {
	case i == len(b):
		return 0, true, NoFault
	case b[i] != '\r':
		return 0, false, NoFault
	case i+1 == len(b):
		return 0, true, NoFault
	case b[i+1] != '\n':
		return 0, false, BadLineEnd
	}
	return i + 2, false, NoFault
}

// framing gathers what the fields of a head say about the body and the connection.
// The rules are the same for requests and responses.
type framing struct {
	length    int64 // Content-Length, or -1
	chunked   bool
	close     bool // Connection: close
	keepAlive bool // Connection: keep-alive
	upgrade   bool // Connection: upgrade
	named     int  // other fields that Connection names
	protocol  string
}

func (g *framing) reset() { *g = framing{length: -1} }

// maxNamed bounds how many fields Connection may name: each costs a look at every
// field, and honest clients name one or two.
const maxNamed = 32

// take handles a field that belongs to the connection or to the framing of the
// body, which no message shows; kept tells that it is none of them.
func (g *framing) take(f *fieldLine, k message.Known, h *message.Header) (kept bool, fault Fault) {
	switch k {
	case message.ContentLength:
		if g.length >= 0 {
			return false, ManyLengths
		}
		n, ok := parseLength(f.value)
		if !ok {
			return false, BadLength
		}
		g.length = n
	case message.TransferEncoding:
		if g.chunked || !fold(f.value, "chunked") {
			return false, BadCoding
		}
		g.chunked = true
	case message.Connection:
		g.connection(f.value)
		if g.named > maxNamed {
			return false, ManyOptions
		}
		if g.named > 0 {
			h.AddKnown(message.Connection, f.value) // until strip
		}
	case message.Upgrade:
		if g.protocol == "" {
			g.protocol = f.value
		}
	case message.TE:
		for rest := f.value; rest != ""; {
			var tok string
			if tok, rest = nextToken(rest); fold(tok, "trailers") && h.GetKnown(message.TE) == "" {
				h.AddKnown(message.TE, "trailers")
			}
		}
	case message.KeepAlive, message.ProxyConnection:
	default:
		return true, NoFault
	}
	return false, NoFault
}

// connection reads the options of a Connection field.
func (g *framing) connection(list string) {
	for list != "" {
		var tok string
		tok, list = nextToken(list)
		switch {
		case fold(tok, "close"):
			g.close = true
		case fold(tok, "keep-alive"):
			g.keepAlive = true
		case fold(tok, "upgrade"):
			g.upgrade = true
		case tok != "" && !fold(tok, "te"):
			g.named++
			if !isToken(view(tok)) { // such as "close x", which others read as close
				g.close = true
			}
		}
	}
}

// strip removes the fields that Connection names (RFC 9110, section 7.6.1).
func (g *framing) strip(h *message.Header) {
	if g.named == 0 {
		return
	}
	for i := 0; i < h.Len(); i++ {
		f := h.At(i)
		if f.Known() != message.Connection {
			continue
		}
		for rest := f.Value; rest != ""; {
			var tok string
			if tok, rest = nextToken(rest); fold(tok, "te") {
				continue // take has dealt with it
			}
			for j := 0; j < h.Len(); j++ {
				if o := h.At(j); o.Known() != message.Connection && o.Is(tok) {
					o.Value = dropped
				}
			}
		}
	}
	h.DeleteFunc(func(f *message.Field) bool { return f.Known() == message.Connection || f.Value == dropped })
}

// dropped marks a field that strip removes: no value that was read holds a NUL.
const dropped = "\x00"

// check holds the rules that need the whole head.
func (g *framing) check(v message.Version) Fault {
	switch {
	case g.chunked && g.length >= 0:
		return LengthAndCoding
	case g.chunked && v == message.HTTP10:
		return CodingInHTTP10
	}
	return NoFault
}

// persistent reports whether the other side lets the connection go on.
func (g *framing) persistent(v message.Version) bool {
	return !g.close && (v != message.HTTP10 || g.keepAlive)
}

// parseLength reads a Content-Length: digits and nothing else.
func parseLength(s string) (int64, bool) {
	n := int64(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(s) > 0
}

// framed reports fields that the codec writes itself, or that must not travel. Host
// stands beside the fields of a request: a second one would be another's.
func framed(k message.Known) bool {
	switch k {
	case message.Connection, message.ContentLength, message.Expect, message.Host, message.KeepAlive,
		message.ProxyConnection, message.TransferEncoding, message.Upgrade:
		return true
	}
	return false
}

// trailerForbidden reports fields that mean something only in a head (RFC 9110,
// section 6.5.1).
func trailerForbidden(k message.Known) bool {
	switch k {
	case message.Connection, message.ContentLength, message.KeepAlive, message.ProxyConnection,
		message.TransferEncoding, message.Upgrade, message.TE, message.Trailer, message.Host,
		message.Authorization, message.ProxyAuthorization, message.Cookie, message.SetCookie,
		message.ContentEncoding, message.ContentType, message.CacheControl, message.Expect, message.Range,
		message.XForwardedFor, message.XForwardedHost, message.XForwardedPort, message.XForwardedProto,
		message.XRealIP:
		return true
	}
	return false
}
