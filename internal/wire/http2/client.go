package http2

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"golang.org/x/net/http2/hpack"
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
	s   loop.Stream
	l   *loop.Loop
	cfg *ClientConfig
	arg any

	// Reading.
	dec     *hpack.Decoder
	keep    []byte // an incomplete frame, between two reads
	data    clientData
	block   block // the field block that is arriving in several frames
	head    clientHead
	settled bool // the server's first SETTINGS was there
	parked  bool // OnReadable is set
	bulk    bool // the last read filled its buffer: take a larger one
	idle    time.Time
	crowded waiter // the reader, waiting for the queue to get shorter

	// Streams.
	streams []*ClientStream // in the order of their IDs
	nextID  uint32
	max     int // what the server takes
	leaving bool

	// Windows.
	recvWin, owed    int64
	sendWin, initWin int64
	blocked          []*ClientStream // waiting for sendWin or the queue, first come first served

	// Writing.
	out    []byte
	gen    uint32 // counts the times that out was sent
	marked bool   // a flush is due or under way
	sized  bool   // the server knows that we use no dynamic table

	dead    bool
	err     error
	probeAt time.Time // when something must have come from the server at the latest
	timer   *loop.Timer
	timerAt time.Time

	strain strain
}

// NewClient makes a ClientConn of a new connection, on which the server's preface is
// expected. The caller runs in a coroutine of its loop and gives the connection away.
func NewClient(s loop.Stream, cfg *ClientConfig, arg any) *ClientConn {
	c := &ClientConn{
		s: s, l: s.Loop(), cfg: cfg, arg: arg,
		nextID: 1, max: clientStreams,
		recvWin: connWindow, sendWin: 65535, initWin: 65535,
	}
	c.idle = c.l.Now()
	c.dec = hpack.NewDecoder(4096, c.field)
	c.dec.SetMaxStringLength(2 * clientHeadList)
	c.greet()
	c.park()
	return c
}

// Streams returns how many requests the connection carries.
func (c *ClientConn) Streams() int { return len(c.streams) }

// Free reports whether the connection takes one more request.
func (c *ClientConn) Free() bool {
	return !c.dead && !c.leaving && len(c.streams) < min(c.max, clientStreams) && c.nextID < maxWindow
}

// Over reports whether the connection takes no request any more.
func (c *ClientConn) Over() bool { return c.dead || c.leaving || c.nextID >= maxWindow }

// Leave ends the connection when its last stream has ended.
func (c *ClientConn) Leave() {
	c.leaving = true
	c.rest()
}

// Err returns why the connection was closed; nil while it is open.
func (c *ClientConn) Err() error {
	if !c.dead {
		return nil
	}
	return c.err
}

func clientReadable(a any) {
	c := a.(*ClientConn)
	c.parked = false
	whole := false
	defer func() {
		if !whole { // a panic of ours must not leave a connection that nobody reads
			c.teardown(ErrClosed)
		}
	}()
	for happened := true; !c.dead; happened = false {
		if !happened && !c.s.Ready() {
			c.park()
			break
		}
		c.readOnce()
	}
	whole = true
}

// readOnce reads once and acts on what came.
func (c *ClientConn) readOnce() {
	big := c.bulk || len(c.keep) > 4<<10
	buf := c.l.Small
	if big {
		buf = c.l.Big
	}
	b := buf()
	defer func() {
		if big {
			c.l.PutBig(b)
		} else {
			c.l.PutSmall(b)
		}
	}()
	n := copy(b, c.keep)
	until := c.readDeadline()
	if until.IsZero() {
		until = c.l.Now().Add(halfWait)
	}
	c.s.SetReadDeadline(until)
	k, err := c.s.Read(b[n:])
	switch {
	case c.dead:
		return
	case errors.Is(err, loop.ErrTimeout):
		if until := c.readDeadline(); !until.IsZero() && !until.After(c.l.Now()) {
			c.goAway(CodeNo, err)
		}
		return
	case err == io.EOF:
		c.teardown(ErrClosed)
		return
	case err != nil:
		c.teardown(fmt.Errorf("%w: %w", ErrClosed, err))
		return
	}
	c.probeAt = time.Time{}
	c.bulk = n+k == len(b)
	rest, err := c.consume(b[:n+k])
	if err != nil {
		c.fail(err)
	}
	if c.keep = nil; len(rest) > 0 && !c.dead {
		c.keep = append(make([]byte, 0, len(rest)), rest...)
	}
}

// readDeadline returns until when the server may be silent: as long as it likes while
// there are streams, which have their own bounds.
func (c *ClientConn) readDeadline() time.Time {
	if len(c.streams) > 0 {
		return time.Time{}
	}
	d := c.cfg.Idle()
	if d <= 0 {
		return time.Time{}
	}
	return c.idle.Add(d)
}

