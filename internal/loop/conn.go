package loop

import (
	"errors"
	"io"
	"net/netip"
	"time"
)

// Conn is a connection whose methods look blocking: where the connection is not
// ready they let the loop go on with others. At most one coroutine at a time may
// read from it, and at most one may write.
type Conn struct {
	loop *Loop
	link link

	readable bool // a read may find something
	ended    bool // the peer's end or an error was reported: stays readable
	writable bool // an event said so (Dial)
	closed   bool
	told     bool // of the end of the engine

	rd, wr  *Task     // who waits
	idle    func(any) // nobody reads: what to do when that changes
	idleArg any

	readBy, writeBy int64 // deadlines, as the timers have it; 0: none
	writeFor        int64 // of SetWriteTimeout, which moves writeBy on; 0: none
	unsent          int   // what the peer had not taken when writeBy was set by it
	pos             int32 // place among the timers
	when            int64 // the moment entered there

	back []byte // of Unread: comes before what the link has

	in, out       int64
	local, remote netip.AddrPort
}

// link is what carries a connection's bytes: a socket, or a net.Conn.
type link interface {
	// recv takes what has arrived, or answers errAgain.
	recv(p []byte) (int, error)
	// send sends what goes at once, possibly nothing with errAgain; sendTwo in one
	// system call.
	send(p []byte) (int, error)
	sendTwo(a, b []byte) (int, error)
	// push is send for memory that stays as it is until the next event.
	push(p []byte) (int, error)
	// unsent returns how much of what was sent the peer has not taken yet.
	unsent() int
	// empty reports whether nothing at all has arrived.
	empty() bool
	closeWrite() error
	linger(seconds int) error
	local() netip.AddrPort
	// close closes the link after p, which is sent if that goes without waiting.
	close(p []byte)
}

// event takes what a driver saw.
func (c *Conn) event(in, out, ended bool) {
	if c.closed {
		return
	}
	l := c.loop
	if ended {
		c.ended = true
	}
	if out || ended {
		c.writable = true
		if t := c.wr; t != nil && t.state == waiting {
			l.resume(t)
		}
	}
	if !in && !ended || c.closed {
		return
	}
	c.readable = true
	if t := c.rd; t != nil {
		if t.state == waiting {
			l.resume(t)
		}
	} else {
		c.fire()
	}
}

// fire starts the function of OnReadable.
func (c *Conn) fire() {
	if f := c.idle; f != nil && c.rd == nil {
		arg := c.idleArg
		c.idle, c.idleArg = nil, nil
		c.loop.Go(f, arg)
	}
}

// Loop returns the loop that the connection lives on.
func (c *Conn) Loop() *Loop { return c.loop }

// LocalAddr returns the address on this side. After Close it is known only when it
// was asked for before.
func (c *Conn) LocalAddr() netip.AddrPort {
	if !c.local.IsValid() && !c.closed {
		c.local = c.link.local()
	}
	return c.local
}

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.remote }

// BytesRead returns how many bytes were read from the peer.
func (c *Conn) BytesRead() int64 { return c.in }

// BytesWritten returns how many bytes were sent to the peer.
func (c *Conn) BytesWritten() int64 { return c.out }

// Read reads what has arrived, or waits for it. It also gives way to others, now
// and then, while there is always something to read.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if err := c.WaitRead(); err != nil {
			return 0, err
		}
		if n, err := c.TryRead(p); n > 0 || err != nil {
			return n, err
		}
	}
}

// TryRead reads what has arrived and never waits: 0 without an error means that
// there was nothing. It is for streams that stand on this one.
func (c *Conn) TryRead(p []byte) (int, error) {
	if err := c.over(); err != nil || !c.readable || len(p) == 0 {
		return 0, err
	}
	if len(c.back) > 0 {
		return c.readBack(p), nil
	}
	n, err := c.link.recv(p)
	if err != nil {
		if err == errAgain {
			c.readable, err = false, nil
		}
		return 0, err
	}
	c.readable = c.ended || n == len(p) // a shorter read found the end of it
	c.in += int64(n)
	if t := c.loop.cur; t != nil {
		t.spent += n + readCost
	}
	return n, nil
}

