package http2

import "time"

// failWait is for a peer to take the last GOAWAY.
const failWait = 5 * time.Second

// shut ends the connection from our side: open streams are given up, the peer is told
// with GOAWAY and has a moment to take that.
func (c *conn) shut(code ErrCode, err error) {
	if c.closing || c.dead {
		return
	}
	c.closing = true
	c.err = err
	c.block, c.data, c.keep = block{}, dataFrame{}, nil
	c.side.partings()
	if code != CodeNo || !c.parted {
		c.writeGoAway(min(c.lastID, c.goAwayID), code)
	}
	c.failStreams(err)
	c.endAt = c.l.Now().Add(failWait)
	c.arm(c.endAt)
	if !c.marked {
		c.side.said()
	}
	c.repark()
}

// teardown closes the connection and ends everything that waits for it.
func (c *conn) teardown(err error) {
	if c.dead {
		return
	}
	c.dead = true
	if c.err == nil {
		c.err = err
	}
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if c.parked {
		c.parked = false
		c.s.OnReadable(nil, nil)
	}
	c.s.Close()
	c.failStreams(c.err)
	c.crowded.wake(ErrClosed)
	if c.out != nil {
		c.l.PutBig(c.out[:cap(c.out)])
		c.out = nil
	}
	c.block, c.data, c.keep = block{}, dataFrame{}, nil
	c.side.closed()
}

// failStreams ends all streams.
func (c *conn) failStreams(err error) {
	open := c.streams
	c.streams = nil
	err = c.side.told(err)
	for _, e := range open {
		e.s.fail(err)
	}
}
