package http2

import (
	"slices"
	"time"
)

// late is an RST_STREAM with NO_ERROR that the client is still to get: its request
// was answered before it had sent all of it, and the rest is not wanted (RFC 9113,
// section 8.1). For us the stream has ended. The client is told a little after the
// answer, and not at all when it ends the request by itself: curl before 8.0 forgets
// an answer that it reads together with the RST_STREAM.
type late struct {
	id uint32
	at time.Time
}

const (
	lateWait = 200 * time.Millisecond
	maxLate  = 16 // of one connection; the oldest goes out when there are more
)

// resetLate ends a stream whose answer is whole and whose request is not.
func (c *ServerConn) resetLate(s *stream) {
	if s.err != nil || c.dead || c.closing {
		return
	}
	c.noteReset(s.id)
	c.remove(&s.flow)
	s.fail(ErrAborted)
	if len(c.late) == maxLate {
		c.writeReset(c.late[0].id, CodeNo)
		c.late = slices.Delete(c.late, 0, 1)
	}
	at := c.l.Now().Add(lateWait)
	c.late = append(c.late, late{s.id, at})
	c.arm(at)
}

// isLate reports whether frames of a stream come because its client was not told yet
// that they are not wanted. With end they are the last ones, and it need not be told.
func (c *ServerConn) isLate(id uint32, end bool) bool {
	i := slices.IndexFunc(c.late, func(l late) bool { return l.id == id })
	if i >= 0 && end {
		c.late = slices.Delete(c.late, i, i+1)
	}
	return i >= 0
}

// sendLate tells the client what is due by now, or everything.
func (c *ServerConn) sendLate(now time.Time, all bool, next *time.Time) {
	n := 0
	for n < len(c.late) && (all || expired(c.late[n].at, now, next)) {
		c.writeReset(c.late[n].id, CodeNo)
		n++
	}
	c.late = slices.Delete(c.late, 0, n)
}
