package http2

import (
	"strings"

	"github.com/pierhead/pierhead/internal/message"
	"golang.org/x/net/http2/hpack"
)

// head is a head or trailer section while it is decoded. Its strings are those that
// hpack made, or has in its tables: they are never changed, so that a request may
// point to them, and many requests may share one.
type head struct {
	s       *stream
	lim     *Limits
	trailer bool
	bad     string // how it breaks the protocol; "" when it does not
	fault   Fault  // why the request is answered by Refuse
	size    int    // as in SETTINGS_MAX_HEADER_LIST_SIZE
	seen    uint8  // pseudo-header fields
	regular bool   // another field was seen

	scheme, path, authority, host string

	hosts, crumbs int
	cookie        string // the first crumb
	length        int64  // Content-Length, or message.Unknown
}

// The pseudo-header fields of a request.
const (
	sawMethod = 1 << iota
	sawScheme
	sawPath
	sawAuthority
)

func (h *head) begin(lim *Limits, s *stream, trailer bool) {
	*h = head{s: s, lim: lim, trailer: trailer, length: message.Unknown}
}

// breaks notes how the head breaks the protocol; the first reason stays.
func (h *head) breaks(why string) {
	if h.bad == "" {
		h.bad = why
	}
}

func (h *head) refuse(f Fault) {
	if h.fault == NoFault {
		h.fault = f
	}
}

// field is what hpack calls for each field.
func (c *ServerConn) field(f hpack.HeaderField) {
	h := &c.head
	h.size += len(f.Name) + len(f.Value) + 32
	switch {
	case h.size > or(h.lim.MaxHeaderList, DefaultLimits.MaxHeaderList):
		h.refuse(HeadTooLarge)
		c.dec.SetEmitEnabled(false)
	case f.Name == "":
		h.breaks("a field has no name")
	case f.Name[0] == ':':
		h.pseudo(f.Name, f.Value)
	default:
		h.regular = true
		h.plain(f.Name, f.Value)
	}
}

// pseudo takes a pseudo-header field (RFC 9113, section 8.3).
func (h *head) pseudo(name, value string) {
	if h.trailer || h.regular {
		h.breaks("a pseudo-header field stands in the wrong place")
		return
	}
	saw := uint8(0)
	switch name {
	case ":method":
		saw, h.s.req.Method = sawMethod, value
	case ":scheme":
		saw, h.scheme = sawScheme, value
	case ":path":
		saw, h.path = sawPath, value
		if len(value) > or(h.lim.MaxField, DefaultLimits.MaxField) {
			h.refuse(PathTooLong)
		}
	case ":authority":
		saw, h.authority = sawAuthority, value
	default:
		h.breaks("a pseudo-header field is unknown")
		return
	}
	if h.seen&saw != 0 {
		h.breaks("a pseudo-header field is repeated")
	}
	h.seen |= saw
}

// plain takes any other field.
func (h *head) plain(name, value string) {
	class := classify(name)
	switch {
	case class == 0:
		h.breaks("a field name is not a token in lower case")
		return
	case !validValue(value):
		h.breaks("a field value is not valid")
		return
	case len(name)+len(value) > or(h.lim.MaxField, DefaultLimits.MaxField):
		h.refuse(FieldTooLong)
		return
	case class&classUnderscore != 0 && !h.lim.Underscores, class&classOdd != 0 && !h.lim.InvalidNames:
		return
	}
	known := message.LookupKnown(name)
	switch known {
	case message.Connection, message.KeepAlive, message.ProxyConnection, message.TransferEncoding, message.Upgrade:
		h.breaks("a field belongs to HTTP/1.1 connections")
		return
	case message.TE:
		if value != "trailers" {
			h.breaks("TE is not \"trailers\"")
			return
		}
	}
	if h.trailer {
		h.addTrailer(known, name, value)
		return
	}
	switch known {
	case message.Host:
		h.host = value
		h.hosts++
	case message.ContentLength:
		n, ok := parseLength(value)
		if !ok || h.length != message.Unknown {
			h.breaks("Content-Length is not one number")
		}
		h.length = n
	case message.Cookie:
		h.crumb(value)
	case message.Expect:
		h.s.expect = h.s.expect || strings.EqualFold(value, "100-continue")
	default:
		h.s.req.Header.Append(known, name, value)
	}
}

