package http2

import "io"

// requestBody is the body of a stream's request.
type requestBody stream

// Read takes what the client has sent, and waits when there is nothing. What was
// taken may be sent anew.
func (b *requestBody) Read(p []byte) (int, error) {
	s := (*stream)(b)
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case s.off < len(s.body):
			n := copy(p, s.body[s.off:])
			if s.off += n; s.off == len(s.body) {
				s.body, s.off = s.body[:0], 0
			}
			s.consumed(n)
			return n, nil
		case s.err != nil:
			return 0, s.err
		case s.remoteDone:
			return 0, io.EOF
		}
		if s.expect && !s.headSent {
			s.goOn()
		}
		if n, err := s.waitBody(p); n > 0 || err != nil {
			return n, err
		}
	}
}

// waitBody waits for bytes, which go to p as they arrive.
func (s *stream) waitBody(p []byte) (int, error) {
	c := s.c
	s.into, s.filled = p, 0
	lim, since := c.cfg.limits(), c.l.Now()
	s.pace.Timeout, s.pace.Rate = lim.BodyTimeout, lim.BodyRate
	err := s.wait(&s.readWait, s.pace.Next())
	s.pace.Waited(c.l.Now().Sub(since))
	n := s.filled
	s.into, s.filled = nil, 0
	if n > 0 {
		s.consumed(n)
		err = nil // the next call tells
	}
	return n, err
}

// push takes bytes of the body: to the Handler if it waits for them, else into the
// buffer, which the window bounds.
func (s *stream) push(p []byte) {
	s.pace.Got(len(p))
	if s.toCome > 0 {
		s.toCome -= int64(len(p))
	}
	if s.into != nil && s.off == len(s.body) {
		n := copy(s.into[s.filled:], p)
		s.filled += n
		p = p[n:]
		s.readWait.wake(nil)
	}
	if len(p) == 0 {
		return
	}
	if s.off > 0 && len(s.body)+len(p) > cap(s.body) && s.off >= len(s.body)/2 {
		n := copy(s.body, s.body[s.off:])
		s.body, s.off = s.body[:n], 0
	}
	s.body = append(s.body, p...)
}

// consumed lets the client send n more bytes.
func (s *stream) consumed(n int) {
	if s.err == nil {
		s.grant(n)
	}
	s.c.grant(n)
}

// dropBody forgets what was not read.
func (s *stream) dropBody() {
	n := len(s.body) - s.off
	s.body, s.off = s.body[:0], 0
	s.c.grant(n)
}

// grant lets the client send n more bytes on the stream. It is told when that is
// worth a frame.
func (s *stream) grant(n int) {
	s.owed += int64(n)
	if s.owed < streamWindow/4 || s.remoteDone {
		return
	}
	s.c.writeWindowUpdate(s.id, s.owed)
	s.recvWin += s.owed
	s.owed = 0
}

// grant lets the client send n more bytes on the connection.
func (c *ServerConn) grant(n int) {
	c.owed += int64(n)
	if c.owed < connWindow/4 || c.dead || c.closing {
		return
	}
	c.writeWindowUpdate(0, c.owed)
	c.recvWin += c.owed
	c.owed = 0
}
