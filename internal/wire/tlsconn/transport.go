package tlsconn

import (
	"net"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// transport is the Conn as tls.Conn sees it from below: a net.Conn.
type transport Conn

// again is a temporary network error: tls.Conn keeps no such error, so its Read may
// be called again.
type again struct{}

var errAgain = &again{}

func (*again) Error() string   { return "tls: nothing more has arrived" }
func (*again) Timeout() bool   { return true }
func (*again) Temporary() bool { return true }

// trier is a stream that can be read without waiting.
type trier interface {
	TryRead(p []byte) (int, error)
}

// Read gives tls.Conn ciphertext. During the handshake it waits for it, and gives
// one record at a time, so that at the end all records are used up. Afterwards it
// never waits.
func (t *transport) Read(p []byte) (int, error) {
	c := (*Conn)(t)
	if c.phase == shaking {
		if len(c.in) == 0 {
			if err := c.fillIn(); err != nil {
				return 0, err
			}
		}
		p = p[:min(len(p), c.bounds.next())]
	}
	var n int
	var err error
	switch {
	case len(c.in) > 0:
		n = copy(p, c.in)
		if c.in = c.in[n:]; len(c.in) == 0 {
			c.putIn()
		}
	case c.probing:
	default:
		n, err = tryRead(c.below, p)
	}
	if n == 0 && err == nil {
		return 0, errAgain
	}
	c.bounds.follow(p[:n])
	return n, err
}

func tryRead(s loop.Stream, p []byte) (int, error) {
	if t, ok := s.(trier); ok {
		return t.TryRead(p)
	}
	if s.Quiet() {
		return 0, nil
	}
	return s.Read(p)
}

// fillIn waits for bytes of the handshake. No buffer is held during the wait.
func (c *Conn) fillIn() error {
	if err := c.below.WaitRead(); err != nil {
		return err
	}
	c.inBuf = c.loop.Small()
	n, err := c.below.Read(c.inBuf)
	if err != nil {
		c.putIn()
		return err
	}
	c.in = c.inBuf[:n]
	return nil
}

func (c *Conn) putIn() {
	if c.inBuf != nil {
		c.loop.PutSmall(c.inBuf)
		c.in, c.inBuf = nil, nil
	}
}

// Write takes records from tls.Conn.
func (t *transport) Write(p []byte) (int, error) {
	c := (*Conn)(t)
	switch {
	case c.phase == shaking:
		return c.below.Write(p)
	case c.gather != nil:
		c.gather = append(c.gather, p...)
	default: // from inside Read
		c.pending = append(c.pending, p...)
	}
	return len(p), nil
}

// Close and the deadlines are the business of the Conn.
func (t *transport) Close() error                     { return nil }
func (t *transport) SetDeadline(time.Time) error      { return nil }
func (t *transport) SetReadDeadline(time.Time) error  { return nil }
func (t *transport) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr and RemoteAddr are for the callbacks of tls.Config.
func (t *transport) LocalAddr() net.Addr {
	return net.TCPAddrFromAddrPort((*Conn)(t).below.LocalAddr())
}

func (t *transport) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort((*Conn)(t).below.RemoteAddr())
}

// bounds follows the boundaries of TLS records in a flow of bytes: a header of five
// bytes, of which the last two tell the length of the rest.
type bounds struct {
	head    [5]byte
	have    uint8 // bytes of head
	left    int   // bytes missing of the record
	records int   // whole ones that went by
}

// edge reports whether no record has begun.
func (b *bounds) edge() bool { return b.have == 0 && b.left == 0 }

// next returns how many bytes the part at hand still takes, header or rest.
func (b *bounds) next() int {
	if b.left > 0 {
		return b.left
	}
	return len(b.head) - int(b.have)
}

func (b *bounds) follow(p []byte) {
	for len(p) > 0 {
		n := min(len(p), b.next())
		if b.left > 0 {
			if b.left -= n; b.left == 0 {
				b.records++
			}
		} else {
			copy(b.head[b.have:], p[:n])
			if b.have += uint8(n); int(b.have) == len(b.head) {
				b.have = 0
				if b.left = int(b.head[3])<<8 | int(b.head[4]); b.left == 0 {
					b.records++
				}
			}
		}
		p = p[n:]
	}
}
