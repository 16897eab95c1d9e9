package http2

import "encoding/binary"

// onPriority checks and ignores a PRIORITY frame.
func (c *conn) onPriority(f frame, p []byte) error {
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

func (c *conn) onRSTStream(f frame, p []byte) error {
	switch {
	case f.id == 0:
		return &ConnError{CodeProtocol, "RST_STREAM on stream 0"}
	case len(p) != 4:
		return &ConnError{CodeFrameSize, "RST_STREAM is not 4 bytes long"}
	case c.side.isIdle(f.id):
		return &ConnError{CodeProtocol, "RST_STREAM on an idle stream"}
	}
	return c.side.resetBy(c.streams.find(f.id), f.id, ErrCode(binary.BigEndian.Uint32(p)))
}

func (c *conn) onSettings(f frame, p []byte) error {
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
		switch id := binary.BigEndian.Uint16(q); id {
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
		default:
			if err := c.side.setting(id, v); err != nil {
				return err
			}
		}
	}
	c.settled = true
	c.queue(0, frameSettings, flagAck, 0)
	return c.glitch(1 + len(p)/96)
}

func (c *conn) onPing(f frame, p []byte) error {
	switch {
	case f.id != 0:
		return &ConnError{CodeProtocol, "PING on a stream"}
	case len(p) != 8:
		return &ConnError{CodeFrameSize, "PING is not 8 bytes long"}
	case f.has(flagAck):
		return c.side.pong(p)
	}
	c.queue(len(p), framePing, flagAck, 0)
	c.out = append(c.out, p...)
	return c.glitch(1)
}

// onGoAway notes that no streams are opened any more.
func (c *conn) onGoAway(f frame, p []byte) error {
	switch {
	case f.id != 0:
		return &ConnError{CodeProtocol, "GOAWAY on a stream"}
	case len(p) < 8:
		return &ConnError{CodeFrameSize, "GOAWAY is shorter than 8 bytes"}
	}
	c.leaving = true
	c.side.wentAway(binary.BigEndian.Uint32(p) & idMask)
	c.side.rest()
	return c.glitch(1)
}

func (c *conn) onWindowUpdate(f frame, p []byte) error {
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
	if c.side.isIdle(f.id) {
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
