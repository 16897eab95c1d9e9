package http2

import (
	"errors"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"golang.org/x/net/http2/hpack"
)

// What we let a client send before the handler has read it: the first is per
// stream, the second bounds the memory that the bodies of one connection take.
const (
	streamWindow = 256 << 10
	connWindow   = 1 << 20
)

// ServerConn is one client connection. Only code of its loop touches it.
type ServerConn struct {
	s   loop.Stream
	l   *loop.Loop
	cfg *ServerConfig

	// Reading.
	dec      *hpack.Decoder
	keep     []byte      // an incomplete frame, between two reads
	data     dataFrame   // the DATA frame whose payload is arriving
	block    block       // the field block that is arriving in several frames
	head     RequestHead // the head that is being decoded
	begun    time.Time   // when what is incomplete began to arrive
	idle     time.Time   // when the last stream ended
	greeted  bool        // the preface was there
	settled  bool        // the client's first SETTINGS was there
	parked   bool        // OnReadable is set
	bulk     bool        // the last read filled its buffer: take a larger one
	crowded  waiter      // the reader, waiting for the queue to get shorter
	discards int         // bytes thrown away while closing

	// Streams.
	streams  table
	lastID   uint32   // the highest that the client opened
	used     uint64   // which of the last 64 IDs up to lastID were opened
	resets   []uint32 // streams that we reset and whose frames may still come, a ring
	oldest   int      // of resets
	late     []late   // RST_STREAMs that the client is still to get, the oldest first
	running  int      // handlers at work, also those of streams that were reset
	max      int      // streams that the client was told it may open
	requests int

	// Windows.
	recvWin, owed    int64 // what the client may send, and what we have to grant it
	sendWin, initWin int64
	blocked          []*stream // waiting for sendWin or the queue, first come first served

	// Writing.
	out     []byte
	gen     uint32 // counts the times that out was sent
	marked  bool   // a flush is due or under way
	sized   bool   // the client knows that we use no dynamic table
	dead    bool   // closed
	closing bool   // GOAWAY with the last word was sent, what arrives is thrown away
	err     error  // why

	// Ending.
	draining bool        // the first GOAWAY was sent
	leaving  bool        // the last GOAWAY was sent or received: close when all streams have ended
	goAwayID uint32      // streams above it are not served any more
	drainAt  time.Time   // when the last GOAWAY follows the first at the latest
	endAt    time.Time   // when a closing connection is closed at the latest
	timer    *loop.Timer // for the first of all deadlines but those of reading
	timerAt  time.Time

	strain strain
}

// Serve begins to serve a client. The caller runs in a coroutine of the
// connection's loop and gives the connection away; s must begin with the client
// preface. Serve returns when there is nothing to read for the moment, or the
// connection is closed.
func Serve(s loop.Stream, cfg *ServerConfig) *ServerConn {
	lim := cfg.limits()
	c := &ServerConn{
		s: s, l: s.Loop(), cfg: cfg,
		max:      or(lim.MaxStreams, DefaultLimits.MaxStreams),
		recvWin:  connWindow,
		sendWin:  65535,
		initWin:  65535,
		goAwayID: maxWindow,
	}
	c.begun = c.l.Now()
	c.idle = c.begun
	c.dec = hpack.NewDecoder(4096, c.field)
	c.dec.SetMaxStringLength(2 * or(lim.MaxHeaderList, DefaultLimits.MaxHeaderList))
	c.writeSettings(lim)
	c.read(false)
	return c
}

// readable is called in a new coroutine when a parked connection can be read.
func readable(a any) {
	c := a.(*ServerConn)
	c.parked = false
	c.tell(false)
	c.read(true)
}

// read takes what has arrived and parks the connection. It tries at least once when
// something happened, since that may be a deadline that has passed.
func (c *ServerConn) read(happened bool) {
	whole := false
	defer func() {
		if !whole { // a panic of ours must not leave a connection that nobody reads
			c.teardown(ErrClosed)
		}
	}()
	for !c.dead {
		if !happened && !c.s.Ready() {
			c.park()
			break
		}
		happened = false
		c.readOnce()
	}
	whole = true
}

