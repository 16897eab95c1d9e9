package listen

import (
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http1"
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/pierhead/pierhead/internal/wire/proxyproto"
	"github.com/pierhead/pierhead/internal/wire/tlsconn"
)

// codec is a codec's side of a connection.
type codec interface {
	Drain()          // ends it as soon as no request is in it
	CloseIdle() bool // ends it if it waits for a request
}

// conn is one client connection from accept to close. Only code of its loop touches
// it.
type conn struct {
	socket   *socket
	raw      *loop.Conn
	facts    exchange.Conn
	codec    codec      // nil until one serves
	counted  netip.Addr // whose connections it counts among; the zero value: nobody's
	draining bool
	over     bool

	since          int64 // when it began to wait for a request, if it is among the idle
	newer, earlier *conn // of these
}

var serials atomic.Uint64

// accept takes a connection through PROXY header and TLS to its codec. It runs in a
// coroutine of the connection's loop.
func (sk *socket) accept(raw *loop.Conn) {
	o := sk.options.Load()
	if !sk.admit(o, raw.Loop()) {
		raw.Close()
		return
	}
	k := &conn{socket: sk, raw: raw}
	k.facts = exchange.Conn{
		Peer: raw.RemoteAddr(), Client: raw.RemoteAddr(), Local: raw.LocalAddr(),
		ServerPort: o.port, Serial: serials.Add(1), UseProxy: o.ProxyProtocol, ListenerTLS: o.TLS,
	}
	k.draining = sk.enter(k, raw.Loop())
	served := false
	defer func() {
		if !served { // an error, or a panic
			k.close()
		}
	}()
	var s loop.Stream = raw
	if o.ProxyProtocol && !k.proxyHeader(o) {
		return
	}
	var admitted bool
	if k.counted, admitted = sk.admitClient(o, k.facts.Client.Addr()); !admitted {
		return
	}
	if o.TLS {
		if o.Passthrough != nil && k.handOn(o) {
			served = true
			return
		}
		if s = k.handshake(o, s); s == nil {
			return
		}
	}
	served = true
	k.serve(o, s)
}

// proxyHeader reads the header that a load balancer sends first. A connection
// without one is closed. Only what trusted addresses say counts; from others the
// header is read and the client is who connected.
func (k *conn) proxyHeader(o *options) bool {
	k.bound(o.Settings.HeaderTimeout)
	h, err := proxyproto.Read(k.raw)
	if err != nil {
		if err != io.EOF { // a probe, that only looks whether somebody listens
			k.socket.set.counts.proxyRefused.Add(1)
		}
		return false
	}
	k.bound(0)
	if h.Known() && o.trusted(k.facts.Peer.Addr()) {
		k.facts.Client, k.facts.ProxyPort = h.Source, h.Destination.Port()
	}
	return true
}

// handshake does the server's part of TLS.
func (k *conn) handshake(o *options, s loop.Stream) loop.Stream {
	k.bound(o.Settings.HeaderTimeout)
	t := tlsconn.Server(s, o.tls[k.raw.Loop().Index()])
	if err := t.Handshake(); err != nil {
		k.socket.set.counts.handshakesFailed.Add(1)
		answerPlain(k.raw, err, o)
		return nil
	}
	k.bound(0)
	state := t.State()
	k.facts.TLS = &state
	k.facts.HTTP3 = k.socket.quic.Load() != nil
	return t
}

// bound limits how long the connection may take for what precedes a request; 0
// lifts the limit.
func (k *conn) bound(d time.Duration) {
	var until time.Time
	if d > 0 {
		until = k.raw.Loop().Now().Add(d)
	}
	k.raw.SetReadDeadline(until)
	k.raw.SetWriteDeadline(until)
}

// serve gives the connection to the codec that it speaks.
func (k *conn) serve(o *options, s loop.Stream) {
	if k.facts.TLS != nil && k.facts.TLS.NegotiatedProtocol == "h2" {
		k.serveHTTP2(s)
		return
	}
	cfg := &http1.ServerConfig{
		Limits:  k.socket.http1,
		Handler: o.Service.Handler(s.Loop(), &k.facts),
		Scheme:  k.scheme(),
		Refuse:  k.refuse,
		Closed:  k.codecClosed,
		Idle:    k.idle,
		Reading: &k.socket.set.counts.reading,
	}
	if k.facts.TLS == nil && o.Settings.HTTP2 {
		cfg.HTTP2 = k.serveHTTP2
	}
	c := http1.NewServer(s, cfg)
	k.codec = c
	if k.draining {
		c.Drain()
	}
	c.Serve()
}

// serveHTTP2 serves a connection that chose HTTP/2 by ALPN, or began with its
// preface.
func (k *conn) serveHTTP2(s loop.Stream) {
	o := k.socket.options.Load()
	c := http2.Serve(s, &http2.ServerConfig{
		Limits:  k.socket.http2,
		Handler: o.Service.Handler(s.Loop(), &k.facts),
		Scheme:  k.scheme(),
		Refuse:  k.refuseHTTP2,
		Idle:    k.idle,
		Closed:  func(*http2.ServerConn) { k.close() },
	})
	k.codec = c
	if k.draining {
		c.Drain()
	}
}

func (k *conn) scheme() string {
	if k.facts.TLS != nil {
		return "https"
	}
	return "http"
}

// codecClosed runs when HTTP/1 is done with the connection: it is closed, or goes on
// as HTTP/2.
func (k *conn) codecClosed() {
	if loop.Gone(k.raw) {
		k.close()
	}
}

// refuse completes the answer to a request that HTTP/1 refuses.
func (k *conn) refuse(r *http1.Refusal, out *message.Response) []byte {
	k.facts.Requests++
	return k.service().Refuse(k.raw.Loop(), &k.facts, r.Request, out, r.Start)
}

// refuseHTTP2 answers a request that HTTP/2 refuses.
func (k *conn) refuseHTTP2(in *message.Request, w message.Writer, f http2.Fault) {
	refuseStream(k.service(), k.raw.Loop(), &k.facts, in, w, f)
}

// refuseStream answers a request that HTTP/2 or HTTP/3 refuses.
func refuseStream(s Service, l *loop.Loop, c *exchange.Conn, in *message.Request, w message.Writer, f http2.Fault) {
	c.Requests++
	out := &message.Response{Status: f.Status()}
	page := s.Refuse(l, c, in, out, l.Now())
	out.Length = int64(len(page))
	if w.WriteHead(out) == nil {
		if _, err := w.Write(page); err == nil {
			w.Finish(nil)
		}
	}
}

func (k *conn) service() Service { return k.socket.options.Load().Service }

func (k *conn) of() *socket { return k.socket }

func (k *conn) client() netip.Addr { return k.counted }

// drain ends the connection as soon as no request is in it.
func (k *conn) drain() {
	k.draining = true
	if k.codec != nil {
		k.codec.Drain()
	}
}

// close ends the connection and everything that goes on in it.
func (k *conn) close() {
	if k.over {
		return
	}
	k.over = true
	k.idle(false)
	k.raw.Close()
	k.socket.leave(k, k.raw.Loop())
}
