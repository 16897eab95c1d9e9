package http3

import (
	"io"
	"time"

	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/qpack"
)

// maxIgnored is how many bytes of frames without a meaning one request may have.
const maxIgnored = 16 << 10

// readHead reads up to the end of the head.
func (s *stream) readHead() error {
	for {
		kind, length, err := s.in.header()
		switch {
		case err == io.EOF:
			return &streamError{codeRequestIncomplete, "a request without a head"}
		case err == io.ErrUnexpectedEOF:
			return &connError{codeFrame, "a frame is cut off"}
		case err != nil:
			return err
		case kind == frameHeaders:
			return s.head(length)
		case known(kind):
			return &connError{codeFrameUnexpected, "a request does not begin with HEADERS"}
		}
		if err := s.ignore(length); err != nil {
			return err
		}
	}
}

// ignore passes a frame over that has no meaning.
func (s *stream) ignore(length uint64) error {
	if s.ignored += int(min(length, maxIgnored)) + 64; s.ignored > maxIgnored || !s.c.glitch(1) {
		return &connError{codeExcessiveLoad, "too many frames without a meaning"}
	}
	if err := s.in.skip(length); err == io.ErrUnexpectedEOF {
		return &connError{codeFrame, "a frame is cut off"}
	} else if err != nil {
		return err
	}
	return nil
}

// head reads the head of the request and looks at it.
func (s *stream) head(length uint64) error {
	var h http2.RequestHead
	lim := s.c.cfg.limits()
	h.Begin(lim, &s.req, &s.cookie, false)
	s.req.Size = int64(min(length, 1<<30))
	body := message.Body((*requestBody)(s))
	if length > maxSection(lim) {
		h.Refuse(http2.HeadTooLarge)
	} else {
		if err := s.section(&h, length); err != nil {
			return err
		}
		if s.awaitEnd() {
			body = nil
		}
	}
	h.Finish(body, "https")
	if h.Bad != "" {
		return &streamError{codeMessage, h.Bad}
	}
	s.req.Version = message.HTTP3
	s.fault, s.expect, s.toCome = h.Fault, h.Expect, s.req.Length
	return nil
}

// endWait is how long the end of a request without a body may come after its head.
const endWait = time.Second

// awaitEnd reports whether the head is all of the request. Many clients send the end in a
// packet of its own; a GET that does not wait for it would be one with a body.
func (s *stream) awaitEnd() bool {
	if m := s.req.Method; (m == "GET" || m == "HEAD") && len(s.in.left()) == 0 && !s.in.eof {
		if d, ok := s.in.src.(interface{ SetReadDeadline(time.Time) error }); ok {
			d.SetReadDeadline(time.Now().Add(endWait))
		}
		s.in.fill() // what goes wrong, who reads the body learns
	}
	return s.in.ended()
}

// early decides on a request that came before the handshake was over: somebody may have
// recorded it and send it again. It must not change anything, and who gets it is told
// (RFC 8470).
func (s *stream) early() {
	select {
	case <-s.c.qc.HandshakeComplete():
		return
	default:
	}
	switch s.req.Method {
	case "GET", "HEAD", "OPTIONS":
		s.req.Header.Set("Early-Data", "1")
	default:
		if s.fault == http2.NoFault {
			s.fault = http2.TooEarly
		}
	}
}

// maxSection is the longest field section that is read at all. One that is compressed
// badly may be longer than its fields.
func maxSection(lim *http2.Limits) uint64 {
	return 2 * uint64(or(lim.MaxHeaderList, http2.DefaultLimits.MaxHeaderList))
}

// trailers reads the trailer section.
func (s *stream) trailers(length uint64) error {
	var h http2.RequestHead
	lim := s.c.cfg.limits()
	h.Begin(lim, &s.req, &s.cookie, true)
	if length > maxSection(lim) {
		return &streamError{codeExcessiveLoad, "the trailer section is too large"}
	}
	if err := s.section(&h, length); err != nil {
		return err
	}
	switch {
	case h.Bad != "":
		return &streamError{codeMessage, h.Bad}
	case h.Fault != http2.NoFault:
		return &streamError{codeExcessiveLoad, h.Fault.String()}
	}
	s.trailed = true
	return nil
}

// section reads a field section and gives its fields to h.
func (s *stream) section(h *http2.RequestHead, length uint64) error {
	p, err := s.in.payload(int(length))
	if err == io.ErrUnexpectedEOF {
		return &connError{codeFrame, "a frame is cut off"}
	}
	if err != nil {
		return err
	}
	return decode(h, p)
}

// decode gives the fields of a section to h.
func decode(h *http2.RequestHead, p []byte) error {
	next := qpack.NewDecoder().Decode(p)
	for {
		f, err := next()
		if err == io.EOF && len(p) >= 2 {
			return nil
		}
		if err != nil {
			return &connError{codeDecompression, "QPACK: " + err.Error()}
		}
		if !h.Field(f.Name, f.Value) {
			return nil
		}
	}
}
