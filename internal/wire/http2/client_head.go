package http2

import (
	"github.com/pierhead/pierhead/internal/message"
	"golang.org/x/net/http2/hpack"
)

// clientHead is a head or trailer section of an answer while it is decoded.
type clientHead struct {
	s       *ClientStream // nil: thrown away
	fields  *message.Header
	trailer bool
	bad     bool
	large   bool
	regular bool // a field that is no pseudo-header field was seen
	status  int
	size    int   // as in SETTINGS_MAX_HEADER_LIST_SIZE
	length  int64 // Content-Length, or message.Unknown
}

// onHeaders begins a field block: a head of an answer, or its trailers.
func (c *ClientConn) onHeaders(f frame, p []byte) error {
	if f.id == 0 {
		return &ConnError{CodeProtocol, "HEADERS on stream 0"}
	}
	b := block{id: f.id, flags: f.flags}
	p, err := b.strip(f, p)
	if err != nil {
		return err
	}
	if f.has(flagEndHeaders) {
		return c.fieldBlock(&b, p)
	}
	b.buf = append([]byte(nil), p...)
	c.block = b
	return c.glitch(1)
}

func (c *ClientConn) onContinuation(f frame, p []byte) error {
	b := &c.block
	b.buf = append(b.buf, p...)
	if len(b.buf) > 2*clientHeadList+maxFrame {
		return &ConnError{CodeEnhanceYourCalm, "a field block is too large"}
	}
	if f.has(flagEndHeaders) {
		whole := *b
		c.block = block{}
		return c.fieldBlock(&whole, whole.buf)
	}
	if len(p) < 1024 {
		return c.glitch(offence)
	}
	return nil
}

// fieldBlock decodes a whole field block and acts on it. Every block is decoded, also
// one that is thrown away, since it changes the table of HPACK.
func (c *ClientConn) fieldBlock(b *block, p []byte) error {
	s := c.find(b.id)
	h := &c.head
	*h = clientHead{s: s, length: message.Unknown}
	if s != nil {
		if h.fields = &s.head; s.final {
			h.trailer, h.fields = true, &s.trailer
		} else {
			s.head.Reset() // an interim head that nobody has read gives way to the next
		}
	}
	c.dec.SetEmitEnabled(s != nil)
	_, err := c.dec.Write(p)
	if err == nil {
		err = c.dec.Close()
	}
	switch {
	case err == hpack.ErrStringLength:
		return &ConnError{CodeEnhanceYourCalm, "a field is far too long"}
	case err != nil:
		return &ConnError{CodeCompression, err.Error()}
	case s == nil:
		return c.glitch(1) // it crossed our RST_STREAM
	}
	return c.finishBlock(h, b.flags&flagEndStream != 0)
}

// finishBlock looks at a head or trailer section as a whole.
func (c *ClientConn) finishBlock(h *clientHead, end bool) error {
	s := h.s
	interim := !h.trailer && h.status < 200
	switch {
	case s.remoteDone:
		s.offend(CodeStreamClosed)
	case h.large:
		s.cancel(CodeCancel, ErrHeadTooLarge)
		c.remove(s)
		return nil
	case h.bad, h.trailer && !end, !h.trailer && h.status == 0, interim && end, h.status == 101:
		s.offend(CodeProtocol)
	default:
		return s.take(h, interim, end)
	}
	return c.glitch(offence)
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
