package http2

import (
	"io"
	"time"
)

// drainPing is what the PING between the two GOAWAYs of Drain carries: when it
// comes back, the client has read the first one.
const drainPing = "pierhead"

const (
	drainWait  = time.Second // the last GOAWAY follows the first after that at the latest
	lingerWait = time.Second // for the client to close, when all was sent to it
)

// Drain asks the client to send its next requests elsewhere. Those that have been
// sent are answered, then the connection is closed (RFC 9113, section 6.8).
func (c *ServerConn) Drain() {
	if c.draining || c.closing || c.dead {
		return
	}
	c.draining = true
	c.writeGoAway(maxWindow, CodeNo)
	c.queue(len(drainPing), framePing, 0, 0)
	c.out = append(c.out, drainPing...)
	c.drainAt = c.l.Now().Add(drainWait)
	c.arm(c.drainAt)
}

// lastGoAway tells the client which requests will still be answered.
func (c *ServerConn) lastGoAway() {
	if !c.draining || c.drainAt.IsZero() || c.closing || c.dead {
		return
	}
	c.drainAt = time.Time{}
	c.leaving, c.parted = true, true
	c.goAwayID = c.lastID
	c.writeGoAway(c.lastID, CodeNo)
	c.rest()
}

// rest is called when a stream has ended: a connection without any waits with
// another deadline, or is closed.
func (c *ServerConn) rest() {
	if len(c.streams) > 0 || c.dead || c.closing {
		return
	}
	if c.leaving {
		c.shut(CodeNo, io.EOF)
		return
	}
	c.repark()
}

// partings sends what the client is still to get.
func (c *ServerConn) partings() { c.sendLate(time.Time{}, true, nil) }

// said follows the last byte that we send: the client closes when it has read it.
// Closing at once could destroy what is still on the way to it.
func (c *ServerConn) said() {
	if err := c.s.CloseWrite(); err != nil {
		c.teardown(c.err)
		return
	}
	c.endAt = c.l.Now().Add(lingerWait)
	c.arm(c.endAt)
}
