package http2

import (
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// streamWindow is what we let a client send of a body before the handler has read it.
const streamWindow = 256 << 10

// ServerConn is one client connection. Only code of its loop touches it.
type ServerConn struct {
	conn
	cfg *ServerConfig

	head     RequestHead // the head that is being decoded
	used     uint64      // which of the last 64 IDs up to lastID were opened
	late     []late      // RST_STREAMs that the client is still to get, the oldest first
	running  int         // handlers at work, also those of streams that were reset
	max      int         // streams that the client was told it may open
	requests int
	wishes   []wish // priorities for streams to come, the oldest first

	draining bool      // the first GOAWAY was sent
	drainAt  time.Time // when the last GOAWAY follows the first at the latest
}

// Serve begins to serve a client. The caller runs in a coroutine of the
// connection's loop and gives the connection away; s must begin with the client
// preface. Serve returns when there is nothing to read for the moment, or the
// connection is closed.
func Serve(s loop.Stream, cfg *ServerConfig) *ServerConn {
	lim := cfg.limits()
	c := &ServerConn{cfg: cfg, max: or(lim.MaxStreams, DefaultLimits.MaxStreams)}
	c.init(c, s, streamWindow, c.field)
	c.writeSettings(
		setting{settingMaxStreams, c.max},
		setting{settingInitialWindowSize, streamWindow},
		setting{settingMaxHeaderList, c.maxHeaderList()},
		setting{settingNoPriorities, 1},
	)
	c.read(false)
	return c
}

// Stream returns the connection that is served.
func (c *ServerConn) Stream() loop.Stream { return c.s }

func (c *ServerConn) limits() *Limits { return c.cfg.limits() }

// readDeadline returns until when the client must have sent something.
func (c *ServerConn) readDeadline() time.Time {
	lim := c.cfg.limits()
	d, since := time.Duration(0), c.begun
	switch {
	case c.closing:
		return time.Time{} // endAt bounds it
	case !c.settled || c.block.id != 0 || len(c.keep) > 0:
		d = lim.HeaderTimeout
	case len(c.streams) > 0 || c.running > 0:
		return time.Time{} // the streams have their own
	case lim.KeepAlive > 0:
		d, since = lim.KeepAlive, c.idle
	case c.requests > 0:
		return c.idle
	default:
		d = lim.HeaderTimeout
	}
	if d <= 0 {
		return time.Time{}
	}
	return since.Add(d)
}

// isIdle reports whether the client has not opened the stream yet; one with an
// even ID never can.
func (c *ServerConn) isIdle(id uint32) bool { return id&1 == 0 || id > c.lastID }

// wasOpened reports whether the client opened the stream, as far as is remembered.
func (c *ServerConn) wasOpened(id uint32) bool {
	back := (c.lastID - id) / 2
	return back >= 64 || c.used>>back&1 != 0
}

// noteOpened remembers that the client opened a stream, which skips those between.
func (c *ServerConn) noteOpened(id uint32) {
	c.used = c.used<<((id-c.lastID+1)/2) | 1
	c.lastID = id
}

// stray takes DATA on a stream that has ended.
func (c *ServerConn) stray(f frame, content int) error {
	if c.isLate(f.id, f.has(flagEndStream)) && content > 0 {
		return nil
	}
	if !c.wasReset(f.id) {
		c.writeReset(f.id, CodeStreamClosed)
	}
	return c.glitch(1)
}

// resetBy takes RST_STREAM.
func (c *ServerConn) resetBy(s *flow, id uint32, _ ErrCode) error {
	if s == nil {
		c.isLate(id, true)
		return c.glitch(1) // it crossed the end of the answer
	}
	premature := c.isPremature(s.own.(*stream))
	c.remove(s)
	s.fail(ErrReset)
	c.rest()
	return c.countReset(premature)
}

func (c *ServerConn) setting(id uint16, v uint32) error {
	switch {
	case id == settingEnablePush && v > 1:
		return &ConnError{CodeProtocol, "SETTINGS_ENABLE_PUSH is neither 0 nor 1"}
	case id == settingNoPriorities && v > 1:
		return &ConnError{CodeProtocol, "SETTINGS_NO_RFC7540_PRIORITIES is neither 0 nor 1"}
	}
	return nil
}

// pong takes the answer to a PING.
func (c *ServerConn) pong(p []byte) error {
	if string(p) == drainPing {
		c.lastGoAway()
		return nil
	}
	return c.glitch(1)
}

// wentAway takes GOAWAY: there is nothing to answer.
func (c *ServerConn) wentAway(uint32) { c.parted = true }

// other takes a frame of a type that only one side may send, or that we do not know,
// which is allowed.
func (c *ServerConn) other(f frame, p []byte) error {
	switch f.kind {
	case framePushPromise:
		return &ConnError{CodeProtocol, "a client sent PUSH_PROMISE"}
	case framePriorityUpdate:
		return c.onPriorityUpdate(f, p)
	}
	return c.glitch(1)
}

// removed does nothing: the handler of the stream may still be at work, and looks
// after the connection when it is done.
func (c *ServerConn) removed() {}

// ring does what is due.
func (c *ServerConn) ring(now time.Time, next *time.Time) {
	if expired(c.drainAt, now, next) {
		c.lastGoAway()
	}
	c.sendLate(now, false, next)
}

// told is what handlers see.
func (c *ServerConn) told(error) error { return ErrClosed }

func (c *ServerConn) closed() {
	if c.cfg.Closed != nil {
		c.cfg.Closed(c)
	}
}
