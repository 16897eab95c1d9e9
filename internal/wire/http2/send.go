package http2

import (
	"encoding/binary"

	"github.com/pierhead/pierhead/internal/loop"
)

// queueLimit is how full the queue may get with DATA. The rest of its buffer is for
// heads and for frames about the connection; a client that makes us send more of
// those than fit is not read any further.
const queueLimit = loop.BigSize - 8<<10

// room returns how much DATA the queue takes. Less than is worth a frame is nothing.
func (c *ServerConn) room() int {
	n := queueLimit - headerSize - len(c.out)
	if n < small {
		return 0
	}
	return n
}

// small is the size up to which a DATA frame that the client's window cut short
// counts as a glitch.
const small = 256

// queue appends the head of a frame to what leaves at the end of the turn. The
// caller appends the payload.
func (c *ServerConn) queue(length int, kind, flags uint8, id uint32) {
	if c.out == nil {
		c.out = c.l.Big()[:0]
	}
	if !c.marked {
		c.marked = true
		c.l.AtTurnEnd(turnEnd, c)
	}
	c.out = appendFrame(c.out, length, kind, flags, id)
}

func turnEnd(a any) {
	c := a.(*ServerConn)
	c.l.Go(flush, c)
}

// flush sends what is queued, and what is queued meanwhile.
func flush(a any) {
	c := a.(*ServerConn)
	for len(c.out) > 0 && !c.dead {
		out := c.out
		c.out = nil
		c.gen++
		c.unblock()
		c.crowded.wake(nil)
		c.s.SetWriteTimeout(c.cfg.limits().SendTimeout)
		_, err := c.s.Write(out)
		c.l.PutBig(out[:cap(out)])
		if err != nil {
			c.teardown(err)
		}
	}
	c.marked = false
	if c.closing && !c.dead {
		c.linger()
	}
}

func (c *ServerConn) writeSettings(lim *Limits) {
	settings := [...]struct {
		id    uint16
		value int
	}{
		{settingMaxStreams, c.max},
		{settingInitialWindowSize, streamWindow},
		{settingMaxHeaderList, or(lim.MaxHeaderList, DefaultLimits.MaxHeaderList)},
	}
	c.queue(6*len(settings), frameSettings, 0, 0)
	for _, s := range settings {
		c.out = binary.BigEndian.AppendUint16(c.out, s.id)
		c.out = binary.BigEndian.AppendUint32(c.out, uint32(s.value))
	}
	c.writeWindowUpdate(0, connWindow-65535)
}

func (c *ServerConn) writeWindowUpdate(id uint32, n int64) {
	c.queue(4, frameWindowUpdate, 0, id)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(n))
}

func (c *ServerConn) writeReset(id uint32, code ErrCode) {
	c.queue(4, frameRSTStream, 0, id)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

func (c *ServerConn) writeGoAway(last uint32, code ErrCode) {
	c.queue(8, frameGoAway, 0, 0)
	c.out = binary.BigEndian.AppendUint32(c.out, last)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

// setInitialWindow changes the windows of all streams by the difference to the last
// value (RFC 9113, section 6.9.2).
func (c *ServerConn) setInitialWindow(n int64) error {
	diff := n - c.initWin
	c.initWin = n
	for _, e := range c.streams {
		if e.s.sendWin += diff; e.s.sendWin > maxWindow {
			return &ConnError{CodeFlowControl, "a stream's window is too large"}
		}
		e.s.windowOpened()
	}
	return nil
}

// windowOpened wakes the stream if it waits for its own window.
func (s *stream) windowOpened() {
	if s.sendWin > 0 && !s.queued {
		s.writeWait.wake(nil)
	}
}

// share is what one stream may queue before another one that waits has its turn.
const share = 32 << 10

// send queues p as DATA, as the windows and the queue allow.
func (s *stream) send(p []byte) (int, error) {
	c, sent, turn := s.c, 0, 0
	for len(p) > 0 {
		if s.err != nil {
			return sent, s.err
		}
		n := min(int64(len(p)), maxFrame, s.sendWin, c.sendWin, int64(c.room()))
		if n <= 0 || turn >= share && len(c.blocked) > 0 {
			if err := s.waitTurn(); err != nil {
				return sent, err
			}
			turn = 0
			continue
		}
		if n < small && n < int64(len(p)) {
			if err := c.glitch(2); err != nil { // a window of a few bytes (CVE-2019-9511)
				c.fail(err)
				return sent, s.err
			}
		} else {
			c.relieve(2)
		}
		s.data(p[:n])
		p = p[n:]
		sent += int(n)
		turn += int(n)
	}
	return sent, nil
}

// data queues p in a frame, which may be the stream's last one made longer.
func (s *stream) data(p []byte) {
	c := s.c
	if s.gen == c.gen && c.out[s.at+3] == frameData {
		before := parseFrame(c.out[s.at:]).length
		if s.at+headerSize+before == len(c.out) && before+len(p) <= maxFrame {
			setLength(c.out, s.at, before+len(p))
			s.add(p)
			return
		}
	}
	c.queue(len(p), frameData, 0, s.id)
	c.strain.updates += 2
	s.gen, s.at = c.gen, len(c.out)-headerSize
	s.sent += headerSize
	s.add(p)
}

func (s *stream) add(p []byte) {
	n := int64(len(p))
	s.c.out = append(s.c.out, p...)
	s.sendWin -= n
	s.c.sendWin -= n
	s.sent += n
}

// waitTurn waits until the stream may try to send again.
func (s *stream) waitTurn() error {
	c := s.c
	if s.sendWin > 0 {
		c.blocked = append(c.blocked, s)
		s.queued = true
		c.unblock() // when it was only another one's turn
	}
	err := s.wait(&s.writeWait, c.cfg.limits().SendTimeout)
	if s.queued {
		s.leaveQueue()
	}
	if err == loop.ErrTimeout {
		c.reset(s, CodeCancel, err)
	}
	return err
}

// leaveQueue takes the stream out of those that are blocked.
func (s *stream) leaveQueue() {
	s.queued = false
	b := s.c.blocked
	for i, o := range b {
		if o == s {
			copy(b[i:], b[i+1:])
			b[len(b)-1] = nil
			s.c.blocked = b[:len(b)-1]
			return
		}
	}
}

// unblock lets the first of the blocked streams go on, if it can. Each wakes the
// next when it has had its share.
func (c *ServerConn) unblock() {
	if len(c.blocked) == 0 || c.sendWin <= 0 || c.room() == 0 {
		return
	}
	s := c.blocked[0]
	s.leaveQueue()
	s.writeWait.wake(nil)
}
