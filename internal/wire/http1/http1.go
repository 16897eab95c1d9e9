// Package http1 reads and writes HTTP/1.0 and HTTP/1.1 messages (RFC 9112) on
// streams of package loop. It is a codec only: it knows no route and no policy.
//
// Serve turns a client connection into message.Requests; a ClientConn sends
// requests to a server. Both are strict where leniency is how requests are
// smuggled: a message whose length two readers could see differently is refused and
// the connection closed.
//
// The strings of a head point into the buffer it was read into, which belongs to
// the exchange. A connection that waits for its next request holds no buffer and no
// coroutine.
package http1

import (
	"errors"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// Limits bound what one client may ask of the server. They are asked for before
// each request, so that a change reaches connections that are already open.
type Limits struct {
	MaxLine       int           // bytes of a request line or field line; 0 is 8 KiB
	MaxHead       int           // bytes of a head; 0 is 32 KiB
	HeaderTimeout time.Duration // for a whole head, from its first byte; 0 is none
	BodyTimeout   time.Duration // between two reads of a body; 0 is none
	BodyRate      int           // bytes a second that a body must come with on average; 0 is none
	KeepAlive     time.Duration // how long a connection may idle; 0 closes it after each answer
	SendTimeout   time.Duration // in which the client must take something of what is sent; 0 is none
	Requests      int           // on one connection; 0 is no bound
	Linger        time.Duration // how long Drain waits for a last request; 0 closes an idle connection at once
	Underscores   bool          // pass fields whose names hold "_"
	InvalidNames  bool          // pass fields whose names are no letters, digits and "-", but are tokens
}

// DefaultLimits are those of nginx.
var DefaultLimits = Limits{
	MaxLine:       8 << 10,
	MaxHead:       32 << 10,
	HeaderTimeout: 60 * time.Second,
	BodyTimeout:   60 * time.Second,
	KeepAlive:     75 * time.Second,
	SendTimeout:   60 * time.Second,
	Requests:      1000,
}

func (l *Limits) maxLine() int {
	if l.MaxLine > 0 {
		return l.MaxLine
	}
	return DefaultLimits.MaxLine
}

func (l *Limits) maxHead() int {
	if l.MaxHead > 0 {
		return l.MaxHead
	}
	return DefaultLimits.MaxHead
}

// maxFields bounds how many fields a head or a trailer section may have, since a
// field of four bytes costs us forty.
const maxFields = 1000

// The errors that callers tell apart. A Fault is also one of the last two.
var (
	// ErrClosed is a connection that ended before the first byte of a head.
	ErrClosed = errors.New("http1: connection closed before a response")
	// ErrInvalid is a message that is not valid HTTP.
	ErrInvalid = errors.New("http1: invalid message")
	// ErrHeadTooLarge is a head that exceeds its limit.
	ErrHeadTooLarge = errors.New("http1: head too large")
	// ErrSequence is a call that the state of the message does not allow: a second
	// head, a body before the head, more body than was announced.
	ErrSequence = errors.New("http1: call out of sequence")
)

// Tunneler is the part of the message.Writer given to a Handler that a switch of
// protocols needs.
type Tunneler interface {
	// Tunnel returns the raw connection after WriteHead of a 101: bytes that
	// arrived with the request come first. The connection is closed when the
	// Handler returns.
	Tunnel() (loop.Stream, error)
}

// Streamer is the part of the message.Writer given to a Handler that lets it see
// whether the client is still there.
type Streamer interface{ Stream() loop.Stream }

// RawWriter is the part of the message.Writer given to a Handler by which a body that
// needs no framing may go past it, right onto the stream.
type RawWriter interface {
	Streamer
	// Raw returns how many bytes may still go that way.
	Raw() int64
	// PutRaw tells that n bytes went, and what failed.
	PutRaw(n int64, err error)
}

var (
	_ message.Writer     = (*answer)(nil)
	_ message.LastWriter = (*answer)(nil)
	_ Tunneler           = (*answer)(nil)
	_ Streamer           = (*answer)(nil)
	_ RawWriter          = (*answer)(nil)
)
