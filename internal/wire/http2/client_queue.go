package http2

import (
	"encoding/binary"

	"github.com/pierhead/pierhead/internal/loop"
)

// greet queues the preface, SETTINGS and the connection's window.
func (c *ClientConn) greet() {
	settings := [...]struct {
		id    uint16
		value uint32
	}{
		{settingEnablePush, 0},
		{settingInitialWindowSize, clientWindow},
		{settingMaxHeaderList, clientHeadList},
	}
	c.out = append(c.l.Big()[:0], preface...)
	c.queue(6*len(settings), frameSettings, 0, 0)
	for _, s := range settings {
		c.out = binary.BigEndian.AppendUint16(c.out, s.id)
		c.out = binary.BigEndian.AppendUint32(c.out, s.value)
	}
	c.writeWindowUpdate(0, connWindow-65535)
}

func (c *ClientConn) writeWindowUpdate(id uint32, n int64) {
	c.queue(4, frameWindowUpdate, 0, id)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(n))
}

// queue appends the head of a frame to what leaves at the end of the turn. The caller
// appends the payload.
func (c *ClientConn) queue(length int, kind, flags uint8, id uint32) {
	if c.out == nil {
		c.out = c.l.Big()[:0]
	}
	if !c.marked {
		c.marked = true
		c.l.AtTurnEnd(clientTurnEnd, c)
	}
	c.out = appendFrame(c.out, length, kind, flags, id)
}

func clientTurnEnd(a any) {
	c := a.(*ClientConn)
	c.l.Go(clientFlush, c)
}

// clientFlush sends what is queued, and what is queued meanwhile.
func clientFlush(a any) {
	c := a.(*ClientConn)
	for len(c.out) > 0 && !c.dead {
		out := c.out
		c.out = nil
		c.gen++
		c.unblock()
		c.crowded.wake(nil)
		c.s.SetWriteTimeout(DefaultLimits.SendTimeout)
		_, err := c.s.Write(out)
		c.l.PutBig(out[:cap(out)])
		if err != nil {
			c.teardown(err)
		}
	}
	c.marked = false
}

// room returns how much DATA the queue takes.
func (c *ClientConn) room() int {
	if n := queueLimit - headerSize - len(c.out); n >= small {
		return n
	}
	return 0
}

var _ loop.Stream = (*ClientStream)(nil)
