package http2

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// What a server may send before its answers are read: the bodies of one connection
// take at most as much as all its streams. The connection's own window is never
// short, so that an answer that nobody reads does not stop the others.
const (
	clientWindow   = 128 << 10
	clientStreams  = 100      // at one time, also while the server has not said how many it takes
	clientHeadList = 64 << 10 // of one head
	clientGlitches = 1000
	probeWait      = 5 * time.Second // for the answer to PING when a stream has waited in vain
)

// ErrRefused is a request that the server did not look at: it may be sent again, on
// another connection, whatever it asks for.
var ErrRefused = errors.New("http2: request was not processed by the server")

// ClientConfig is what the connections to one server have in common.
type ClientConfig struct {
	// Idle returns how long a connection may have no stream; 0 is no bound.
	Idle func() time.Duration
	// Rested is called when the last stream of a connection has ended, and Closed once
	// when it is closed. They must not wait; arg is that of NewClient.
	Rested, Closed func(arg any)
	// Secure says that requests travel by https.
	Secure bool
}

// ClientConn is one connection to a server, which carries many requests at one time.
// Only code of its loop touches it. Frames are read where they arrive, in a coroutine
// that ends when there are no more.
type ClientConn struct {
	conn
	cfg *ClientConfig
	arg any

	head   clientHead // the head that is being decoded
	nextID uint32
	max    int // streams that the server takes
}

// clientLimits bound what a server may do.
var clientLimits = Limits{
	MaxHeaderList: clientHeadList, Glitches: clientGlitches, SendTimeout: DefaultLimits.SendTimeout,
}

// NewClient makes a ClientConn of a new connection, on which the server's preface is
// expected. The caller runs in a coroutine of its loop and gives the connection away.
func NewClient(s loop.Stream, cfg *ClientConfig, arg any) *ClientConn {
	c := &ClientConn{cfg: cfg, arg: arg, nextID: 1, max: clientStreams}
	c.init(c, s, clientWindow, c.field)
	c.greeted, c.ample = true, true
	c.out = append(c.l.Big()[:0], preface...)
	c.writeSettings(
		setting{settingEnablePush, 0},
		setting{settingInitialWindowSize, clientWindow},
		setting{settingMaxHeaderList, clientHeadList},
	)
	c.park()
	return c
}

// Streams returns how many requests the connection carries.
func (c *ClientConn) Streams() int { return len(c.streams) }

// Free reports whether the connection takes one more request.
func (c *ClientConn) Free() bool { return !c.Over() && len(c.streams) < min(c.max, clientStreams) }

// Over reports whether the connection takes no request any more.
func (c *ClientConn) Over() bool {
	return c.dead || c.closing || c.leaving || c.nextID >= maxWindow
}

// Leave ends the connection when its last stream has ended.
func (c *ClientConn) Leave() {
	c.leaving = true
	c.rest()
}

func (c *ClientConn) limits() *Limits { return &clientLimits }

// readDeadline returns until when the server may be silent: as long as it likes while
// there are streams, which have their own bounds.
func (c *ClientConn) readDeadline() time.Time {
	if len(c.streams) > 0 || c.closing {
		return time.Time{}
	}
	d := c.cfg.Idle()
	if d <= 0 {
		return time.Time{}
	}
	return c.idle.Add(d)
}

// removed looks after the connection, since nothing of the stream is left.
func (c *ClientConn) removed() { c.rest() }

// rest is called when a stream has ended.
func (c *ClientConn) rest() {
	if len(c.streams) > 0 || c.dead || c.closing {
		return
	}
	c.idle = c.l.Now()
	if c.Over() {
		c.shut(CodeNo, ErrClosed)
		return
	}
	c.cfg.Rested(c.arg)
	if c.parked && !c.dead {
		c.s.SetReadDeadline(c.readDeadline())
	}
}

// parks does nothing: rest tells who keeps the connection.
func (c *ClientConn) parks(bool) {}

// partings does nothing: a server is to get nothing but GOAWAY.
func (c *ClientConn) partings() {}

// said closes the connection when the server was told: what may still come is of no use.
func (c *ClientConn) said() { c.teardown(c.err) }

// told is what requests see when the connection ends with err.
func (c *ClientConn) told(err error) error {
	var broken *ConnError
	switch {
	case err == io.EOF:
		return ErrClosed
	case errors.Is(err, ErrClosed):
		return err
	case errors.As(err, &broken):
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

func (c *ClientConn) closed() { c.cfg.Closed(c.arg) }

// ring closes a connection whose server has not answered a probe.
func (c *ClientConn) ring(now time.Time, next *time.Time) {
	if expired(c.probeAt, now, next) {
		c.teardown(fmt.Errorf("%w: the server does not answer", ErrClosed))
	}
}

// probe asks whether the server is still there, after it left a stream without an
// answer: what the network lost for good must not take more requests.
func (c *ClientConn) probe() {
	if c.dead || c.closing || !c.probeAt.IsZero() {
		return
	}
	c.queue(8, framePing, 0, 0)
	c.out = append(c.out, drainPing...)
	c.probeAt = c.l.Now().Add(probeWait)
	c.arm(c.probeAt)
}