// park leaves the connection until it becomes readable.
func (c *ClientConn) park() {
	c.parked, c.bulk = true, false
	c.s.SetReadDeadline(c.readDeadline())
	c.s.OnReadable(clientReadable, c)
}

// rest is called when a stream has ended.
func (c *ClientConn) rest() {
	if len(c.streams) > 0 || c.dead {
		return
	}
	c.idle = c.l.Now()
	if c.Over() {
		c.goAway(CodeNo, ErrClosed)
		return
	}
	c.cfg.Rested(c.arg)
	if c.parked && !c.dead {
		c.s.SetReadDeadline(c.readDeadline())
	}
}

// consume acts on the frames in p and returns an incomplete one at its end.
func (c *ClientConn) consume(p []byte) ([]byte, error) {
	for !c.dead {
		if len(c.out) >= loop.BigSize {
			c.crowded.begin(c.l)
			if err := c.crowded.end(c.l.Park()); err != nil {
				return nil, err
			}
			continue
		}
		if c.data.left > 0 {
			if len(p) == 0 {
				return nil, nil
			}
			n := min(c.data.left, len(p))
			c.payload(p[:n])
			p = p[n:]
			continue
		}
		if len(p) < headerSize {
			return p, nil
		}
		f := parseFrame(p)
		if err := c.check(f); err != nil {
			return nil, err
		}
		if f.kind == frameData {
			n, err := c.beginData(f, p[headerSize:])
			if err != nil {
				return nil, err
			}
			if n < 0 {
				return p, nil
			}
			p = p[headerSize+n:]
			continue
		}
		if len(p) < headerSize+f.length {
			return p, nil
		}
		if err := c.dispatch(f, p[headerSize:headerSize+f.length]); err != nil {
			return nil, err
		}
		p = p[headerSize+f.length:]
	}
	return nil, nil
}

// fail ends the connection for an error that the server made.
func (c *ClientConn) fail(err error) {
	var e *ConnError
	if !errors.As(err, &e) {
		c.teardown(err)
		return
	}
	c.goAway(e.Code, fmt.Errorf("%w: %w", ErrInvalid, err))
}

// goAway closes the connection with a last word, as far as that goes without waiting.
func (c *ClientConn) goAway(code ErrCode, err error) {
	if c.dead {
		return
	}
	if !c.marked { // else a write may be under way
		last := appendFrame(nil, 8, frameGoAway, 0, 0)
		last = append(last, 0, 0, 0, 0, 0, 0, 0, byte(code))
		if nc, ok := c.s.(*loop.Conn); ok {
			nc.CloseAfter(last)
		}
	}
	c.teardown(err)
}

// teardown closes the connection and ends everything that waits for it.
func (c *ClientConn) teardown(err error) {
	if c.dead {
		return
	}
	c.dead, c.err = true, err
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if c.parked {
		c.parked = false
		c.s.OnReadable(nil, nil)
	}
	c.s.Close()
	open := c.streams
	c.streams, c.keep, c.block, c.data = nil, nil, block{}, clientData{}
	for _, s := range open {
		s.fail(err)
	}
	c.crowded.wake(ErrClosed)
	if c.out != nil {
		c.l.PutBig(c.out[:cap(c.out)])
		c.out = nil
	}
	c.cfg.Closed(c.arg)
}

// arm makes sure that the connection's timer rings at t or before.
func (c *ClientConn) arm(t time.Time) {
	if c.dead || t.IsZero() {
		return
	}
	if c.timer != nil {
		if !t.Before(c.timerAt) {
			return
		}
		c.timer.Stop()
	}
	c.timerAt = t
	c.timer = c.l.AfterFunc(t.Sub(c.l.Now()), clientRing, c)
}

// clientRing cuts short what has taken too long.
func clientRing(a any) {
	c := a.(*ClientConn)
	c.timer = nil
	if c.dead {
		return
	}
	now, next := c.l.Now(), time.Time{}
	if expired(c.probeAt, now, &next) {
		c.teardown(fmt.Errorf("%w: the server does not answer", ErrClosed))
		return
	}
	for _, s := range c.streams {
		s.ring(now, &next)
	}
	c.arm(next)
}

// probe asks whether the server is still there, after it left a stream without an
// answer: what the network lost for good must not take more requests.
func (c *ClientConn) probe() {
	if c.dead || !c.probeAt.IsZero() {
		return
	}
	c.queue(8, framePing, 0, 0)
	c.out = append(c.out, drainPing...)
	c.probeAt = c.l.Now().Add(probeWait)
	c.arm(c.probeAt)
}
