package tlsconn

import "github.com/pierhead/pierhead/internal/loop"

// Write encrypts and sends all of p, or fails.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.Handshake(); err != nil || len(p) == 0 {
		return 0, err
	}
	if c.outErr != nil {
		return 0, c.outErr
	}
	c.startWrite()
	for done := 0; ; {
		piece := p[done:min(len(p), done+loop.BigSize)]
		if err := c.encrypt(piece, nil); err != nil {
			c.writing = false
			return done, err
		}
		done += len(piece)
		if done == len(p) {
			return done, c.send()
		}
		if err := c.sendMore(); err != nil {
			return done, err
		}
	}
}

// WriteTwo sends a and then b. When both fit in one record they go in one.
func (c *Conn) WriteTwo(a, b []byte) error {
	if len(a)+len(b) > loop.BigSize || len(a) == 0 || len(b) == 0 {
		last := c.last
		c.last = last && len(b) == 0
		if _, err := c.Write(a); err != nil {
			return err
		}
		c.last = last
		_, err := c.Write(b)
		return err
	}
	if err := c.Handshake(); err != nil {
		return err
	}
	if c.outErr != nil {
		return c.outErr
	}
	c.startWrite()
	var err error
	if len(a)+len(b) <= loop.SmallSize {
		both := c.loop.Small()
		n := copy(both, a)
		n += copy(both[n:], b)
		err = c.encrypt(both[:n], nil)
		c.loop.PutSmall(both)
	} else {
		err = c.encrypt(a, b)
	}
	if err != nil {
		c.writing = false
		return err
	}
	return c.send()
}

func (c *Conn) startWrite() {
	if c.writing {
		panic("tlsconn: two coroutines write to one connection")
	}
	c.writing = true
}

// encrypt has tls.Conn make records of a and b in gather, behind those that wait.
func (c *Conn) encrypt(a, b []byte) error {
	c.startGather()
	_, err := c.tls.Write(a)
	if err == nil && len(b) > 0 {
		_, err = c.tls.Write(b)
	}
	if err != nil {
		c.gather, c.outErr = nil, err
	}
	return err
}

// startGather has tls.Conn's records go to the loop's memory, behind those that
// wait to be sent. TLS inside TLS needs memory of its own.
func (c *Conn) startGather() {
	if _, ok := c.below.(*Conn); ok {
		c.gather = make([]byte, 0, len(c.pending)+1024)
	} else {
		c.gather = c.loop.Records()
	}
	c.gather = append(c.gather, c.pending...)
	c.pending = nil
}

// send sends what was gathered, then what tls.Conn wrote while that was waiting,
// and ends the write.
func (c *Conn) send() error {
	if c.last && !c.ended {
		c.ended = true
		c.tls.CloseWrite()
	}
	err := c.sendMore()
	for err == nil && len(c.pending) > 0 {
		c.gather, c.pending = c.pending, nil
		err = c.sendMore()
	}
	c.writing = false
	return err
}

// sendMore sends what was gathered. Gather is free for others meanwhile: the
// stream below copies what it cannot send at once.
func (c *Conn) sendMore() error {
	p := c.gather
	c.gather = nil
	if _, err := c.below.Write(p); err != nil {
		c.outErr, c.writing = err, false // a record may have gone in part
		return err
	}
	return nil
}

// flush sends what tls.Conn wrote while it was reading: the answer to a key update,
// or an alert.
func (c *Conn) flush() error {
	c.startWrite()
	c.gather, c.pending = c.pending, nil
	return c.send()
}
