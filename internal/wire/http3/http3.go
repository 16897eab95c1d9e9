// Package http3 serves HTTP/3 (RFC 9114) on QUIC connections. It is a codec only: it
// knows no route and no policy.
//
// QUIC is quic-go's; the frames above it are read and written here, not by quic-go's
// package http3, which makes requests of net/http: its header is a map without order
// and case, its limits are not ours, and a request that it refuses is seen by no log.
// So the rules for a head are those of our HTTP/2 (http2.RequestHead), and every fault
// is answered as it is there. QPACK is used without its dynamic table, which saves
// memory for each connection and the blocking of streams on one another.
//
// A QUIC connection is given to one loop. Goroutines accept its streams and read the
// heads; from there on a request lives in a coroutine of that loop, as do the
// connections to its endpoint, and nothing about it needs a lock. Where the coroutine
// would block in quic-go it waits by loop.Await; an answer that the client's window has
// room for is queued without that. Both directions push back: what a handler does not
// read is not granted anew to the client, and what the client does not read keeps the
// handler waiting.
package http3

import (
	"context"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/quic-go"
)

// Proto is what a client says by ALPN.
const Proto = "h3"

// ServerConfig is what the connections of one listener have in common.
type ServerConfig struct {
	// Limits returns the present limits, which must not change afterwards; nil stands
	// for http2.DefaultLimits. They are the same as for HTTP/2.
	Limits func() *http2.Limits
	// Handler answers the requests.
	Handler message.Handler
	// Refuse answers a request that will not reach the Handler, in its place. What is
	// known of the request is in it. Nil answers with the status and no body.
	Refuse func(*message.Request, message.Writer, http2.Fault)
	// Closed is called once on the loop when the connection is closed; it must not
	// wait. Handlers may still be at work.
	Closed func()
}

func (cfg *ServerConfig) limits() *http2.Limits {
	if cfg.Limits != nil {
		return cfg.Limits()
	}
	return &http2.DefaultLimits
}

// What we let a client send before the handler has read it, at first and when it is
// read quickly.
const (
	streamWindow    = 256 << 10
	maxStreamWindow = 1 << 20
	connWindow      = 512 << 10
	maxConnWindow   = 2 << 20
)

// transportIdle is how long a client may be silent on the network before it counts as
// gone; it is asked for a sign of life before.
const transportIdle = 30 * time.Second

// uniStreams is how many streams in one direction a client may have open: one for
// control, two for QPACK, and some that nobody knows.
const uniStreams = 8

// QUIC returns the settings of QUIC for connections that Serve is called for.
func QUIC(lim *http2.Limits) *quic.Config {
	c := &quic.Config{
		HandshakeIdleTimeout:           lim.HeaderTimeout,
		MaxIdleTimeout:                 transportIdle,
		KeepAlivePeriod:                transportIdle / 2,
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         maxStreamWindow,
		InitialConnectionReceiveWindow: connWindow,
		MaxConnectionReceiveWindow:     maxConnWindow,
		MaxIncomingStreams:             int64(or(lim.MaxStreams, http2.DefaultLimits.MaxStreams)),
		MaxIncomingUniStreams:          uniStreams,
		RequireStreamCreditRelease:     true, // a request counts until its handler has returned
	}
	if d := c.HandshakeIdleTimeout; d <= 0 || d > maxHandshake {
		c.HandshakeIdleTimeout = maxHandshake
	}
	return c
}

// maxHandshake is the longest that a client may be silent in the handshake.
const maxHandshake = 10 * time.Second

func or(n, other int) int {
	if n > 0 {
		return n
	}
	return other
}

// Serve begins to serve a client on a loop; it does not wait. It must be called by code
// of that loop.
func Serve(qc *quic.Conn, l *loop.Loop, cfg *ServerConfig) *ServerConn {
	c := &ServerConn{qc: qc, l: l, cfg: cfg, refuseFrom: noStream, idle: l.Now()}
	context.AfterFunc(qc.Context(), func() { l.Post(c.closed) })
	if err := c.openControl(); err != nil {
		c.fail(codeGeneral, "no stream for control: "+err.Error())
		return c
	}
	go c.acceptRequests()
	go c.acceptOthers()
	c.watchIdle()
	return c
}

var (
	_ message.Writer     = (*stream)(nil)
	_ message.LastWriter = (*stream)(nil)
	_ http2.Goner        = (*stream)(nil)
)
