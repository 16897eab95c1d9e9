// Package tlsconn is TLS as a loop.Stream: crypto/tls, unchanged, on top of another
// Stream.
//
// A tls.Conn holds locks while it reads and writes its connection, and nothing on a
// loop may wait with a lock held. So, once the handshake is over, it never sees the
// connection: what it writes is collected and sent outside of it, and what it reads
// is there already or it is told to come back. The package follows the boundaries
// of the records that it hands to tls.Conn and thereby knows when no input is
// inside: such a connection can be idle, and holds no buffer of ours.
package tlsconn

import (
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// Conn is a TLS connection, and a loop.Stream.
type Conn struct {
	below loop.Stream
	loop  *loop.Loop
	tls   *tls.Conn
	phase phase

	// Reading.
	in      []byte // ciphertext that came during the handshake and is not used yet
	inBuf   []byte // the loop's buffer in which it stands
	bounds  bounds // of the records given to tls.Conn
	full    bool   // the last read filled its buffer: there may be more inside
	probing bool   // tls.Conn is only asked for what it holds
	reading bool
	stashed bool // a byte was read ahead, and is in stash
	stash   [1]byte
	failed  bool // tls.Conn has an error to tell

	// Waiting without a coroutine.
	idle    func(any)
	idleArg any
	soon    *loop.Timer // runs idle, because something is inside already

	// Writing.
	gather  []byte // where tls.Conn's records go during Write
	pending []byte // records that it wrote while it was reading
	writing bool
	last    bool // the next write is the last one
	ended   bool // close_notify was sent
	outErr  error
}

// phase is how far the connection's life has come.
type phase uint8

const (
	fresh phase = iota
	shaking
	open
	broken // the handshake failed
)

// Server returns the server side of a TLS connection over s. The handshake runs at
// the first Handshake, Read or Write. For bulk data cfg should have
// DynamicRecordSizingDisabled.
func Server(s loop.Stream, cfg *tls.Config) *Conn {
	c := &Conn{below: s, loop: s.Loop()}
	c.tls = tls.Server((*transport)(c), cfg)
	return c
}

// Client returns the client side of a TLS connection over s.
func Client(s loop.Stream, cfg *tls.Config) *Conn {
	c := &Conn{below: s, loop: s.Loop()}
	c.tls = tls.Client((*transport)(c), cfg)
	return c
}

var errHandshake = errors.New("tls: the handshake did not complete")

// Handshake runs the handshake, if it has not been done. It waits under the
// stream's deadlines.
func (c *Conn) Handshake() error {
	switch c.phase {
	case open:
		return nil
	case shaking:
		panic("tlsconn: used by a second coroutine during the handshake")
	case broken:
		return c.outErr
	}
	c.phase = shaking
	defer func() {
		if c.phase == shaking { // also when crypto/tls or a callback panics
			c.phase = broken
			c.putIn()
			if c.outErr == nil {
				c.outErr = errHandshake
			}
		}
	}()
	if err := c.tls.Handshake(); err != nil {
		c.outErr = err
		return err
	}
	c.phase = open
	c.bounds.records = 0 // all of the handshake
	return nil
}

// State returns what was negotiated; before the end of the handshake it is empty.
func (c *Conn) State() tls.ConnectionState {
	if c.phase != open {
		return tls.ConnectionState{}
	}
	return c.tls.ConnectionState()
}

// Below returns the stream that the connection stands on.
func (c *Conn) Below() loop.Stream { return c.below }

// Loop returns the loop that the connection lives on.
func (c *Conn) Loop() *loop.Loop { return c.loop }

// LocalAddr returns the address on this side.
func (c *Conn) LocalAddr() netip.AddrPort { return c.below.LocalAddr() }

// RemoteAddr returns the address of the other side.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.below.RemoteAddr() }

// SetReadDeadline bounds the waits of reading, and of the handshake.
func (c *Conn) SetReadDeadline(t time.Time) { c.below.SetReadDeadline(t) }

// SetWriteDeadline bounds the waits of writing, and of the handshake.
func (c *Conn) SetWriteDeadline(t time.Time) { c.below.SetWriteDeadline(t) }

// SetWriteTimeout bounds the waits of writing by what the other side takes.
func (c *Conn) SetWriteTimeout(d time.Duration) { c.below.SetWriteTimeout(d) }

// CloseWrite sends close_notify and then FIN.
func (c *Conn) CloseWrite() error {
	if c.phase == open && !c.ended && c.outErr == nil {
		c.startWrite()
		c.farewell()
		if err := c.send(); err != nil {
			return err
		}
	}
	return c.below.CloseWrite()
}

// Last tells that the next write is the last one: close_notify goes with it.
func (c *Conn) Last() { c.last = true }

// farewell has tls.Conn write its close_notify to gather.
func (c *Conn) farewell() {
	c.ended = true
	c.startGather()
	c.tls.CloseWrite()
}

// Close closes the connection, after a close_notify if that goes without waiting.
func (c *Conn) Close() error {
	c.OnReadable(nil, nil)
	if !c.reading {
		c.putIn()
	}
	last, ok := c.below.(interface{ CloseAfter([]byte) error })
	if !ok || c.phase != open || c.ended || c.writing || c.outErr != nil {
		return c.below.Close()
	}
	c.farewell()
	p := c.gather
	c.gather = nil
	return last.CloseAfter(p)
}

var _ loop.Wrapper = (*Conn)(nil)
var _ io.ReadWriteCloser = (*Conn)(nil)
