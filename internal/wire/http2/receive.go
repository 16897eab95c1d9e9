package http2

import (
	"encoding/binary"
)

// check refuses a frame that cannot come now, whatever it holds.
func (c *ServerConn) check(f frame) error {
	switch {
	case f.length > maxFrame:
		return &ConnError{CodeFrameSize, "a frame is larger than SETTINGS_MAX_FRAME_SIZE"}
	case !c.settled && (f.kind != frameSettings || f.has(flagAck)):
		return &ConnError{CodeProtocol, "the first frame is not SETTINGS"}
	case c.block.id != 0 && (f.kind != frameContinuation || f.id != c.block.id):
		return &ConnError{CodeProtocol, "a field block is interrupted by another frame"}
	case c.block.id == 0 && f.kind == frameContinuation:
		return &ConnError{CodeProtocol, "CONTINUATION does not follow HEADERS"}
	}
	return nil
}

// dispatch acts on a whole frame that is not DATA.
func (c *ServerConn) dispatch(f frame, p []byte) error {
	switch f.kind {
	case frameHeaders:
		return c.onHeaders(f, p)
	case frameContinuation:
		return c.onContinuation(f, p)
	case framePriority:
		return c.onPriority(f, p)
	case frameRSTStream:
		return c.onRSTStream(f, p)
	case frameSettings:
		return c.onSettings(f, p)
	case framePing:
		return c.onPing(f, p)
	case frameGoAway:
		return c.onGoAway(f, p)
	case frameWindowUpdate:
		return c.onWindowUpdate(f, p)
	case framePushPromise:
		return &ConnError{CodeProtocol, "a client sent PUSH_PROMISE"}
	}
	return c.glitch(1) // of a type that we do not know, which is allowed
}

// isIdle reports whether the client has not opened the stream yet; one with an
// even ID never can.
func (c *ServerConn) isIdle(id uint32) bool { return id&1 == 0 || id > c.lastID }

// wasOpened reports whether the client opened the stream, as far as is remembered.
func (c *ServerConn) wasOpened(id uint32) bool {
	back := (c.lastID - id) / 2
	return back >= 64 || c.used>>back&1 != 0
}

// noteOpened remembers that the client opened a stream, which skips those between.
func (c *ServerConn) noteOpened(id uint32) {
	c.used = c.used<<((id-c.lastID+1)/2) | 1
	c.lastID = id
}

// onPriority checks and ignores a PRIORITY frame.
func (c *ServerConn) onPriority(f frame, p []byte) error {
	code, reason := CodeNo, ""
	switch {
	case f.id == 0:
		return &ConnError{CodeProtocol, "PRIORITY on stream 0"}
	case len(p) != 5:
		code, reason = CodeFrameSize, "PRIORITY is not 5 bytes long"
	case binary.BigEndian.Uint32(p)&idMask == f.id:
		code, reason = CodeProtocol, "a stream depends on itself"
	default:
		return c.glitch(1)
	}
	if s := c.streams.find(f.id); s != nil {
		return c.offend(s, code)
	}
	return &ConnError{code, reason}
}

func (c *ServerConn) onRSTStream(f frame, p []byte) error {
	switch {
	case f.id == 0:
		return &ConnError{CodeProtocol, "RST_STREAM on stream 0"}
	case len(p) != 4:
		return &ConnError{CodeFrameSize, "RST_STREAM is not 4 bytes long"}
	case c.isIdle(f.id):
		return &ConnError{CodeProtocol, "RST_STREAM on an idle stream"}
	}
	s := c.streams.find(f.id)
	if s == nil {
		c.isLate(f.id, true)
		return c.glitch(1) // it crossed the end of the answer
	}
	premature := c.isPremature(s)
	c.remove(s)
	s.fail(ErrReset)
	c.rest()
	return c.countReset(premature)
}

