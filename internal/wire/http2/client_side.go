package http2

// The frames that a client takes in ways of its own.

// isIdle reports whether the stream was not opened yet; one with an even ID never can.
func (c *ClientConn) isIdle(id uint32) bool { return id&1 == 0 || id >= c.nextID }

// stray takes DATA on a stream that has ended: it crossed our RST_STREAM.
func (c *ClientConn) stray(f frame, content int) error {
	if content == 0 && !f.has(flagEndStream) {
		return c.glitch(1)
	}
	return nil
}

// resetBy takes RST_STREAM.
func (c *ClientConn) resetBy(f *flow, _ uint32, code ErrCode) error {
	if f == nil {
		return c.glitch(1) // it crossed our own
	}
	s := f.own.(*ClientStream)
	if code == CodeRefusedStream && !s.began {
		s.fail(ErrRefused)
	} else {
		s.fail(&ResetError{code})
	}
	c.remove(f)
	return nil
}

func (c *ClientConn) setting(id uint16, v uint32) error {
	switch id {
	case settingEnablePush:
		if v != 0 {
			return &ConnError{CodeProtocol, "a server sent SETTINGS_ENABLE_PUSH"}
		}
	case settingMaxStreams:
		c.max = int(min(v, clientStreams))
	}
	return nil
}

// pong takes the answer to a PING; that something came was noted when it was read.
func (c *ClientConn) pong([]byte) error { return c.glitch(1) }

// wentAway gives up the requests that the server has not seen. They may be sent
// elsewhere.
func (c *ClientConn) wentAway(last uint32) {
	for len(c.streams) > 0 {
		s := c.streams[len(c.streams)-1].s.own.(*ClientStream)
		if s.id <= last {
			break
		}
		err := ErrRefused
		if s.began {
			err = ErrInvalid
		}
		s.fail(err)
		c.remove(&s.flow)
	}
}

// other takes a frame of a type that only one side may send, or that we do not know,
// which is allowed.
func (c *ClientConn) other(f frame, _ []byte) error {
	switch f.kind {
	case framePushPromise:
		return &ConnError{CodeProtocol, "PUSH_PROMISE was not allowed"}
	case framePriorityUpdate:
		return &ConnError{CodeProtocol, "a server sent PRIORITY_UPDATE"}
	}
	return c.glitch(1)
}