// Unread gives bytes back that were read too many: they come first at the next Read.
// The connection keeps a copy of p.
func (c *Conn) Unread(p []byte) {
	if len(p) == 0 || c.closed {
		return
	}
	c.back = append(append(make([]byte, 0, len(p)+len(c.back)), p...), c.back...)
	c.in -= int64(len(p))
	c.readable = true
}

func (c *Conn) readBack(p []byte) int {
	n := copy(p, c.back)
	if c.back = c.back[n:]; len(c.back) == 0 {
		c.back = nil
	}
	c.in += int64(n)
	return n
}

// over returns why nothing can be read or written any more.
func (c *Conn) over() error {
	if c.closed {
		return ErrClosed
	}
	if c.loop.stopping {
		return ErrStopped
	}
	return nil
}

// CloseWrite sends FIN: the peer reads to the end, and this side may go on reading.
func (c *Conn) CloseWrite() error {
	if c.closed {
		return ErrClosed
	}
	return c.link.closeWrite()
}

// SetLinger sets what Close does with bytes that are not sent yet: with 0 it drops
// them and resets the connection.
func (c *Conn) SetLinger(seconds int) error {
	if c.closed {
		return ErrClosed
	}
	return c.link.linger(seconds)
}

// Close closes the connection. Who waits for it gets ErrClosed, the function of
// OnReadable is dropped.
func (c *Conn) Close() error { return c.CloseAfter(nil) }

// CloseAfter is Close with a last word: p is sent first, as far as that goes without
// waiting.
func (c *Conn) CloseAfter(p []byte) error {
	if c.closed {
		return nil
	}
	l := c.loop
	c.closed, c.readable = true, true
	c.idle, c.idleArg = nil, nil
	l.timers.remove(c)
	l.conns.Add(-1)
	if c.wr != nil { // in the middle of something else
		p = nil
	}
	c.link.close(p)
	for _, t := range [2]*Task{c.rd, c.wr} {
		if t != nil {
			c.cut(t, ErrClosed)
		}
	}
	return nil
}

// cut ends t's wait with an error.
func (c *Conn) cut(t *Task, err error) {
	if t.state == waiting {
		t.err = err
		c.loop.enqueue(t)
	}
}

// SetReadDeadline bounds the waits for something to read.
func (c *Conn) SetReadDeadline(d time.Time) {
	c.readBy = c.loop.moment(d)
	if c.rd != nil || c.idle != nil {
		c.arm(c.readBy)
	}
}

// moment returns d as the timers have it.
func (l *Loop) moment(d time.Time) int64 {
	if d.IsZero() {
		return 0
	}
	return max(1, int64(d.Sub(l.start)))
}

// arm sees to it that the connection is looked at when a deadline passes. Timers
// that turn out to be early cost less than moving them at every request.
func (c *Conn) arm(by int64) {
	if by != 0 && !c.closed && (c.pos == 0 || by < c.when) {
		c.when = by
		c.loop.timers.add(by, c)
	}
}

func (c *Conn) place() *int32 { return &c.pos }

// expire looks at the deadlines, one of which may have passed.
func (c *Conn) expire() {
	now := c.loop.nanos
	if t := c.wr; t != nil && c.writeBy != 0 {
		if c.writeBy <= now {
			c.cut(t, ErrTimeout)
		} else {
			c.arm(c.writeBy)
		}
	}
	if c.readBy == 0 || c.rd == nil && c.idle == nil {
		return
	}
	switch {
	case c.readBy > now:
		c.arm(c.readBy)
	case c.rd != nil:
		c.cut(c.rd, ErrTimeout)
	default:
		c.fire()
	}
}

// errNoHalfClose is the answer of connections that have no way to end one direction.
var errNoHalfClose = errors.New("close write: this connection cannot be closed in one direction")

var _ Stream = (*Conn)(nil)
var _ io.ReadWriteCloser = (*Conn)(nil)
