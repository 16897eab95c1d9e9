package http2

import (
	"errors"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"golang.org/x/net/http2/hpack"
)

// connWindow bounds what the peer may send on all streams together before it is read.
const connWindow = 1 << 20

// conn is what both sides of HTTP/2 have in common: it reads frames and acts on those
// about the connection, keeps the windows of both directions, and queues and sends.
// ServerConn and ClientConn embed it, and are its side. Only code of its loop touches it.
type conn struct {
	side side
	s    loop.Stream
	l    *loop.Loop

	// Reading.
	dec      *hpack.Decoder
	keep     []byte    // an incomplete frame, between two reads
	data     dataFrame // the DATA frame whose payload is arriving
	block    block     // the field block that is arriving in several frames
	begun    time.Time // when what is incomplete began to arrive
	idle     time.Time // when the last stream ended
	greeted  bool      // the preface was there, or is not to come
	settled  bool      // the peer's first SETTINGS was there
	parked   bool      // OnReadable is set
	bulk     bool      // the last read filled its buffer: take a larger one
	crowded  waiter    // the reader, waiting for the queue to get shorter
	discards int       // bytes thrown away while closing

	// Streams.
	streams table
	lastID  uint32   // the highest that the peer opened
	resets  []uint32 // streams that we reset and whose frames may still come, a ring
	oldest  int      // of resets

	// Windows.
	window           int64 // what the peer may send on a new stream
	ample            bool  // the connection's window is never short: what arrives is granted at once
	recvWin, owed    int64 // what the peer may send, and what we have to grant it
	sendWin, initWin int64
	blocked          []*flow // waiting for sendWin or the queue, in the order they came
	turns            uint    // how often one of them had its turn
	turn             *flow   // which of them it is: it was woken, and nobody sends before it does
	moved            int64   // bytes of DATA that were queued

	// Writing.
	out    []byte
	gen    uint32 // counts the times that out was sent
	marked bool   // a flush is due or under way
	sized  bool   // the peer knows that we use no dynamic table

	// Ending.
	leaving  bool        // no stream is opened any more: close when all have ended
	parted   bool        // our last GOAWAY was sent, or need not be
	goAwayID uint32      // streams above it are not served any more
	closing  bool        // the last word was queued, what arrives is thrown away
	dead     bool        // closed
	err      error       // why
	endAt    time.Time   // when a closing connection is closed at the latest
	probeAt  time.Time   // when something must have come at the latest
	timer    *loop.Timer // for the first of all deadlines but those of reading
	timerAt  time.Time

	strain strain
}

// side is what the client and the server do in ways of their own. The methods are
// called with frames that are well formed.
type side interface {
	limits() *Limits
	readDeadline() time.Time // until when the peer must have sent something
	isIdle(id uint32) bool   // nobody has opened the stream yet

	fieldBlock(b block, p []byte) error             // a whole field block
	stray(f frame, content int) error               // DATA on a stream that has ended
	resetBy(s *flow, id uint32, code ErrCode) error // RST_STREAM; s is nil when the stream has ended
	setting(id uint16, v uint32) error              // one that concerns one side only
	pong(p []byte) error                            // the answer to a PING
	wentAway(last uint32)                           // GOAWAY
	other(f frame, p []byte) error                  // a frame of another type
	removed()                                       // a stream was taken off the list
	rest()                                          // a stream has ended, or the last will not be followed
	parks(parked bool)                              // the connection waits to be read, or not any more
	ring(now time.Time, next *time.Time)            // deadlines may have passed
	partings()                                      // what is to be sent before the last GOAWAY
	said()                                          // the last word was sent
	told(err error) error                           // what streams are told when the connection ends with err
	closed()
}

func (c *conn) init(sd side, s loop.Stream, window int64, field func(hpack.HeaderField)) {
	c.side, c.s, c.l = sd, s, s.Loop()
	c.window, c.recvWin = window, connWindow
	c.sendWin, c.initWin = 65535, 65535
	c.goAwayID = maxWindow
	c.begun = c.l.Now()
	c.idle = c.begun
	c.dec = hpack.NewDecoder(4096, field)
	c.dec.SetMaxStringLength(2 * c.maxHeaderList())
}

// Err returns why the connection is closed, or about to be; nil while it is open.
func (c *conn) Err() error {
	if !c.dead && !c.closing {
		return nil
	}
	return c.err
}

// readable is called in a new coroutine when a parked connection can be read.
func readable(a any) {
	c := a.(*conn)
	c.parked = false
	c.side.parks(false)
	c.read(true)
}

// read takes what has arrived and parks the connection. It tries at least once when
// something happened, since that may be a deadline that has passed.
func (c *conn) read(happened bool) {
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
func (c *conn) readOnce() {
	big := c.bulk || len(c.keep) > 4<<10
	buf := c.borrow(big)
	defer c.giveBack(buf, big)
	n := copy(buf, c.keep)
	until := c.side.readDeadline()
	if until.IsZero() { // so that half a TLS record does not keep the buffer for ever
		until = c.l.Now().Add(halfWait)
	}
	c.s.SetReadDeadline(until)
	k, err := c.s.Read(buf[n:])
	if c.dead {
		return
	}
	if err != nil {
		c.readFailed(err)
		return
	}
	c.probeAt = time.Time{}
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
func (c *conn) setKeep(rest []byte) {
	if len(rest) == 0 {
		c.keep = nil
		return
	}
	if len(c.keep) == 0 && c.block.id == 0 && c.settled {
		c.begun = c.l.Now()
	}
	c.keep = append(make([]byte, 0, len(rest)), rest...)
}

func (c *conn) borrow(big bool) []byte {
	if big {
		return c.l.Big()
	}
	return c.l.Small()
}

func (c *conn) giveBack(buf []byte, big bool) {
	if big {
		c.l.PutBig(buf)
	} else {
		c.l.PutSmall(buf)
	}
}

// park leaves the connection until it becomes readable.
func (c *conn) park() {
	c.parked = true
	c.side.parks(true)
	c.bulk = false
	c.s.SetReadDeadline(c.side.readDeadline())
	c.s.OnReadable(readable, c)
}

// repark makes a parked connection wait with a new deadline.
func (c *conn) repark() {
	if c.parked && !c.dead {
		c.s.OnReadable(nil, nil)
		c.park()
	}
}

// halfWait is how long a read may take that the stream said would not wait.
const halfWait = 30 * time.Second

// readFailed ends a connection that cannot be read any more.
func (c *conn) readFailed(err error) {
	if !errors.Is(err, loop.ErrTimeout) {
		c.teardown(err)
		return
	}
	if until := c.side.readDeadline(); !until.IsZero() && !until.After(c.l.Now()) {
		c.shut(CodeNo, err)
	}
}

// waitQueue waits until what is queued for the peer has become less: one that does
// not read what it asked for is not asked for more.
func (c *conn) waitQueue() error {
	c.crowded.begin(c.l)
	err := c.l.Park()
	return c.crowded.end(err)
}

// discard counts what is thrown away from a peer that was told to go.
func (c *conn) discard(n int) error {
	if c.discards += n; c.discards > 1<<20 {
		c.teardown(c.err)
	}
	return nil
}

// fail ends the connection for an error that the peer made.
func (c *conn) fail(err error) {
	if e, ok := err.(*ConnError); ok {
		c.shut(e.Code, e)
		return
	}
	c.teardown(err)
}
