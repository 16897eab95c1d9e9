package http2

import (
	"encoding/binary"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// queueLimit is how full the queue may get with DATA. The rest of its buffer is for
// heads and for frames about the connection; a peer that makes us send more of
// those than fit is not read any further.
const queueLimit = loop.BigSize - 8<<10

// room returns how much DATA the queue takes. Less than is worth a frame is nothing.
func (c *conn) room() int {
	n := queueLimit - headerSize - len(c.out)
	if n < small {
		return 0
	}
	return n
}

// small is the size up to which a DATA frame that the peer's window cut short
// counts as a glitch.
const small = 256

// queue appends the head of a frame to what leaves at the end of the turn. The
// caller appends the payload.
func (c *conn) queue(length int, kind, flags uint8, id uint32) {
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
	c := a.(*conn)
	c.l.Go(flush, c)
}

// flush sends what is queued, and what is queued meanwhile.
func flush(a any) {
	c := a.(*conn)
	for len(c.out) > 0 && !c.dead {
		out := c.out
		c.out = nil
		c.gen++
		c.unblock()
		c.crowded.wake(nil)
		c.s.SetWriteTimeout(c.side.limits().SendTimeout)
		_, err := c.s.Write(out)
		c.l.PutBig(out[:cap(out)])
		if err != nil {
			c.teardown(err)
		}
	}
	c.marked = false
	if c.closing && !c.dead {
		c.side.said()
	}
}

// setting is one of SETTINGS.
type setting struct {
	id    uint16
	value int
}

// writeSettings queues the first SETTINGS, and the connection's window.
func (c *conn) writeSettings(settings ...setting) {
	c.queue(6*len(settings), frameSettings, 0, 0)
	for _, s := range settings {
		c.out = binary.BigEndian.AppendUint16(c.out, s.id)
		c.out = binary.BigEndian.AppendUint32(c.out, uint32(s.value))
	}
	c.writeWindowUpdate(0, connWindow-65535)
}

func (c *conn) writeWindowUpdate(id uint32, n int64) {
	c.queue(4, frameWindowUpdate, 0, id)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(n))
}

func (c *conn) writeReset(id uint32, code ErrCode) {
	c.queue(4, frameRSTStream, 0, id)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

func (c *conn) writeGoAway(last uint32, code ErrCode) {
	c.queue(8, frameGoAway, 0, 0)
	c.out = binary.BigEndian.AppendUint32(c.out, last)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

// setInitialWindow changes the windows of all streams by the difference to the last
// value (RFC 9113, section 6.9.2).
func (c *conn) setInitialWindow(n int64) error {
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
func (s *flow) windowOpened() {
	if s.sendWin > 0 && !s.queued {
		s.writeWait.wake(nil)
	}
}

// write is send, and lets others have their turn afterwards.
func (s *flow) write(p []byte) (int, error) {
	n, err := s.send(p)
	if s.left >= 0 {
		s.left -= int64(n)
	}
	s.conn.unblock()
	return n, err
}

// bodyWriter is what writes the body of a message.
type bodyWriter interface {
	Write(p []byte) (int, error)
	Finish(trailer *message.Header) error
}

// writeLast is Write and then Finish.
func writeLast(w bodyWriter, p []byte, trailer *message.Header) error {
	if len(p) > 0 {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return w.Finish(trailer)
}

// share is what one stream may queue before another one that waits has its turn.
const share = 32 << 10

// send queues p as DATA, as the windows and the queue allow.
func (s *flow) send(p []byte) (int, error) {
	c, sent, turn := s.conn, 0, 0
	for len(p) > 0 {
		if s.err != nil {
			return sent, s.err
		}
		n := min(int64(len(p)), maxFrame, s.sendWin, c.sendWin, int64(c.room()))
		if n <= 0 || c.turn != nil || s.yields(turn) {
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
func (s *flow) data(p []byte) {
	c := s.conn
	if s.gen == c.gen && c.out[s.at+3] == frameData {
		before := parseFrame(c.out[s.at:]).length
		if s.at+headerSize+before == len(c.out) && before+len(p) <= maxFrame {
			setLength(c.out, s.at, before+len(p))
			s.append(p)
			return
		}
	}
	c.queue(len(p), frameData, 0, s.id)
	c.strain.updates += 2
	s.gen, s.at = c.gen, len(c.out)-headerSize
	s.sent += headerSize
	s.append(p)
}

func (s *flow) append(p []byte) {
	n := int64(len(p))
	s.conn.out = append(s.conn.out, p...)
	s.sendWin -= n
	s.conn.sendWin -= n
	s.conn.moved += n
	s.sent += n
}

// waitTurn waits until the stream may try to send again.
func (s *flow) waitTurn() error {
	c := s.conn
	c.unblock() // when it is only another one's turn, or s cannot use its own
	inLine, before := s.sendWin > 0, c.moved
	if inLine {
		c.blocked = append(c.blocked, s)
		s.queued = true
	}
	err := s.wait(&s.writeWait, s.own.patience())
	if c.turn == s {
		c.turn = nil
	}
	if s.queued {
		s.leaveQueue()
	}
	if err == loop.ErrTimeout {
		if inLine && c.moved != before {
			return nil // the peer takes what others send: wait on
		}
		c.reset(s, CodeCancel, err)
	}
	return err
}

// leaveQueue takes the stream out of those that are blocked.
func (s *flow) leaveQueue() {
	s.queued = false
	b := s.conn.blocked
	for i, o := range b {
		if o == s {
			copy(b[i:], b[i+1:])
			b[len(b)-1] = nil
			s.conn.blocked = b[:len(b)-1]
			return
		}
	}
}

// unblock lets the next of the blocked streams go on, if it can. Each wakes the
// next when it has had its share.
func (c *conn) unblock() {
	if c.turn != nil || len(c.blocked) == 0 || c.sendWin <= 0 || c.room() == 0 {
		return
	}
	s := c.next()
	s.leaveQueue()
	c.turn = s
	s.writeWait.wake(nil)
}
