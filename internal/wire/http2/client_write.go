package http2

import (
	"errors"
	"fmt"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// WriteHead opens the stream with the head of r, which leaves at the end of the turn.
// The body's length is r.Length; Host is written as :authority.
func (s *ClientStream) WriteHead(r *message.Request) error {
	c := s.c
	switch {
	case s.opened:
		return ErrSequence
	case c.Over():
		return ErrRefused
	case !isMethod(r.Method) || !validPath(r.Target) && r.Target != "*" || !Sendable(r.Host):
		return BadPath
	}
	c.queue(0, frameHeaders, flagEndHeaders, c.nextID)
	at, sized := len(c.out)-headerSize, c.sized
	if !sized {
		c.sized = true
		c.out = append(c.out, noTable)
	}
	c.pseudo(r)
	if r.Length > 0 || r.Length == 0 && r.Body == nil && (r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH") {
		c.out = appendName(c.out, nameContentLength)
		c.out = appendNumber(c.out, r.Length)
	}
	out, err := appendFields(c.out, &r.Header, true)
	if err != nil {
		c.out, c.sized = c.out[:at], sized
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c.out = out
	s.open(at)
	s.asksHead, s.left = r.Method == "HEAD", r.Length
	return nil
}

// open makes the stream one of the connection's, whose head stands in the queue.
func (s *ClientStream) open(at int) {
	c := s.c
	s.begin(s, &c.conn, c.nextID)
	s.opened = true
	c.nextID += 2
	s.endBlock(at)
	s.gen, s.at = c.gen, at
	c.streams.add(&s.flow)
	c.strain.updates += 2
	if c.parked && len(c.streams) == 1 {
		c.s.SetReadDeadline(c.readDeadline())
	}
}

// The indexes of the pseudo-header fields in HPACK's static table.
const (
	nameAuthority = 1
	fieldGET      = 2
	fieldPOST     = 3
	namePath      = 4
	fieldHTTP     = 6
	fieldHTTPS    = 7
	nameMethod    = 2
)

func (c *ClientConn) pseudo(r *message.Request) {
	switch r.Method {
	case "GET":
		c.out = append(c.out, 0x80|fieldGET)
	case "POST":
		c.out = append(c.out, 0x80|fieldPOST)
	default:
		c.out = appendString(appendName(c.out, nameMethod), r.Method)
	}
	scheme := byte(fieldHTTP)
	if c.cfg.Secure {
		scheme = fieldHTTPS
	}
	c.out = append(c.out, 0x80|scheme)
	c.out = appendString(appendName(c.out, namePath), r.Target)
	c.out = appendString(appendName(c.out, nameAuthority), r.Host)
}

func appendString(b []byte, v string) []byte { return append(appendInt(b, len(v)), v...) }

// Write sends bytes of the request's body. It waits for the server's windows, and when
// much is queued already.
func (s *ClientStream) Write(p []byte) (int, error) {
	switch {
	case s.err != nil:
		return 0, s.err
	case !s.opened, s.localDone, s.left >= 0 && int64(len(p)) > s.left:
		return 0, ErrSequence
	}
	n, err := s.write(p)
	if errors.Is(err, loop.ErrTimeout) {
		s.c.probe()
	}
	return n, err
}

// Flush does nothing: what was written leaves at the end of the turn anyway.
func (s *ClientStream) Flush() error { return nil }

// Finish ends the request's body; trailer may be nil.
func (s *ClientStream) Finish(trailer *message.Header) error {
	c := s.c
	switch {
	case s.err != nil:
		return s.err
	case !s.opened, s.localDone, s.left > 0:
		return ErrSequence
	}
	switch {
	case trailer != nil && trailer.Len() > 0:
		if err := s.trailers(trailer); err != nil {
			return err
		}
	case s.left == message.Unknown && s.gen == c.gen && c.out[s.at+3] == frameHeaders:
		c.queue(0, frameData, flagEndStream, s.id) // so ends a body of gRPC that turns out to be empty
	default:
		s.endStream()
	}
	s.localEnd()
	return nil
}

// WriteLast is Write and then Finish.
func (s *ClientStream) WriteLast(p []byte, trailer *message.Header) error {
	return writeLast(s, p, trailer)
}

var _ loop.Stream = (*ClientStream)(nil)
