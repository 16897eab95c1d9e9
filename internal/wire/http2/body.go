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
			n := s.takeBody(p)
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
	if s.into != nil && s.off == len(s.body) {
		n := copy(s.into[s.filled:], p)
		s.filled += n
		p = p[n:]
		s.readWait.wake(nil)
	}
	if len(p) > 0 {
		s.add(p)
	}
}

// consumed lets the client send n more bytes.
func (s *stream) consumed(n int) {
	s.grant(n)
	s.c.grant(n)
}

// dropBody forgets what was not read.
func (s *stream) dropBody() {
	n := len(s.body) - s.off
	s.body, s.off = s.body[:0], 0
	s.c.grant(n)
}
