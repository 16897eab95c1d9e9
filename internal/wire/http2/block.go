package http2

import (
	"encoding/binary"

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

// onHeaders begins a field block: a head, or a trailer section.
func (c *conn) onHeaders(f frame, p []byte) error {
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
		return c.side.fieldBlock(b, p)
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
func (c *conn) onContinuation(f frame, p []byte) error {
	b := &c.block
	b.bytes += headerSize + f.length
	b.buf = append(b.buf, p...)
	if len(b.buf) > 2*c.maxHeaderList()+maxFrame {
		return &ConnError{CodeEnhanceYourCalm, "a field block is too large"}
	}
	if f.has(flagEndHeaders) {
		whole := *b
		c.block = block{}
		return c.side.fieldBlock(whole, whole.buf)
	}
	if len(p) < 1024 {
		return c.glitch(offence)
	}
	return nil
}

func (c *conn) maxHeaderList() int {
	return or(c.side.limits().MaxHeaderList, DefaultLimits.MaxHeaderList)
}

// decode gives the fields of a block to the side, or to nobody.
func (c *conn) decode(p []byte, wanted bool) error {
	c.dec.SetEmitEnabled(wanted)
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