// addTrailer adds a field of the trailer section, unless it is one that must not
// stand there (RFC 9110, section 6.5.1).
func (h *head) addTrailer(known message.Known, name, value string) {
	switch known {
	case message.Host, message.ContentLength, message.TE, message.Trailer, message.Expect, message.Range,
		message.Authorization, message.ProxyAuthorization, message.Cookie, message.SetCookie, message.CacheControl,
		message.ContentType, message.ContentEncoding, message.XForwardedFor, message.XForwardedHost,
		message.XForwardedPort, message.XForwardedProto, message.XRealIP:
		return
	}
	h.s.req.Trailer.Append(known, name, value)
}

// crumb takes a Cookie field: several are one that was cut (RFC 9113, section 8.2.3).
func (h *head) crumb(value string) {
	s := h.s
	switch h.crumbs++; h.crumbs {
	case 1:
		h.cookie = value
		return
	case 2:
		s.cookie = append(s.cookie[:0], h.cookie...)
	}
	s.cookie = append(s.cookie, "; "...)
	s.cookie = append(s.cookie, value...)
}

// finish completes a request from what was decoded and looks at it as a whole.
func (h *head) finish(end bool, scheme string) {
	s := h.s
	r := &s.req
	switch h.crumbs {
	case 0:
	case 1:
		r.Header.AddKnown(message.Cookie, h.cookie)
	default:
		r.Header.AddKnown(message.Cookie, message.String(s.cookie))
	}
	r.Version = message.HTTP2
	r.Target = h.path
	r.Length = h.length
	s.toCome = h.length
	if end {
		if h.length > 0 {
			h.breaks("Content-Length announces a body that is not there")
		}
		r.Length, s.toCome, s.remoteDone = 0, 0, true
	} else {
		r.Body = (*requestBody)(s)
	}
	if h.fault == HeadTooLarge {
		h.incomplete(scheme)
		return // what is missing may have been cut off
	}
	h.finishTarget()
	h.finishHost()
	h.finishScheme(scheme)
}

// incomplete fills in a request whose head was not read to the end.
func (h *head) incomplete(scheme string) {
	r := &h.s.req
	if r.Scheme = scheme; scheme == "" {
		r.Scheme = "http"
	}
	if r.Host = h.authority; !message.ValidHost(r.Host) {
		r.Host = ""
	}
	if !isMethod(r.Method) {
		r.Method = "GET"
	}
	if !validPath(r.Target) {
		r.Target = "/"
	}
}

func (h *head) finishTarget() {
	r := &h.s.req
	if h.seen&sawMethod == 0 {
		h.breaks(":method is missing")
		return
	}
	if !isMethod(r.Method) {
		h.refuse(BadMethod)
		return
	}
	if r.Method == "CONNECT" {
		if h.seen&(sawScheme|sawPath) != 0 || h.seen&sawAuthority == 0 {
			h.breaks("CONNECT has other pseudo-header fields than :method and :authority")
		}
		h.refuse(MethodConnect)
		return
	}
	switch {
	case h.path == "":
		h.breaks(":path is missing or empty")
	case r.Method == "TRACE":
		h.refuse(MethodTrace)
	case r.Method == "OPTIONS" && h.path == "*":
	case !validPath(h.path):
		h.refuse(BadPath)
	}
}

func (h *head) finishHost() {
	r := &h.s.req
	r.Host = h.authority
	switch {
	case h.hosts > 1:
		h.breaks("there are several Host fields")
	case h.hosts == 1 && h.authority == "":
		r.Host = h.host
	case h.hosts == 1 && !strings.EqualFold(h.host, h.authority):
		h.breaks("Host is not :authority")
	}
	switch {
	case r.Host == "":
		h.refuse(NoHost)
	case !message.ValidHost(r.Host):
		h.refuse(BadHost)
	}
}

// finishScheme decides on the scheme: how requests arrive here is known better by
// the listener than by the client.
func (h *head) finishScheme(scheme string) {
	r := &h.s.req
	r.Scheme = scheme
	switch {
	case r.Method == "CONNECT":
	case h.seen&sawScheme == 0:
		h.breaks(":scheme is missing")
	case strings.EqualFold(h.scheme, "https"):
		h.scheme = "https"
	case strings.EqualFold(h.scheme, "http"):
		h.scheme = "http"
	default:
		h.refuse(BadScheme)
		h.scheme = "http"
	}
	if scheme == "" {
		r.Scheme = h.scheme
	}
}
