package http2

import (
	"encoding/binary"
	"io"
)

// isWaiting reports whether nothing goes on in the connection but to wait for a request.
func (c *ServerConn) isWaiting() bool {
	return c.settled && len(c.streams)+c.running+len(c.keep) == 0 && c.block.id == 0 && !c.closing && !c.dead
}

// parks tells whether the connection is idle.
func (c *ServerConn) parks(parked bool) {
	if c.cfg.Idle != nil {
		c.cfg.Idle(parked && c.isWaiting())
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
