package http2

// clientData is a DATA frame whose payload is arriving.
type clientData struct {
	s    *ClientStream // nil: thrown away
	left int           // bytes to come, padding included
	pad  int           // of them, padding
	end  bool          // END_STREAM
}

// beginData looks at the head of a DATA frame. It returns how many bytes of its
// payload it took, or -1 when it needs more of them to begin.
func (c *ClientConn) beginData(f frame, p []byte) (int, error) {
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
	switch {
	case f.id == 0:
		return 0, &ConnError{CodeProtocol, "DATA on stream 0"}
	case int64(f.length) > c.recvWin:
		return 0, &ConnError{CodeFlowControl, "DATA exceeds the connection's window"}
	}
	c.recvWin -= int64(f.length)
	c.grant(f.length)
	content := f.length - used - pad
	s, err := c.admit(f, content)
	if err != nil {
		return 0, err
	}
	c.data = clientData{s: s, left: f.length - used, pad: pad, end: f.has(flagEndStream)}
	if s != nil {
		s.recvWin -= int64(f.length)
		s.grant(used + pad)
	}
	if c.data.left == 0 {
		c.endData()
	}
	return used, nil
}

// admit returns the stream that a DATA frame is for, or nil when it is thrown away.
func (c *ClientConn) admit(f frame, content int) (*ClientStream, error) {
	s := c.find(f.id)
	if content == 0 && !f.has(flagEndStream) {
		if err := c.glitch(1); err != nil {
			return nil, err
		}
	}
	code := CodeNo
	switch {
	case s == nil:
		return nil, nil // it crossed our RST_STREAM
	case s.remoteDone:
		code = CodeStreamClosed
	case int64(f.length) > s.recvWin:
		code = CodeFlowControl
	case !s.final || s.bodyless && content > 0 || s.toCome >= 0 && int64(content) > s.toCome:
		code = CodeProtocol
	}
	if code != CodeNo {
		s.offend(code)
		return nil, c.glitch(offence)
	}
	if content > 0 {
		c.strain.level = max(0, c.strain.level-1)
	}
	return s, nil
}

// payload takes the next bytes of a DATA frame.
func (c *ClientConn) payload(p []byte) {
	d := &c.data
	if n := min(len(p), d.left-d.pad); n > 0 && d.s != nil {
		d.s.push(p[:n])
	}
	d.left -= len(p)
	if d.left == 0 {
		c.endData()
	}
}

// endData ends a DATA frame.
func (c *ClientConn) endData() {
	s, end := c.data.s, c.data.end
	c.data = clientData{}
	if s != nil && end {
		s.remoteEnd()
	}
}

// grant lets the server send n more bytes on the connection.
func (c *ClientConn) grant(n int) {
	if c.owed += int64(n); c.owed < connWindow/4 {
		return
	}
	c.writeWindowUpdate(0, c.owed)
	c.recvWin += c.owed
	c.owed = 0
}
