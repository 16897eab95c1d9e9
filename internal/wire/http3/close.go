package http3

import (
	"time"

	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
)

const (
	leastDrain = 25 * time.Millisecond // between the two GOAWAYs
	mostDrain  = time.Second
	lingerWait = time.Second // for the client to close, when all was sent to it
)

// Drain asks the client to send its next requests elsewhere. Those that have been sent
// are answered, then the connection is closed (RFC 9114, section 5.2).
func (c *ServerConn) Drain() {
	if c.draining || c.dead {
		return
	}
	c.draining = true
	c.sendGoAway(noStream - 4)
	trip := c.qc.ConnectionStats().SmoothedRTT
	c.after(min(max(4*trip, leastDrain), mostDrain), (*ServerConn).lastGoAway)
}

// lastGoAway tells the client which requests will still be answered.
func (c *ServerConn) lastGoAway() {
	c.mu.Lock()
	c.refuseFrom = c.next
	id := c.next
	c.mu.Unlock()
	c.leaving = true
	c.sendGoAway(id)
	if !c.busy() {
		c.rest()
	}
}

func (c *ServerConn) sendGoAway(id quic.StreamID) {
	if c.control != nil {
		c.control.TryWriteAll(appendFrame(frameGoAway, quicvarint.Append(nil, uint64(id))))
	}
}

// rest is called when the last request has ended.
func (c *ServerConn) rest() {
	c.idle = c.l.Now()
	switch {
	case c.dead:
	case c.leaving: // what was sent last is on its way: the client closes when it has it
		c.after(lingerWait, (*ServerConn).end)
	case !c.draining:
		c.watchIdle()
	}
}

// end closes the connection.
func (c *ServerConn) end() { c.fail(codeNo, "") }

// Close ends a connection with all that goes on in it. It waits until the client was
// told; any goroutine may call it, but none that runs on a loop.
func Close(qc *quic.Conn) { qc.CloseWithError(codeNo, "") }

// watchIdle sees to it that a connection without requests ends in time.
func (c *ServerConn) watchIdle() {
	d := c.idleTime()
	if d <= 0 || c.draining || c.dead {
		return
	}
	if until := c.idle.Add(d); c.timer == nil || until.Before(c.due) {
		c.after(until.Sub(c.l.Now()), (*ServerConn).idleFor)
	}
}

// idleTime returns how long the connection may be without requests.
func (c *ServerConn) idleTime() time.Duration {
	lim := c.cfg.limits()
	if c.requests == 0 || lim.KeepAlive <= 0 {
		return min(lim.HeaderTimeout, http2.DefaultLimits.HeaderTimeout)
	}
	return lim.KeepAlive
}

// idleFor looks whether the connection was idle for too long.
func (c *ServerConn) idleFor() {
	switch {
	case c.busy(): // rest looks again
	case c.idle.Add(c.idleTime()).After(c.l.Now()):
		c.watchIdle()
	default:
		c.Drain()
	}
}

// after has f called when d has passed, in place of what the timer was for.
func (c *ServerConn) after(d time.Duration, f func(*ServerConn)) {
	c.stopTimer()
	c.due = c.l.Now().Add(d)
	c.timer = c.l.AfterFunc(d, func(any) {
		c.timer = nil
		if !c.dead {
			f(c)
		}
	}, nil)
}

func (c *ServerConn) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}
