package http2

// dataFrame is a DATA frame whose payload is arriving.
type dataFrame struct {
	s    *flow // nil: thrown away
	left int   // bytes to come, padding included
	pad  int   // of them, padding
	end  bool  // END_STREAM
	owed bool  // the content was not granted anew when the frame began
}

// beginData looks at the head of a DATA frame. It returns how many bytes of its
// payload it took, or -1 when it needs more of them to begin.
func (c *conn) beginData(f frame, p []byte) (int, error) {
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
	if f.id == 0 || c.side.isIdle(f.id) {
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
	c.data = dataFrame{s: s, left: f.length - used, pad: pad, end: f.has(flagEndStream), owed: s != nil && !c.ample}
	if c.data.owed {
		c.grant(used + pad)
	} else {
		c.grant(f.length)
	}
	if s != nil {
		s.recvWin -= int64(f.length)
		s.grant(used + pad)
	}
	if c.data.left == 0 {
		return used, c.endData()
	}
	return used, nil
}

// admit returns the stream that a DATA frame is for, or nil when it is thrown away.
func (c *conn) admit(f frame, content int) (*flow, error) {
	s := c.streams.find(f.id)
	code := CodeNo
	switch {
	case s == nil:
		return nil, c.side.stray(f, content)
	case s.remoteDone:
		code = CodeStreamClosed
	case int64(f.length) > s.recvWin:
		code = CodeFlowControl
	case !s.headCame, s.toCome >= 0 && int64(content) > s.toCome:
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
func (c *conn) payload(p []byte) error {
	d := &c.data
	if n := min(len(p), d.left-d.pad); n > 0 {
		if d.s != nil {
			if d.s.toCome > 0 {
				d.s.toCome -= int64(n)
			}
			d.s.own.push(p[:n])
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
func (c *conn) endData() error {
	s, end := c.data.s, c.data.end
	c.data = dataFrame{}
	if s != nil && end {
		return c.remoteEnd(s)
	}
	return nil
}

// remoteEnd takes END_STREAM.
func (c *conn) remoteEnd(s *flow) error {
	if s.toCome > 0 {
		return c.offend(s, CodeProtocol)
	}
	s.remoteDone = true
	s.own.arrived()
	if s.localDone {
		c.remove(s)
	}
	return nil
}

// grant lets the peer send n more bytes on the stream. It is told when that is worth a
// frame.
func (s *flow) grant(n int) {
	c := s.conn
	s.owed += int64(n)
	if s.owed < c.window/4 || s.remoteDone || s.err != nil {
		return
	}
	c.writeWindowUpdate(s.id, s.owed)
	s.recvWin += s.owed
	s.owed = 0
}

// grant lets the peer send n more bytes on the connection.
func (c *conn) grant(n int) {
	c.owed += int64(n)
	if c.owed < connWindow/4 || c.dead || c.closing {
		return
	}
	c.writeWindowUpdate(0, c.owed)
	c.recvWin += c.owed
	c.owed = 0
}
