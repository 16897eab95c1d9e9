package http2

import (
	"time"

	"github.com/pierhead/pierhead/internal/message"
)

// flow is what a stream of either side has in common: the body that comes and the one
// that goes, with their windows. Stream and ClientStream embed it, and own it.
type flow struct {
	own  owner
	conn *conn
	id   uint32
	err  error // why the stream is over before its time: everything answers this

	// What comes.
	headCame   bool   // the head that the body belongs to
	toCome     int64  // bytes that Content-Length still promises, or message.Unknown
	recvWin    int64  // what the peer may send
	owed       int64  // what was read and not granted anew
	body       []byte // what was not read
	off        int    // of it, what was
	remoteDone bool   // END_STREAM was received
	readWait   waiter

	// What goes.
	priority  priority
	sendWin   int64
	sent      int64  // bytes, heads included
	left      int64  // bytes that Length still promises, or message.Unknown
	gen       uint32 // of conn.out, when the last frame of this stream is still in it ...
	at        int    // ... at this position
	localDone bool   // END_STREAM was sent
	queued    bool   // in conn.blocked
	writeWait waiter
}

// owner is the stream that embeds a flow.
type owner interface {
	push(p []byte)                       // bytes of the body came
	arrived()                            // the end came
	failed()                             // err was set
	patience() time.Duration             // how long a wait to send may last; 0 is no bound
	ring(now time.Time, next *time.Time) // deadlines of reading may have passed
}

// begin makes the flow that of a new stream.
func (s *flow) begin(own owner, c *conn, id uint32) {
	s.own, s.conn, s.id = own, c, id
	s.recvWin, s.sendWin = c.window, c.initWin
	s.toCome, s.left = message.Unknown, message.Unknown
	s.gen = c.gen - 1
}

// fail ends the stream before its time, for a reason that lies outside of its owner.
func (s *flow) fail(err error) {
	if s.err == nil {
		s.err = err
		s.own.failed()
	}
}

// wake ends the waits.
func (s *flow) wake(err error) {
	s.readWait.wake(err)
	s.writeWait.wake(err)
}

// add adds to what was not read. The window bounds it.
func (s *flow) add(p []byte) {
	if s.off > 0 && len(s.body)+len(p) > cap(s.body) && s.off >= len(s.body)/2 {
		n := copy(s.body, s.body[s.off:])
		s.body, s.off = s.body[:n], 0
	}
	s.body = append(s.body, p...)
}

// takeBody reads of what has come.
func (s *flow) takeBody(p []byte) int {
	n := copy(p, s.body[s.off:])
	if s.off += n; s.off == len(s.body) {
		s.body, s.off = s.body[:0], 0
	}
	return n
}

// localEnd notes the end of what goes.
func (s *flow) localEnd() {
	s.localDone = true
	if s.remoteDone {
		s.conn.remove(s)
	}
}

// endStream marks the last frame as the last one, or sends an empty one when that has
// left.
func (s *flow) endStream() {
	c := s.conn
	if s.gen == c.gen {
		c.out[s.at+4] |= flagEndStream
		return
	}
	c.queue(0, frameData, flagEndStream, s.id)
	s.sent += headerSize
}

// wait lets the coroutine wait at w, for at most d when that is not 0.
func (s *flow) wait(w *waiter, d time.Duration) error {
	c := s.conn
	w.begin(c.l)
	if d > 0 {
		w.until = c.l.Now().Add(d)
		c.arm(w.until)
	}
	return w.end(c.l.Park())
}

// reset gives a stream up with RST_STREAM.
func (c *conn) reset(s *flow, code ErrCode, err error) {
	if s.err != nil || c.dead {
		return
	}
	if !s.remoteDone {
		c.noteReset(s.id)
	}
	c.writeReset(s.id, code)
	c.remove(s)
	s.fail(err)
}

// offend resets a stream on which the peer broke the protocol.
func (c *conn) offend(s *flow, code ErrCode) error {
	c.reset(s, code, ErrInvalid)
	return c.glitch(offence)
}

// remove takes a stream off the list of open ones.
func (c *conn) remove(s *flow) {
	if c.streams.find(s.id) != s {
		return
	}
	if c.data.s == s {
		c.data.s = nil
	}
	c.streams.remove(s.id)
	c.side.removed()
}
