package http2

import (
	"encoding/binary"
	"slices"
)

// check refuses a frame that cannot come now, whatever it holds.
func (c *ClientConn) check(f frame) error {
	switch {
	case f.length > maxFrame:
		return &ConnError{CodeFrameSize, "a frame is larger than SETTINGS_MAX_FRAME_SIZE"}
	case !c.settled && (f.kind != frameSettings || f.has(flagAck)):
		return &ConnError{CodeProtocol, "the first frame is not SETTINGS"}
	case c.block.id != 0 && (f.kind != frameContinuation || f.id != c.block.id):
		return &ConnError{CodeProtocol, "a field block is interrupted by another frame"}
	case c.block.id == 0 && f.kind == frameContinuation:
		return &ConnError{CodeProtocol, "CONTINUATION does not follow HEADERS"}
	case f.id != 0 && (f.id&1 == 0 || f.id >= c.nextID) && f.kind != framePriority && f.kind <= frameContinuation:
		return &ConnError{CodeProtocol, "a frame on an idle stream"}
	}
	return nil
}

func (c *ClientConn) glitch(n int) error {
	return c.strain.count(n, c.l.Now(), clientGlitches)
}

// find returns the stream, or nil.
func (c *ClientConn) find(id uint32) *ClientStream {
	if i, ok := c.index(id); ok {
		return c.streams[i]
	}
	return nil
}

func (c *ClientConn) index(id uint32) (int, bool) {
	return slices.BinarySearchFunc(c.streams, id, func(s *ClientStream, id uint32) int { return int(s.id) - int(id) })
}

// remove takes a stream off the list of open ones.
func (c *ClientConn) remove(s *ClientStream) {
	i, ok := c.index(s.id)
	if !ok || c.streams[i] != s {
		return
	}
	if c.data.s == s {
		c.data.s = nil
	}
	c.streams = slices.Delete(c.streams, i, i+1)
	c.rest()
}

// dispatch acts on a whole frame that is not DATA.
func (c *ClientConn) dispatch(f frame, p []byte) error {
	switch f.kind {
	case frameHeaders:
		return c.onHeaders(f, p)
	case frameContinuation:
		return c.onContinuation(f, p)
	case framePriority:
		if len(p) != 5 {
			return &ConnError{CodeFrameSize, "PRIORITY is not 5 bytes long"}
		}
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
		return &ConnError{CodeProtocol, "PUSH_PROMISE was not allowed"}
	}
	return c.glitch(1)
}

func (c *ClientConn) onRSTStream(f frame, p []byte) error {
	switch {
	case f.id == 0:
		return &ConnError{CodeProtocol, "RST_STREAM on stream 0"}
	case len(p) != 4:
		return &ConnError{CodeFrameSize, "RST_STREAM is not 4 bytes long"}
	}
	s := c.find(f.id)
	if s == nil {
		return c.glitch(1) // it crossed our own
	}
	err := error(&ResetError{ErrCode(binary.BigEndian.Uint32(p))})
	if err.(*ResetError).Code == CodeRefusedStream && !s.began {
		err = ErrRefused
	}
	s.fail(err)
	c.remove(s)
	return nil
}

func (c *ClientConn) onSettings(f frame, p []byte) error {
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
			if v != 0 {
				return &ConnError{CodeProtocol, "a server sent SETTINGS_ENABLE_PUSH"}
			}
		case settingMaxStreams:
			c.max = int(min(v, clientStreams))
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

// setInitialWindow changes the windows of all streams by the difference to the last
// value.
func (c *ClientConn) setInitialWindow(n int64) error {
	diff := n - c.initWin
	c.initWin = n
	for _, s := range c.streams {
		if s.sendWin += diff; s.sendWin > maxWindow {
			return &ConnError{CodeFlowControl, "a stream's window is too large"}
		}
		s.windowOpened()
	}
	return nil
}

func (c *ClientConn) onPing(f frame, p []byte) error {
	switch {
	case f.id != 0:
		return &ConnError{CodeProtocol, "PING on a stream"}
	case len(p) != 8:
		return &ConnError{CodeFrameSize, "PING is not 8 bytes long"}
	case !f.has(flagAck):
		c.queue(len(p), framePing, flagAck, 0)
		c.out = append(c.out, p...)
	}
	return c.glitch(1)
}

// onGoAway takes no more requests; those that the server has not seen may be sent
// elsewhere.
func (c *ClientConn) onGoAway(f frame, p []byte) error {
	switch {
	case f.id != 0:
		return &ConnError{CodeProtocol, "GOAWAY on a stream"}
	case len(p) < 8:
		return &ConnError{CodeFrameSize, "GOAWAY is shorter than 8 bytes"}
	}
	last := binary.BigEndian.Uint32(p) & idMask
	c.leaving = true
	for len(c.streams) > 0 {
		s := c.streams[len(c.streams)-1]
		if s.id <= last {
			break
		}
		err := ErrRefused
		if s.began {
			err = ErrInvalid
		}
		s.fail(err)
		c.remove(s)
	}
	c.rest()
	return c.glitch(1)
}

func (c *ClientConn) onWindowUpdate(f frame, p []byte) error {
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
	s := c.find(f.id)
	if s == nil {
		return c.countUpdate()
	}
	if n == 0 {
		s.offend(CodeProtocol)
		return c.glitch(offence)
	}
	if s.sendWin += n; s.sendWin > maxWindow {
		s.offend(CodeFlowControl)
		return c.glitch(offence)
	}
	s.windowOpened()
	return c.countUpdate()
}

// countUpdate counts a WINDOW_UPDATE.
func (c *ClientConn) countUpdate() error {
	if c.strain.updates > 0 {
		c.strain.updates--
		return nil
	}
	return c.glitch(1)
}
