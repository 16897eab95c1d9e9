package http2

import (
	"strings"

	"github.com/pierhead/pierhead/internal/message"
	"golang.org/x/net/http2/hpack"
)

// RequestHead is the head or the trailer section of a request while it is decoded.
// HTTP/3 has the same rules for it and uses it, too. Its strings are those that the
// decoder made, or has in its tables: they are never changed, so that a request may
// point to them, and many requests may share one.
type RequestHead struct {
	Bad    string // how it breaks the protocol; "" when it does not
	Fault  Fault  // why the request is answered by Refuse
	Expect bool   // the client waits for a 100

	req     *message.Request
	crumbed *[]byte // the memory of a Cookie field that came in crumbs
	lim     *Limits
	trailer bool
	size    int   // as in SETTINGS_MAX_HEADER_LIST_SIZE
	seen    uint8 // pseudo-header fields
	regular bool  // another field was seen

	scheme, path, authority, host string
	priority                      string // the field Priority

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

// Begin prepares h for the head of a request, or for its trailer section. Cookie is
// memory that the request may point to.
func (h *RequestHead) Begin(lim *Limits, req *message.Request, cookie *[]byte, trailer bool) {
	*h = RequestHead{req: req, crumbed: cookie, lim: lim, trailer: trailer, length: message.Unknown}
}

// breaks notes how the head breaks the protocol; the first reason stays.
func (h *RequestHead) breaks(why string) {
	if h.Bad == "" {
		h.Bad = why
	}
}

// Refuse notes why the request is answered without reaching the Handler; the first
// reason stays.
func (h *RequestHead) Refuse(f Fault) {
	if h.Fault == NoFault {
		h.Fault = f
	}
}

// field is what hpack calls for each field.
func (c *ServerConn) field(f hpack.HeaderField) {
	if !c.head.Field(f.Name, f.Value) {
		c.dec.SetEmitEnabled(false)
	}
}

// Field takes a field; false: the head is too large, and no more of it is wanted.
func (h *RequestHead) Field(name, value string) bool {
	h.size += len(name) + len(value) + 32
	switch {
	case h.size > or(h.lim.MaxHeaderList, DefaultLimits.MaxHeaderList):
		h.Refuse(HeadTooLarge)
		return false
	case name == "":
		h.breaks("a field has no name")
	case name[0] == ':':
		h.pseudo(name, value)
	default:
		h.regular = true
		h.plain(name, value)
	}
	return true
}

// pseudo takes a pseudo-header field (RFC 9113, section 8.3).
func (h *RequestHead) pseudo(name, value string) {
	if h.trailer || h.regular {
		h.breaks("a pseudo-header field stands in the wrong place")
		return
	}
	saw := uint8(0)
	switch name {
	case ":method":
		saw, h.req.Method = sawMethod, value
	case ":scheme":
		saw, h.scheme = sawScheme, value
	case ":path":
		saw, h.path = sawPath, value
		if len(value) > or(h.lim.MaxField, DefaultLimits.MaxField) {
			h.Refuse(PathTooLong)
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
func (h *RequestHead) plain(name, value string) {
	class := classify(name)
	switch {
	case class == 0:
		h.breaks("a field name is not a token in lower case")
		return
	case !validValue(value):
		h.breaks("a field value is not valid")
		return
	case len(name)+len(value) > or(h.lim.MaxField, DefaultLimits.MaxField):
		h.Refuse(FieldTooLong)
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
		h.Expect = h.Expect || strings.EqualFold(value, "100-continue")
	default:
		if name == "priority" {
			h.priority = value
		}
		h.req.Header.Append(known, name, value)
	}
}

// addTrailer adds a field of the trailer section, unless it is one that must not
// stand there (RFC 9110, section 6.5.1).
func (h *RequestHead) addTrailer(known message.Known, name, value string) {
	switch known {
	case message.Host, message.ContentLength, message.TE, message.Trailer, message.Expect, message.Range,
		message.Authorization, message.ProxyAuthorization, message.Cookie, message.SetCookie, message.CacheControl,
		message.ContentType, message.ContentEncoding, message.XForwardedFor, message.XForwardedHost,
		message.XForwardedPort, message.XForwardedProto, message.XRealIP:
		return
	}
	h.req.Trailer.Append(known, name, value)
}

// crumb takes a Cookie field: several are one that was cut (RFC 9113, section 8.2.3).
func (h *RequestHead) crumb(value string) {
	switch h.crumbs++; h.crumbs {
	case 1:
		h.cookie = value
		return
	case 2:
		*h.crumbed = append((*h.crumbed)[:0], h.cookie...)
	}
	*h.crumbed = append(*h.crumbed, "; "...)
	*h.crumbed = append(*h.crumbed, value...)
}

// Finish completes a request from what was decoded and looks at it as a whole. Body
// is nil when the head is all of it. Scheme is how it has arrived, "" when :scheme is
// taken for true.
func (h *RequestHead) Finish(body message.Body, scheme string) {
	r := h.req
	switch h.crumbs {
	case 0:
	case 1:
		r.Header.AddKnown(message.Cookie, h.cookie)
	default:
		r.Header.AddKnown(message.Cookie, message.String(*h.crumbed))
	}
	r.Version = message.HTTP2
	r.Target = h.path
	r.Length, r.Body = h.length, body
	if body == nil {
		if h.length > 0 {
			h.breaks("Content-Length announces a body that is not there")
		}
		r.Length = 0
	}
	if h.Fault == HeadTooLarge {
		h.incomplete(scheme)
		return // what is missing may have been cut off
	}
	h.finishTarget()
	h.finishHost()
	h.finishScheme(scheme)
}

// incomplete fills in a request whose head was not read to the end.
func (h *RequestHead) incomplete(scheme string) {
	r := h.req
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

func (h *RequestHead) finishTarget() {
	r := h.req
	if h.seen&sawMethod == 0 {
		h.breaks(":method is missing")
		return
	}
	if !isMethod(r.Method) {
		h.Refuse(BadMethod)
		return
	}
	if r.Method == "CONNECT" {
		if h.seen&(sawScheme|sawPath) != 0 || h.seen&sawAuthority == 0 {
			h.breaks("CONNECT has other pseudo-header fields than :method and :authority")
		}
		h.Refuse(MethodConnect)
		return
	}
	switch {
	case h.path == "":
		h.breaks(":path is missing or empty")
	case r.Method == "TRACE":
		h.Refuse(MethodTrace)
	case r.Method == "OPTIONS" && h.path == "*":
	case !validPath(h.path):
		h.Refuse(BadPath)
	}
}

func (h *RequestHead) finishHost() {
	r := h.req
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
		h.Refuse(NoHost)
	case !message.ValidHost(r.Host):
		h.Refuse(BadHost)
	}
}

// finishScheme decides on the scheme: how requests arrive here is known better by
// the listener than by the client.
func (h *RequestHead) finishScheme(scheme string) {
	r := h.req
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
		h.Refuse(BadScheme)
		h.scheme = "http"
	}
	if scheme == "" {
		r.Scheme = h.scheme
	}
}
