package http1

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/pace"
)

// maxInterim is how many 1xx heads may come before the final one.
const maxInterim = 100

// ClientConn is a connection to a server that speaks HTTP/1.1. It carries one
// exchange at a time. One coroutine may write the request while another reads the
// response; between exchanges it holds no buffer.
type ClientConn struct {
	// ReadTimeout bounds the wait for each piece of a response. In each SendTimeout
	// the server must take something of what is sent. 0 leaves the bounds of the
	// stream alone.
	ReadTimeout, SendTimeout time.Duration

	s    loop.Stream
	in   input
	out  output
	head responseHead
	body body

	begun   bool // a request was written
	sent    bool // it was written whole
	got     bool // the final head was read
	failed  bool // nothing more can be read
	cutOff  bool // the request could not be written whole; its answer may still come
	upgrade bool // the request asks for another protocol
	status  int
	interim int
	cut     bool // the response said that the connection ends
}

// NewClient makes a ClientConn of a connection that is ready for a request.
func NewClient(s loop.Stream) *ClientConn {
	return &ClientConn{s: s, in: input{s: s}, out: output{s: s}}
}

// Stream returns the connection.
func (c *ClientConn) Stream() loop.Stream { return c.s }

// Release gives the buffers back. The strings of the last response are not valid
// any more; the connection can be used again when it was Reusable.
func (c *ClientConn) Release() {
	c.in.release()
	c.out.release()
}

// Close closes the connection and gives the buffers back.
func (c *ClientConn) Close() error {
	c.failed = true
	c.Release()
	return c.s.Close()
}

// Reusable reports whether the connection is ready for another request: the last
// one and its answer are complete, both sides keep the connection, and nothing
// stands unread in its buffer. What has come since, Stream().Quiet tells.
func (c *ClientConn) Reusable() bool {
	if !c.begun {
		return !c.failed && !c.cutOff
	}
	return c.sent && c.got && c.body.done && !c.failed && !c.cutOff && !c.cut && c.status != 101 &&
		c.out.err == nil && len(c.in.buffered()) == 0
}

// Buffered returns how many bytes stand in the connection's buffer, behind the head
// that was read: a body has begun to arrive when there are any.
func (c *ClientConn) Buffered() int { return len(c.in.buffered()) }

// Raw returns how many bytes of the body are still to come and may be taken off the
// stream as they are: 0 where some stand in the buffer, or their framing is among them.
func (c *ClientConn) Raw() int64 {
	if b := &c.body; b.mode == byLength && !b.done && b.err == nil && c.Buffered() == 0 {
		return b.left
	}
	return 0
}

// TookRaw tells that n bytes of the body were taken off the stream.
func (c *ClientConn) TookRaw(n int64) {
	c.body.begun = true
	c.body.left -= n
	c.body.done = c.body.left == 0
}

// WriteHead begins a request. The head stays here until the first Write, Flush or
// Finish. The body's length is r.Length; Host and Upgrade are written as fields.
func (c *ClientConn) WriteHead(r *message.Request) error {
	if !c.Reusable() {
		return ErrSequence
	}
	c.Release()
	c.begun, c.sent, c.got, c.cut, c.status, c.interim = true, false, false, false, 0, 0
	c.upgrade = r.Upgrade != ""
	o := &c.out
	o.begin(c.SendTimeout)
	c.body.begin(&c.in, noBody, 0, nil, pace.Pace{})
	c.body.done = false
	c.head.reset()
	o.room(len(r.Method) + len(r.Target) + len(r.Host) + len(r.Upgrade) + fieldBytes(&r.Header) + 160)
	if fault := c.encode(r); fault != NoFault {
		c.begun = false
		o.release()
		return fault
	}
	return nil
}

// encode appends the head of r to what is held back.
func (c *ClientConn) encode(r *message.Request) Fault {
	o := &c.out
	switch target := view(r.Target); {
	case !isMethod(view(r.Method)):
		return BadMethod
	case len(target) == 0 || control(target, 0, ' '+1) != len(target):
		return BadTarget
	case control(view(r.Host), 0, ' '+1) != len(r.Host):
		return BadHost
	case valueEnd(view(r.Upgrade), 0) != len(r.Upgrade):
		return BadValue
	}
	o.buf = append(append(o.buf, r.Method...), ' ')
	o.buf = append(append(o.buf, r.Target...), " HTTP/1.1\r\nHost: "...)
	o.buf = append(append(o.buf, r.Host...), '\r', '\n')
	if fault := o.fields(&r.Header); fault != NoFault {
		return fault
	}
	switch {
	case r.Length == message.Unknown:
		o.mode = byChunks
		o.buf = append(o.buf, "Transfer-Encoding: chunked\r\n"...)
	case r.Length > 0 || r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH":
		o.mode, o.left = byLength, r.Length
		o.contentLength(r.Length)
	}
	_, te := r.Header.LookupKnown(message.TE)
	switch {
	case c.upgrade && te:
		o.buf = append(o.buf, "Connection: upgrade, TE\r\nUpgrade: "...)
	case c.upgrade:
		o.buf = append(o.buf, "Connection: upgrade\r\nUpgrade: "...)
	case te:
		o.buf = append(o.buf, "Connection: TE\r\n"...)
	}
	if c.upgrade {
		o.buf = append(append(o.buf, r.Upgrade...), '\r', '\n')
	}
	o.buf = append(o.buf, '\r', '\n')
	return NoFault
}

