package loop

import "time"

// Write sends all of p or fails. When it has to wait it copies what is left first,
// so p may be scratch memory of the caller.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.canWrite(); err != nil || len(p) == 0 {
		return 0, err
	}
	n, err := c.link.send(p)
	c.out += int64(n)
	if n == len(p) || err != nil && err != errAgain {
		return n, err
	}
	more, err := c.writeRest(p[n:], nil)
	return n + more, err
}

// WriteTwo sends a and then b, in one system call.
func (c *Conn) WriteTwo(a, b []byte) error {
	if len(a) == 0 || len(b) == 0 {
		if len(a) == 0 {
			a = b
		}
		_, err := c.Write(a)
		return err
	}
	if err := c.canWrite(); err != nil {
		return err
	}
	n, err := c.link.sendTwo(a, b)
	c.out += int64(n)
	if n == len(a)+len(b) || err != nil && err != errAgain {
		return err
	}
	if n < len(a) {
		_, err = c.writeRest(a[n:], b)
	} else {
		_, err = c.writeRest(b[n-len(a):], nil)
	}
	return err
}

func (c *Conn) canWrite() error {
	if c.closed {
		return ErrClosed
	}
	if c.wr != nil {
		panic("loop: two coroutines write to one connection")
	}
	return nil
}

// writeRest sends a copy of a and b, waiting as often as it needs.
func (c *Conn) writeRest(a, b []byte) (int, error) {
	size := len(a) + len(b)
	own := c.loop.lend(size)
	k := copy(own, a)
	copy(own[k:], b)
	fresh := true
	for done := 0; ; {
		n, err := c.link.push(own[done:size])
		c.out += int64(n)
		if done += n; done == size {
			c.loop.takeBack(own)
			return size, nil
		}
		if err == nil || err == errAgain {
			if n > 0 || fresh {
				c.renew()
				fresh = false
			}
			err = c.waitRoom()
		}
		if err != nil { // own may be in use by the link: not put back
			return done, err
		}
	}
}

// SetWriteDeadline bounds the waits for room to write.
func (c *Conn) SetWriteDeadline(d time.Time) {
	c.writeFor, c.writeBy = 0, c.loop.moment(d)
	if c.wr != nil {
		c.arm(c.writeBy)
	}
}

// SetWriteTimeout bounds the waits for room to write by what the peer does: within
// each d it must take some of what was sent. So a reader that is slow is served, for
// as long as it takes, and one that has stopped is not. It takes the place of
// SetWriteDeadline; 0 is no bound.
func (c *Conn) SetWriteTimeout(d time.Duration) {
	c.writeFor, c.writeBy = max(int64(d), 0), 0
	if c.wr != nil {
		c.renew()
		c.arm(c.writeBy)
	}
}

// leastTaken is what a peer must take in the time of SetWriteTimeout not to count as
// one that has stopped: an attacker who takes a byte now and then has.
const leastTaken = 1 << 10

// renew begins the time of SetWriteTimeout anew.
func (c *Conn) renew() {
	if c.writeFor > 0 {
		c.writeBy, c.unsent = c.loop.nanos+c.writeFor, c.link.unsent()
	}
}

// waitRoom waits for room to write, for as long as the peer goes on reading. The
// system tells of room only when there is a lot of it, which a slow reader makes
// over many of its timeouts.
func (c *Conn) waitRoom() error {
	for {
		err := c.waitWrite()
		if err != ErrTimeout || c.writeFor == 0 {
			return err
		}
		before := c.unsent
		if c.renew(); before-c.unsent < leastTaken {
			return err
		}
	}
}

// waitWrite waits for one event or the write deadline.
func (c *Conn) waitWrite() error {
	if err := c.over(); err != nil {
		return err
	}
	if c.writeBy != 0 {
		if c.writeBy <= c.loop.nanos {
			return ErrTimeout
		}
		c.arm(c.writeBy)
	}
	c.wr = c.loop.cur
	err := c.loop.suspend(waiting)
	c.wr = nil
	if err == nil && c.loop.stopping {
		err = ErrStopped
	}
	return err
}
