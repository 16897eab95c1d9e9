package http2

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// drainPing is what the PING between the two GOAWAYs of Drain carries: when it
// comes back, the client has read the first one.
const drainPing = "pierhead"

const (
	drainWait  = time.Second     // the last GOAWAY follows the first after that at the latest
	lingerWait = time.Second     // for the client to close, when all was sent to it
	failWait   = 5 * time.Second // for a client that made an error to take its GOAWAY
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
	c.leaving = true
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

// shut ends the connection from our side: open streams are given up, the client is
// told with GOAWAY and has a moment to take that and to close.
func (c *ServerConn) shut(code ErrCode, err error) {
	if c.closing || c.dead {
		return
	}
	c.closing = true
	c.err = err
	c.block, c.data, c.keep = block{}, dataFrame{}, nil
	c.sendLate(time.Time{}, true, nil)
	if code != CodeNo || !c.leaving {
		c.writeGoAway(min(c.lastID, c.goAwayID), code)
	}
	c.failStreams()
	c.endAt = c.l.Now().Add(failWait)
	c.arm(c.endAt)
	if !c.marked {
		c.linger()
	}
	c.repark()
}

// isWaiting reports whether nothing goes on in the connection but to wait for a request.
func (c *ServerConn) isWaiting() bool {
	return c.settled && len(c.streams)+c.running+len(c.keep) == 0 && c.block.id == 0 && !c.closing && !c.dead
}

// tell says whether the connection is idle.
func (c *ServerConn) tell(idle bool) {
	if c.cfg.Idle != nil {
		c.cfg.Idle(idle)
	}
}

// CloseIdle closes the connection if it waits for a request, and reports whether it did.
// The client is told by GOAWAY, if it still reads, and is not waited for.
func (c *ServerConn) CloseIdle() bool {
	if !c.parked || !c.isWaiting() {
		return false
	}
	c.closing = true
	if !c.marked { // else something is being sent
		last := appendFrame(nil, 8, frameGoAway, 0, 0)
		last = binary.BigEndian.AppendUint32(last, c.lastID)
		last = binary.BigEndian.AppendUint32(last, uint32(CodeNo))
		c.s.SetWriteDeadline(c.l.Now().Add(lingerWait))
		c.s.Write(last)
	}
	c.teardown(io.EOF)
	return true
}

// linger follows the last byte that we send: the client closes when it has read it.
// Closing at once could destroy what is still on the way to it.
func (c *ServerConn) linger() {
	if err := c.s.CloseWrite(); err != nil {
		c.teardown(c.err)
		return
	}
	c.endAt = c.l.Now().Add(lingerWait)
	c.arm(c.endAt)
}

// teardown closes the connection and ends everything that waits for it.
func (c *ServerConn) teardown(err error) {
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
	c.failStreams()
	c.crowded.wake(ErrClosed)
	if c.out != nil {
		c.l.PutBig(c.out[:cap(c.out)])
		c.out = nil
	}
	c.keep = nil
	if c.cfg.Closed != nil {
		c.cfg.Closed(c)
	}
}

// failStreams ends all streams.
func (c *ServerConn) failStreams() {
	open := c.streams
	c.streams = nil
	for _, e := range open {
		e.s.fail(ErrClosed)
	}
}

// Err returns why the connection was closed; nil while it is open.
func (c *ServerConn) Err() error {
	if !c.dead {
		return nil
	}
	return c.err
}

// Stream returns the connection that is served.
func (c *ServerConn) Stream() loop.Stream { return c.s }