// Write sends bytes of the request's body.
func (c *ClientConn) Write(p []byte) (int, error) {
	if !c.begun || c.sent {
		return 0, ErrSequence
	}
	if err := c.out.write(p); err != nil {
		c.cutOff = true
		return 0, err
	}
	return len(p), nil
}

// Flush sends what is held back.
func (c *ClientConn) Flush() error { return c.out.flush() }

// Finish ends the request's body; trailer may be nil.
func (c *ClientConn) Finish(trailer *message.Header) error { return c.WriteLast(nil, trailer) }

// WriteLast is Write and then Finish, in one write where that is possible.
func (c *ClientConn) WriteLast(p []byte, trailer *message.Header) error {
	if !c.begun || c.sent {
		return ErrSequence
	}
	err := c.out.finish(p, trailer)
	c.sent, c.cutOff = err == nil, err != nil
	return err
}

// ReadHead reads the next head of the response into r: any number of 1xx, one for
// each call, then the final one, whose body is r.Body. Method is that of the
// request; maxHead bounds the bytes of the head. The strings of r are valid until
// the next ReadHead, Release or WriteHead.
//
// It may be called before the request is written whole, and also when writing it
// has failed: a server that refuses a body answers and closes.
//
// The error is ErrClosed when the connection ended before the first byte.
func (c *ClientConn) ReadHead(r *message.Response, method string, maxHead int) error {
	if !c.begun || c.got || c.failed {
		return ErrSequence
	}
	r.Reset()
	c.head.reset()
	c.in.base = 0
	err := c.readHead(r, maxHead)
	if err == nil {
		err = c.accept(r, method)
	}
	if err != nil {
		c.failed = true
	}
	return err
}

func (c *ClientConn) readHead(r *message.Response, maxHead int) error {
	for {
		if b := c.in.buffered(); len(b) > 0 {
			n, fault := c.head.parse(b, r, maxHead)
			if fault != NoFault {
				return fault
			}
			if n > 0 {
				c.in.take(n)
				return nil
			}
		}
		if c.ReadTimeout > 0 {
			c.s.SetReadDeadline(c.s.Loop().Now().Add(c.ReadTimeout))
		}
		if c.in.buf == nil { // nothing is held while the server thinks
			if err := c.s.WaitRead(); err != nil {
				return c.noHead(err)
			}
		}
		moved, err := c.in.moreHead(maxHead)
		if moved {
			c.head.reset()
			r.Reset()
		}
		if err != nil {
			return c.noHead(err)
		}
	}
}

// noHead returns the error of a head that did not come whole.
func (c *ClientConn) noHead(err error) error {
	switch {
	case errors.Is(err, loop.ErrTimeout), errors.Is(err, loop.ErrStopped), errors.Is(err, loop.ErrClosed):
		return err
	case len(c.in.buffered()) > 0:
		return fmt.Errorf("http1: connection closed inside a response head: %w", whole(err))
	case err == io.EOF && c.interim == 0:
		return ErrClosed
	case c.interim > 0:
		return fmt.Errorf("http1: connection closed after an interim response: %w", whole(err))
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

// accept finds out what follows the head in r.
func (c *ClientConn) accept(r *message.Response, method string) error {
	c.status = r.Status
	if c.ReadTimeout > 0 {
		c.s.SetReadDeadline(time.Time{})
	}
	switch {
	case r.Status == 101:
		if !c.upgrade {
			return UnexpectedUpgrade
		}
		c.got = true
		r.Length = 0
		return nil
	case r.Status < 200:
		if c.interim++; c.interim > maxInterim {
			return ManyInterim
		}
		c.cut = c.cut || c.head.chunked || c.head.length > 0
		r.Length = 0
		return nil
	}
	c.got = true
	c.cut = c.cut || !c.head.persistent(c.head.version)
	mode := untilClose
	switch {
	case bodiless(method, r.Status):
		mode = noBody
		if r.Status == 204 {
			c.cut = c.cut || c.head.chunked || c.head.length > 0
			r.Length = 0
		}
	case c.head.chunked:
		mode = byChunks
	case c.head.length >= 0:
		mode = byLength
	default:
		c.cut = true
	}
	c.body.begin(&c.in, mode, c.head.length, &r.Trailer, pace.Pace{Timeout: c.ReadTimeout})
	if !c.body.done {
		r.Body = &c.body
	}
	return nil
}

// Tunnel returns the raw connection after a 101: bytes that came behind the head
// are read first. The ClientConn is done with it.
func (c *ClientConn) Tunnel() (loop.Stream, error) {
	if !c.got || c.status != 101 {
		return nil, ErrSequence
	}
	s := unread(c.s, c.in.buffered())
	c.failed = true
	c.Release()
	s.SetReadDeadline(time.Time{})
	s.SetWriteDeadline(time.Time{})
	return s, nil
}
