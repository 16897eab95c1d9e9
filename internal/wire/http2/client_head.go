package http2

import (
	"github.com/pierhead/pierhead/internal/message"
	"golang.org/x/net/http2/hpack"
)

// clientHead is a head or trailer section of an answer while it is decoded.
type clientHead struct {
	s       *ClientStream
	fields  *message.Header
	trailer bool
	bad     bool
	large   bool
	regular bool // a field that is no pseudo-header field was seen
	status  int
	size    int   // as in SETTINGS_MAX_HEADER_LIST_SIZE
	length  int64 // Content-Length, or message.Unknown
}

// fieldBlock decodes a whole field block and acts on it. Every block is decoded, also
// one that is thrown away, since it changes the table of HPACK.
func (c *ClientConn) fieldBlock(b block, p []byte) error {
	if c.isIdle(b.id) {
		return &ConnError{CodeProtocol, "HEADERS on an idle stream"}
	}
	f := c.streams.find(b.id)
	if f == nil {
		if err := c.decode(p, false); err != nil {
			return err
		}
		return c.glitch(1) // it crossed our RST_STREAM
	}
	s, h := f.own.(*ClientStream), &c.head
	*h = clientHead{s: s, fields: &s.head, length: message.Unknown}
	if s.headCame {
		h.trailer, h.fields = true, &s.trailer
	} else {
		s.head.Reset() // an interim head that nobody has read gives way to the next
	}
	if err := c.decode(p, true); err != nil {
		return err
	}
	return c.finishBlock(h, b.flags&flagEndStream != 0)
}

// finishBlock looks at a head or trailer section as a whole.
func (c *ClientConn) finishBlock(h *clientHead, end bool) error {
	s := h.s
	interim := !h.trailer && h.status < 200
	switch {
	case s.remoteDone:
		return c.offend(&s.flow, CodeStreamClosed)
	case h.large:
		c.reset(&s.flow, CodeCancel, ErrHeadTooLarge)
		return nil
	case h.bad, h.trailer && !end, !h.trailer && h.status == 0, interim && end, h.status == 101:
		return c.offend(&s.flow, CodeProtocol)
	}
	return s.take(h, interim, end)
}

// field is what hpack calls for each field.
func (c *ClientConn) field(f hpack.HeaderField) {
	h := &c.head
	h.size += len(f.Name) + len(f.Value) + 32
	switch {
	case h.size > clientHeadList:
		h.large = true
		c.dec.SetEmitEnabled(false)
	case f.Name == ":status" && !h.trailer && !h.regular && h.status == 0:
		n, ok := parseLength(f.Value)
		h.status = int(n)
		h.bad = h.bad || !ok || len(f.Value) != 3 || n < 100
	case classify(f.Name) == 0 || !validValue(f.Value):
		h.bad = true // also another pseudo-header field
	default:
		h.regular = true
		h.plain(f.Name, f.Value)
	}
}

// plain takes any other field than :status.
func (h *clientHead) plain(name, value string) {
	known := message.LookupKnown(name)
	switch known {
	case message.Connection, message.KeepAlive, message.ProxyConnection, message.TransferEncoding, message.Upgrade:
		h.bad = true
		return
	case message.ContentLength:
		n, ok := parseLength(value)
		h.bad = h.bad || !ok || h.length != message.Unknown && h.length != n
		h.length = n
		return
	}
	h.fields.Append(known, name, value)
}
