package http2

import "github.com/pierhead/pierhead/internal/message"

// fieldBlock decodes a whole field block and acts on it. Every block is decoded,
// also one that is thrown away, since it changes the table of HPACK.
func (c *ServerConn) fieldBlock(b block, p []byte) error {
	s := c.streams.find(b.id)
	if s == nil && b.id > c.lastID {
		return c.openStream(b, p)
	}
	switch {
	case s == nil && c.wasReset(b.id):
		c.isLate(b.id, b.flags&flagEndStream != 0)
		return c.decode(p, false)
	case s == nil && c.wasOpened(b.id):
		return &ConnError{CodeStreamClosed, "HEADERS on a closed stream"}
	case s == nil:
		return &ConnError{CodeProtocol, "HEADERS on a stream below the last one"}
	case s.remoteDone:
		if err := c.decode(p, false); err != nil {
			return err
		}
		return c.offend(s, CodeStreamClosed)
	}
	return c.trailers(s.own.(*stream), b, p)
}

// trailers takes the trailer section of a request.
func (c *ServerConn) trailers(s *stream, b block, p []byte) error {
	h := &c.head
	h.Begin(c.cfg.limits(), &s.req, &s.cookie, true)
	if err := c.decode(p, true); err != nil {
		return err
	}
	bad, fault := h.Bad != "" || b.self || b.flags&flagEndStream == 0, h.Fault
	*h = RequestHead{}
	switch {
	case bad:
		return c.offend(&s.flow, CodeProtocol)
	case fault != NoFault:
		return c.offend(&s.flow, CodeEnhanceYourCalm)
	}
	return c.remoteEnd(&s.flow)
}

// openStream takes a request.
func (c *ServerConn) openStream(b block, p []byte) error {
	c.noteOpened(b.id)
	if b.id > c.goAwayID {
		c.noteReset(b.id) // it crossed our GOAWAY: the client sends it elsewhere
		return c.decode(p, false)
	}
	if len(c.streams) >= c.max || c.running >= 2*c.max {
		if err := c.decode(p, false); err != nil {
			return err
		}
		c.noteReset(b.id)
		c.writeReset(b.id, CodeRefusedStream)
		return c.glitch(1)
	}
	s := newStream(c, b.id)
	h := &c.head
	h.Begin(c.cfg.limits(), &s.req, &s.cookie, false)
	if err := c.decode(p, true); err != nil {
		s.free()
		return err
	}
	h.Finish(s.bodyOf(b), c.cfg.Scheme)
	c.prioritize(s, h.priority)
	s.expect, s.toCome, s.headCame = h.Expect, s.req.Length, true
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
func (s *stream) bodyOf(b block) message.Body {
	if b.flags&flagEndStream != 0 {
		s.remoteDone = true
		return nil
	}
	return (*requestBody)(s)
}