func (c *ServerConn) onSettings(f frame, p []byte) error {
	switch {
	case f.id != 0:
		return &ConnError{CodeProtocol, "SETTINGS on a stream"}
	case f.has(flagAck):
		if len(p) != 0 {
			return &ConnError{CodeFrameSize, "SETTINGS with ACK is not empty"}
		}
		return c.glitch(1)
	case len(p)%6 != 0:
		return &ConnError{CodeFrameSize, "SETTINGS is not a multiple of 6 bytes long"}
	}
	for q := p; len(q) > 0; q = q[6:] {
		v := binary.BigEndian.Uint32(q[2:])
		switch binary.BigEndian.Uint16(q) {
		case settingEnablePush:
			if v > 1 {
				return &ConnError{CodeProtocol, "SETTINGS_ENABLE_PUSH is neither 0 nor 1"}
			}
		case settingInitialWindowSize:
			if v > maxWindow {
				return &ConnError{CodeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE is too large"}
			}
			if err := c.setInitialWindow(int64(v)); err != nil {
				return err
			}
		case settingMaxFrameSize:
			if v < maxFrame || v > 1<<24-1 {
				return &ConnError{CodeProtocol, "SETTINGS_MAX_FRAME_SIZE is out of range"}
			}
		}
	}
	c.settled = true
	c.queue(0, frameSettings, flagAck, 0)
	return c.glitch(1 + len(p)/96)
}

func (c *ServerConn) onPing(f frame, p []byte) error {
	switch {
	case f.id != 0:
		return &ConnError{CodeProtocol, "PING on a stream"}
	case len(p) != 8:
		return &ConnError{CodeFrameSize, "PING is not 8 bytes long"}
	case f.has(flagAck):
		if string(p) == drainPing {
			c.lastGoAway()
			return nil
		}
	default:
		c.queue(len(p), framePing, flagAck, 0)
		c.out = append(c.out, p...)
	}
	return c.glitch(1)
}

// onGoAway notes that the client opens no streams any more.
func (c *ServerConn) onGoAway(f frame, p []byte) error {
	switch {
	case f.id != 0:
		return &ConnError{CodeProtocol, "GOAWAY on a stream"}
	case len(p) < 8:
		return &ConnError{CodeFrameSize, "GOAWAY is shorter than 8 bytes"}
	}
	c.leaving = true
	c.rest()
	return c.glitch(1)
}

func (c *ServerConn) onWindowUpdate(f frame, p []byte) error {
	if len(p) != 4 {
		return &ConnError{CodeFrameSize, "WINDOW_UPDATE is not 4 bytes long"}
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	if f.id == 0 {
		if n == 0 {
			return &ConnError{CodeProtocol, "WINDOW_UPDATE of 0"}
		}
		if c.sendWin += n; c.sendWin > maxWindow {
			return &ConnError{CodeFlowControl, "the connection's window is too large"}
		}
		c.unblock()
		return c.countUpdate()
	}
	if c.isIdle(f.id) {
		return &ConnError{CodeProtocol, "WINDOW_UPDATE on an idle stream"}
	}
	s := c.streams.find(f.id)
	if s == nil {
		return c.countUpdate() // it crossed the end of the stream
	}
	if n == 0 {
		return c.offend(s, CodeProtocol)
	}
	if s.sendWin += n; s.sendWin > maxWindow {
		return c.offend(s, CodeFlowControl)
	}
	s.windowOpened()
	return c.countUpdate()
}

// dataFrame is a DATA frame whose payload is arriving.
type dataFrame struct {
	s    *stream // nil: thrown away
	left int     // bytes to come, padding included
	pad  int     // of them, padding
	end  bool    // END_STREAM
	owed bool    // the content was not granted anew when the frame began
}

// beginData looks at the head of a DATA frame. It returns how many bytes of its
// payload it took, or -1 when it needs more of them to begin.
func (c *ServerConn) beginData(f frame, p []byte) (int, error) {
	pad, used := 0, 0
	if f.has(flagPadded) {
		switch {
		case f.length == 0:
			return 0, &ConnError{CodeFrameSize, "DATA is too short for its padding"}
		case len(p) == 0:
			return -1, nil
		case int(p[0]) >= f.length:
			return 0, &ConnError{CodeProtocol, "DATA has more padding than payload"}
		}
		pad, used = int(p[0]), 1
	}
	if f.id == 0 || c.isIdle(f.id) {
		return 0, &ConnError{CodeProtocol, "DATA on an idle stream"}
	}
	if int64(f.length) > c.recvWin {
		return 0, &ConnError{CodeFlowControl, "DATA exceeds the connection's window"}
	}
	c.recvWin -= int64(f.length)
	content := f.length - used - pad
	s, err := c.admit(f, content)
	if err != nil {
		return 0, err
	}
	c.data = dataFrame{s: s, left: f.length - used, pad: pad, end: f.has(flagEndStream), owed: s != nil}
	if s == nil {
		c.grant(f.length)
	} else {
		s.recvWin -= int64(f.length)
		c.grant(used + pad)
		s.grant(used + pad)
	}
	if c.data.left == 0 {
		return used, c.endData()
	}
	return used, nil
}

// admit returns the stream that a DATA frame is for, or nil when it is thrown away.
func (c *ServerConn) admit(f frame, content int) (*stream, error) {
	s := c.streams.find(f.id)
	code := CodeNo
	switch {
	case s == nil && c.isLate(f.id, f.has(flagEndStream)) && content > 0:
		return nil, nil
	case s == nil:
		if !c.wasReset(f.id) {
			c.writeReset(f.id, CodeStreamClosed)
		}
		return nil, c.glitch(1)
	case s.remoteDone:
		code = CodeStreamClosed
	case int64(f.length) > s.recvWin:
		code = CodeFlowControl
	case s.toCome >= 0 && int64(content) > s.toCome:
		code = CodeProtocol
	}
	if code != CodeNo {
		return nil, c.offend(s, code)
	}
	if content == 0 && !f.has(flagEndStream) {
		return s, c.glitch(1)
	}
	c.relieve(1)
	return s, nil
}

// payload takes the next bytes of a DATA frame.
func (c *ServerConn) payload(p []byte) error {
	d := &c.data
	if n := min(len(p), d.left-d.pad); n > 0 {
		if d.s != nil {
			d.s.push(p[:n])
		} else if d.owed {
			c.grant(n)
		}
	}
	d.left -= len(p)
	if d.left == 0 {
		return c.endData()
	}
	return nil
}

// endData ends a DATA frame.
func (c *ServerConn) endData() error {
	s, end := c.data.s, c.data.end
	c.data = dataFrame{}
	if s != nil && end {
		return c.remoteEnd(s)
	}
	return nil
}
