package http2

import (
	"encoding/binary"

	"github.com/pierhead/pierhead/internal/message"
	"golang.org/x/net/http2/hpack"
)

// block is a field block that arrives in HEADERS and CONTINUATION frames. It is
// put together before it is decoded; its size is bounded.
type block struct {
	id    uint32 // 0: none
	flags uint8  // of HEADERS
	self  bool   // the stream depends on itself
	bytes int    // of all frames
	buf   []byte
}

// onHeaders begins a field block: a request, or the trailer section of one.
func (c *ServerConn) onHeaders(f frame, p []byte) error {
	if f.id == 0 {
		return &ConnError{CodeProtocol, "HEADERS on stream 0"}
	}
	if f.id&1 == 0 {
		return &ConnError{CodeProtocol, "HEADERS on a stream with an even ID"}
	}
	b := block{id: f.id, flags: f.flags, bytes: headerSize + f.length}
	p, err := b.strip(f, p)
	if err != nil {
		return err
	}
	if f.has(flagEndHeaders) {
		return c.fieldBlock(&b, p)
	}
	b.buf = append([]byte(nil), p...)
	c.block = b
	c.begun = c.l.Now()
	return c.glitch(1)
}

// strip takes padding and priority off the payload of HEADERS.
func (b *block) strip(f frame, p []byte) ([]byte, error) {
	pad := 0
	if f.has(flagPadded) {
		if len(p) == 0 {
			return nil, &ConnError{CodeFrameSize, "HEADERS is too short for its padding"}
		}
		pad, p = int(p[0]), p[1:]
	}
	if f.has(flagPriority) {
		if len(p) < 5 {
			return nil, &ConnError{CodeFrameSize, "HEADERS is too short for its priority"}
		}
		b.self = binary.BigEndian.Uint32(p)&idMask == f.id
		p = p[5:]
	}
	if pad > len(p) {
		return nil, &ConnError{CodeProtocol, "HEADERS has more padding than payload"}
	}
	return p[:len(p)-pad], nil
}

// onContinuation goes on with the field block (CVE-2024-24549, CVE-2023-45288: its
// size, its time and the number of small frames are bounded).
func (c *ServerConn) onContinuation(f frame, p []byte) error {
	b := &c.block
	b.bytes += headerSize + f.length
	b.buf = append(b.buf, p...)
	if len(b.buf) > 2*c.maxHeaderList()+maxFrame {
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

func (c *ServerConn) maxHeaderList() int {
	return or(c.cfg.limits().MaxHeaderList, DefaultLimits.MaxHeaderList)
}

// fieldBlock decodes a whole field block and acts on it. Every block is decoded,
// also one that is thrown away, since it changes the table of HPACK.
func (c *ServerConn) fieldBlock(b *block, p []byte) error {
	s := c.streams.find(b.id)
	if s == nil && b.id > c.lastID {
		return c.openStream(b, p)
	}
	switch {
	case s == nil && c.wasReset(b.id):
		c.isLate(b.id, b.flags&flagEndStream != 0)
		return c.decode(nil, p)
	case s == nil && c.wasOpened(b.id):
		return &ConnError{CodeStreamClosed, "HEADERS on a closed stream"}
	case s == nil:
		return &ConnError{CodeProtocol, "HEADERS on a stream below the last one"}
	case s.remoteDone:
		if err := c.decode(nil, p); err != nil {
			return err
		}
		return c.offend(s, CodeStreamClosed)
	}
	return c.trailers(s, b, p)
}

// trailers takes the trailer section of a request.
func (c *ServerConn) trailers(s *stream, b *block, p []byte) error {
	h := &c.head
	h.Begin(c.cfg.limits(), &s.req, &s.cookie, true)
	if err := c.decode(h, p); err != nil {
		return err
	}
	bad, fault := h.Bad != "" || b.self || b.flags&flagEndStream == 0, h.Fault
	*h = RequestHead{}
	switch {
	case bad:
		return c.offend(s, CodeProtocol)
	case fault != NoFault:
		return c.offend(s, CodeEnhanceYourCalm)
	}
	return c.remoteEnd(s)
}

// openStream takes a request.
func (c *ServerConn) openStream(b *block, p []byte) error {
	c.noteOpened(b.id)
	if b.id > c.goAwayID {
		c.noteReset(b.id) // it crossed our GOAWAY: the client sends it elsewhere
		return c.decode(nil, p)
	}
	if len(c.streams) >= c.max || c.running >= 2*c.max {
		if err := c.decode(nil, p); err != nil {
			return err
		}
		c.noteReset(b.id)
		c.writeReset(b.id, CodeRefusedStream)
		return c.glitch(1)
	}
	s := newStream(c, b.id)
	h := &c.head
	h.Begin(c.cfg.limits(), &s.req, &s.cookie, false)
	if err := c.decode(h, p); err != nil {
		s.free()
		return err
	}
	h.Finish(s.bodyOf(b), c.cfg.Scheme)
	s.expect, s.toCome = h.Expect, s.req.Length
	bad, fault := h.Bad != "" || b.self, h.Fault
	*h = RequestHead{}
	if bad {
		s.free()
		c.noteReset(b.id)
		c.writeReset(b.id, CodeProtocol)
		return c.glitch(offence)
	}
	s.req.Size = int64(b.bytes)
	s.fault = fault
	c.start(s)
	if fault != NoFault {
		return c.glitch(offence)
	}
	return nil
}

// bodyOf returns the body of the request that b opens, or nil.
func (s *stream) bodyOf(b *block) message.Body {
	if b.flags&flagEndStream != 0 {
		s.remoteDone = true
		return nil
	}
	return (*requestBody)(s)
}

// decode gives the fields of a block to h, or to nobody.
func (c *ServerConn) decode(h *RequestHead, p []byte) error {
	c.dec.SetEmitEnabled(h != nil)
	_, err := c.dec.Write(p)
	if err == nil {
		err = c.dec.Close()
	}
	switch {
	case err == hpack.ErrStringLength:
		return &ConnError{CodeEnhanceYourCalm, "a field is far too long"}
	case err != nil:
		return &ConnError{CodeCompression, err.Error()}
	}
	return nil
}