// readOnce reads once and acts on what came.
func (c *ServerConn) readOnce() {
	big := c.bulk || len(c.keep) > 4<<10
	buf := c.borrow(big)
	defer c.giveBack(buf, big)
	n := copy(buf, c.keep)
	until := c.readDeadline()
	if until.IsZero() { // so that half a TLS record does not keep the buffer for ever
		until = c.l.Now().Add(halfWait)
	}
	c.s.SetReadDeadline(until)
	k, err := c.s.Read(buf[n:])
	if err != nil {
		c.readFailed(err)
		return
	}
	if c.dead {
		return
	}
	c.bulk = n+k == len(buf)
	rest, err := c.consume(buf[:n+k])
	if err != nil {
		c.fail(err)
		return
	}
	if c.dead || c.closing {
		c.keep = nil
		return
	}
	c.setKeep(rest)
}

// setKeep keeps an incomplete frame for the next read.
func (c *ServerConn) setKeep(rest []byte) {
	if len(rest) == 0 {
		c.keep = nil
		return
	}
	if len(c.keep) == 0 && c.block.id == 0 && c.settled {
		c.begun = c.l.Now()
	}
	c.keep = append(make([]byte, 0, len(rest)), rest...)
}

func (c *ServerConn) borrow(big bool) []byte {
	if big {
		return c.l.Big()
	}
	return c.l.Small()
}

func (c *ServerConn) giveBack(buf []byte, big bool) {
	if big {
		c.l.PutBig(buf)
	} else {
		c.l.PutSmall(buf)
	}
}

// park leaves the connection until it becomes readable.
func (c *ServerConn) park() {
	c.parked = true
	c.tell(c.isWaiting())
	c.bulk = false
	c.s.SetReadDeadline(c.readDeadline())
	c.s.OnReadable(readable, c)
}

// repark makes a parked connection wait with a new deadline.
func (c *ServerConn) repark() {
	if c.parked && !c.dead {
		c.s.OnReadable(nil, nil)
		c.park()
	}
}

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

// halfWait is how long a read may take that the stream said would not wait.
const halfWait = 30 * time.Second

// readFailed ends a connection that cannot be read any more.
func (c *ServerConn) readFailed(err error) {
	if !errors.Is(err, loop.ErrTimeout) {
		c.teardown(err)
		return
	}
	if until := c.readDeadline(); !until.IsZero() && !until.After(c.l.Now()) {
		c.shut(CodeNo, err)
	}
}

// consume acts on the frames in p and returns an incomplete one at its end.
func (c *ServerConn) consume(p []byte) ([]byte, error) {
	if !c.greeted {
		if n := min(len(p), len(preface)); string(p[:n]) != preface[:n] {
			return nil, &ConnError{CodeProtocol, "the connection preface is not valid"}
		}
		if len(p) < len(preface) {
			return p, nil
		}
		c.greeted = true
		p = p[len(preface):]
	}
	for !c.dead {
		if c.closing {
			return nil, c.discard(len(p))
		}
		if len(c.out) >= loop.BigSize {
			if err := c.waitQueue(); err != nil {
				return nil, err
			}
			continue
		}
		if c.data.left > 0 {
			if len(p) == 0 {
				return nil, nil
			}
			n := min(c.data.left, len(p))
			if err := c.payload(p[:n]); err != nil {
				return nil, err
			}
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

// waitQueue waits until what is queued for the client has become less: a client
// that does not read its answers is not asked for more.
func (c *ServerConn) waitQueue() error {
	c.crowded.begin(c.l)
	err := c.l.Park()
	return c.crowded.end(err)
}

// discard counts what is thrown away from a client that was told to go.
func (c *ServerConn) discard(n int) error {
	if c.discards += n; c.discards > 1<<20 {
		c.teardown(c.err)
	}
	return nil
}

// fail ends the connection for an error that the client made.
func (c *ServerConn) fail(err error) {
	if e, ok := err.(*ConnError); ok {
		c.shut(e.Code, e)
		return
	}
	c.teardown(err)
}
