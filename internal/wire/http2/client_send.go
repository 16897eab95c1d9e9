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
	case c.dead, c.leaving:
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
	s.id, s.opened = c.nextID, true
	c.nextID += 2
	s.recvWin, s.sendWin, s.toCome = clientWindow, c.initWin, message.Unknown
	c.endBlock(at, s.id)
	s.gen, s.at, s.bare = c.gen, at, true
	c.streams = append(c.streams, s)
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

// endBlock completes the frame that begins at at, and cuts it in several when it is
// too large for one.
func (c *ClientConn) endBlock(at int, id uint32) {
	n := len(c.out) - at - headerSize
	if n <= maxFrame {
		setLength(c.out, at, n)
		return
	}
	setLength(c.out, at, maxFrame)
	c.out[at+4] &^= flagEndHeaders
	rest := append([]byte(nil), c.out[at+headerSize+maxFrame:]...)
	c.out = c.out[:at+headerSize+maxFrame]
	for len(rest) > 0 {
		k, flags := min(len(rest), maxFrame), uint8(0)
		if k == len(rest) {
			flags = flagEndHeaders
		}
		c.out = append(appendFrame(c.out, k, frameContinuation, flags, id), rest[:k]...)
		rest = rest[k:]
	}
}

// Write sends bytes of the request's body. It waits for the server's windows, and when
// much is queued already.
func (s *ClientStream) Write(p []byte) (int, error) {
	switch {
	case s.err != nil:
		return 0, s.err
	case !s.opened, s.localDone, s.left >= 0 && int64(len(p)) > s.left:
		return 0, ErrSequence
	}
	n, err := s.send(p)
	if s.left >= 0 {
		s.left -= int64(n)
	}
	s.c.unblock()
	return n, err
}

// send queues p as DATA, as the windows and the queue allow.
func (s *ClientStream) send(p []byte) (int, error) {
	c, sent, turn := s.c, 0, 0
	for len(p) > 0 {
		if s.err != nil {
			return sent, s.err
		}
		n := min(int64(len(p)), maxFrame, s.sendWin, c.sendWin, int64(c.room()))
		if n <= 0 || turn >= share && len(c.blocked) > 0 {
			if err := s.waitTurn(); err != nil {
				return sent, err
			}
			turn = 0
			continue
		}
		if n < small && n < int64(len(p)) { // a window of a few bytes
			if err := c.glitch(2); err != nil {
				c.fail(err)
				return sent, s.err
			}
		}
		c.queue(int(n), frameData, 0, s.id)
		c.strain.updates += 2
		s.gen, s.at, s.bare = c.gen, len(c.out)-headerSize, false
		c.out = append(c.out, p[:n]...)
		s.sendWin -= n
		c.sendWin -= n
		p = p[n:]
		sent += int(n)
		turn += int(n)
	}
	return sent, nil
}

// waitTurn waits until the stream may try to send again.
func (s *ClientStream) waitTurn() error {
	c, w := s.c, &s.writeWait
	if s.sendWin > 0 {
		c.blocked = append(c.blocked, s)
		s.queued = true
		c.unblock() // when it was only another one's turn
	}
	w.begin(c.l)
	if s.writeFor > 0 {
		w.until = c.l.Now().Add(s.writeFor)
		c.arm(w.until)
	}
	err := w.end(c.l.Park())
	if s.queued {
		s.leaveQueue()
	}
	if errors.Is(err, loop.ErrTimeout) {
		c.probe()
		s.cancel(CodeCancel, err)
		c.remove(s)
	}
	return err
}

// windowOpened wakes the stream if it waits for its own window.
func (s *ClientStream) windowOpened() {
	if s.sendWin > 0 && !s.queued {
		s.writeWait.wake(nil)
	}
}

// leaveQueue takes the stream out of those that are blocked.
func (s *ClientStream) leaveQueue() {
	s.queued = false
	b := s.c.blocked
	for i, o := range b {
		if o == s {
			copy(b[i:], b[i+1:])
			b[len(b)-1] = nil
			s.c.blocked = b[:len(b)-1]
			return
		}
	}
}

// unblock lets the first of the blocked streams go on, if it can. Each wakes the next
// when it has had its share.
func (c *ClientConn) unblock() {
	if len(c.blocked) == 0 || c.sendWin <= 0 || c.room() == 0 {
		return
	}
	s := c.blocked[0]
	s.leaveQueue()
	s.writeWait.wake(nil)
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
		c.queue(0, frameHeaders, flagEndHeaders|flagEndStream, s.id)
		at := len(c.out) - headerSize
		out, err := appendFields(c.out, trailer, false)
		if err != nil {
			c.out = c.out[:at]
			return err
		}
		c.out = out
		c.endBlock(at, s.id)
	case s.gen == c.gen && !(s.bare && s.left == message.Unknown): // a body of gRPC that turns out to be empty ends in a DATA frame
		c.out[s.at+4] |= flagEndStream
	default:
		c.queue(0, frameData, flagEndStream, s.id)
	}
	s.localDone = true
	if s.remoteDone {
		c.remove(s)
	}
	return nil
}

// WriteLast is Write and then Finish.
func (s *ClientStream) WriteLast(p []byte, trailer *message.Header) error {
	if len(p) > 0 {
		if _, err := s.Write(p); err != nil {
			return err
		}
	}
	return s.Finish(trailer)
}
