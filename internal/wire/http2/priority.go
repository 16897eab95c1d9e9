package http2

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Priorities (RFC 9218) decide which of the streams that wait to send is next. The
// most urgent ones are. Among those of one urgency, an answer that its client can use
// piece by piece (incremental) shares with the others, and those that it cannot use
// before they are whole follow each other in the order in which they were asked for. A
// client that says nothing has its answers share: behind one connection there may be
// many users, as in front of a cache, and none of them is to wait for the others.
//
// Nothing starves. Only streams whose own window is open wait in line, so a stream that
// cannot send never holds the connection. Every eighth turn goes to whoever has waited
// longest, however urgent the others are; and while others of its connection advance, a
// stream in line is not reset for waiting long (see waitTurn).
//
// A client says it in the field Priority of the request and, later or earlier, in
// PRIORITY_UPDATE. Each of those costs a glitch. Those for streams that are still to
// come are kept, a few of them, the newest. The priorities of RFC 7540 are ignored, as
// SETTINGS_NO_RFC7540_PRIORITIES says.

// priority is what a client wishes for one answer.
type priority struct {
	urgency uint8 // 0 is the most urgent, 7 the least
	whole   bool  // of no use before it is complete: not incremental
}

// noPriority is that of an answer for which the client wishes nothing.
var noPriority = priority{urgency: 3}

// parsePriority reads a value of the field Priority, a dictionary of RFC 8941. Of what
// is not known or not valid, the default holds.
func parsePriority(v string) priority {
	p := priority{urgency: noPriority.urgency, whole: true}
	for v != "" {
		var member string
		member, v, _ = strings.Cut(v, ",")
		member, _, _ = strings.Cut(member, ";") // of parameters, none is defined
		switch member = strings.Trim(member, " \t"); {
		case len(member) == 3 && member[:2] == "u=" && member[2] >= '0' && member[2] <= '7':
			p.urgency = member[2] - '0'
		case member == "i", member == "i=?1":
			p.whole = false
		case member == "i=?0":
			p.whole = true
		}
	}
	return p
}

// before reports whether s is to send before o, which has waited longer.
func (s *flow) before(o *flow) bool {
	if s.priority.urgency != o.priority.urgency {
		return s.priority.urgency < o.priority.urgency
	}
	return s.priority.whole && o.priority.whole && s.id < o.id
}

// yields reports whether s, which has sent turn bytes since it last waited, leaves the
// connection to one of those that wait.
func (s *flow) yields(turn int) bool {
	if turn < share {
		return false
	}
	for _, o := range s.conn.blocked {
		if !s.before(o) {
			return true
		}
	}
	return turn >= 8*share && len(s.conn.blocked) > 0
}

// next returns the blocked stream whose turn it is.
func (c *conn) next() *flow {
	best := c.blocked[0]
	if c.turns++; c.turns%8 == 0 {
		return best
	}
	for _, s := range c.blocked[1:] {
		if s.before(best) {
			best = s
		}
	}
	return best
}

// wish is a priority for a stream that is still to come.
type wish struct {
	id uint32
	priority
}

// maxWishes bounds how many are kept.
const maxWishes = 16

// onPriorityUpdate takes PRIORITY_UPDATE (RFC 9218, section 7.1).
func (c *ServerConn) onPriorityUpdate(f frame, p []byte) error {
	switch {
	case f.id != 0:
		return &ConnError{CodeProtocol, "PRIORITY_UPDATE on a stream"}
	case len(p) < 4:
		return &ConnError{CodeFrameSize, "PRIORITY_UPDATE is shorter than 4 bytes"}
	}
	id := binary.BigEndian.Uint32(p) & idMask
	if id&1 == 0 {
		return &ConnError{CodeProtocol, "PRIORITY_UPDATE for a stream that cannot be"}
	}
	wished := parsePriority(string(p[4:min(len(p), 4+maxPriority)]))
	if s := c.streams.find(id); s != nil {
		s.priority = wished
	} else if c.isIdle(id) {
		c.forget(id)
		if len(c.wishes) == maxWishes {
			c.wishes = slices.Delete(c.wishes, 0, 1)
		}
		c.wishes = append(c.wishes, wish{id, wished})
	}
	return c.glitch(1)
}

// maxPriority is how much of a value is looked at.
const maxPriority = 256

// forget drops the wish for a stream.
func (c *ServerConn) forget(id uint32) {
	c.wishes = slices.DeleteFunc(c.wishes, func(w wish) bool { return w.id == id })
}

// prioritize sets the priority of a new stream: what PRIORITY_UPDATE said goes before
// what its head says.
func (c *ServerConn) prioritize(s *stream, field string) {
	s.priority = noPriority
	if field != "" {
		s.priority = parsePriority(field)
	}
	for _, w := range c.wishes {
		if w.id == s.id {
			s.priority = w.priority
			c.forget(s.id)
			return
		}
	}
}
