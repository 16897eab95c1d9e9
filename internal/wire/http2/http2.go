// Package http2 serves HTTP/2 (RFC 9113) on streams of package loop, over TLS or
// in the clear with prior knowledge. It is a codec only: it knows no route and no
// policy.
//
// Frames are read where they arrive, in a coroutine that ends when there are no
// more; each request runs in a coroutine of its own on the same loop. What all of
// them send during one turn of the loop leaves in one write at its end. A
// connection without open streams holds no coroutine and no buffer.
//
// Both directions push back: the client may send as much of a body as its window
// says, and the window grows as the handler reads; answers wait for the client's
// windows and for a bounded queue. Frames that cost more than they bring are
// counted, and too many of them end the connection: see glitch.go.
package http2

import (
	"errors"
	"time"

	"github.com/pierhead/pierhead/internal/message"
)

// Limits bound what one client may ask of the server. A connection asks for them
// when it needs them, so that most changes reach connections that are open.
type Limits struct {
	MaxStreams    int           // requests at one time, told to the client at the start; 0 is 128
	MaxHeaderList int           // bytes of one head, counted as in RFC 9113, section 6.5.2; 0 is 32 KiB
	MaxField      int           // bytes of one field's name and value; 0 is 8 KiB
	HeaderTimeout time.Duration // for a whole head, from its first byte; 0 is none
	BodyTimeout   time.Duration // between two reads of a body; 0 is none
	BodyRate      int           // bytes a second that a body must come with on average; 0 is none
	KeepAlive     time.Duration // how long a connection may have no stream; 0 ends it after each
	SendTimeout   time.Duration // in which the client must take something of what is sent, or open its window; 0 is none
	Requests      int           // on one connection; 0 is no bound
	Glitches      int           // frames without use in a burst before the connection ends; 0 is 1000
	Underscores   bool          // pass fields whose names hold "_"
	InvalidNames  bool          // pass fields whose names are no letters, digits and "-", but are tokens
}

// DefaultLimits are those of nginx, where it has one.
var DefaultLimits = Limits{
	MaxStreams:    128,
	MaxHeaderList: 32 << 10,
	MaxField:      8 << 10,
	HeaderTimeout: 60 * time.Second,
	BodyTimeout:   60 * time.Second,
	KeepAlive:     75 * time.Second,
	SendTimeout:   60 * time.Second,
	Requests:      1000,
	Glitches:      1000,
}

// or returns n, or other when n is not set.
func or(n, other int) int {
	if n > 0 {
		return n
	}
	return other
}

// ServerConfig is what the connections of one listener have in common.
type ServerConfig struct {
	// Limits returns the present limits, which must not change afterwards; nil
	// stands for DefaultLimits.
	Limits func() *Limits
	// Handler answers the requests.
	Handler message.Handler
	// Scheme is how requests arrive here, "http" or "https", whatever they say
	// themselves. When empty, :scheme is taken for true.
	Scheme string
	// Refuse answers a request that will not reach the Handler, in its place. What
	// is known of the request is in it. Nil answers with the status and no body.
	Refuse func(*message.Request, message.Writer, Fault)
	// Idle is told when the connection begins to wait for a request, and when it waits no
	// longer; not that it is closed. It must not wait. Nil: nobody asks.
	Idle func(bool)
	// Closed is called once when the connection is closed; it must not wait.
	// Handlers may still be at work. It may happen before Serve returns.
	Closed func(*ServerConn)
}

func (cfg *ServerConfig) limits() *Limits {
	if cfg.Limits != nil {
		return cfg.Limits()
	}
	return &DefaultLimits
}

// The errors that handlers see and callers tell apart.
var (
	// ErrReset is a stream that the client gave up.
	ErrReset = errors.New("http2: stream reset by the client")
	// ErrClosed is a stream whose connection is gone.
	ErrClosed = errors.New("http2: connection closed")
	// ErrInvalid is a message that broke the protocol.
	ErrInvalid = errors.New("http2: invalid message")
	// ErrHeadTooLarge is a head that exceeds its limit.
	ErrHeadTooLarge = errors.New("http2: head too large")
	// ErrAborted is a stream that was given up on this side.
	ErrAborted = errors.New("http2: stream aborted")
	// ErrSequence is a call that the state of the answer does not allow: a second
	// head, a body before the head, more or less body than was announced.
	ErrSequence = errors.New("http2: call out of sequence")
)

// Goner is the part of the message.Writer given to a Handler that tells it when
// nobody waits for the answer any more.
type Goner interface {
	// OnGone has f called in a new coroutine when the client resets the stream or
	// the connection ends before the Handler returns; at once if that has
	// happened. A nil f takes the wish back.
	OnGone(f func(any), arg any)
}

var (
	_ message.Writer     = (*stream)(nil)
	_ message.LastWriter = (*stream)(nil)
	_ Goner              = (*stream)(nil)
)
