package listen

import (
	"net"
	"net/netip"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/pierhead/pierhead/internal/wire/http3"
	"github.com/quic-go/quic-go"
)

// quicConn is one HTTP/3 connection. Only code of its loop touches it.
type quicConn struct {
	socket *socket
	qc     *quic.Conn
	l      *loop.Loop
	facts  exchange.Conn
	inner  message.Handler
	codec  *http3.ServerConn
	over   bool

	counted netip.Addr // whose connections it counts among, wherever the client moves
}

// acceptQUIC serves a connection on its loop.
func (k *socket) acceptQUIC(qc *quic.Conn, l *loop.Loop) {
	o := k.options.Load()
	if !k.admit(o, l) {
		go http3.Close(qc)
		return
	}
	c := &quicConn{socket: k, qc: qc, l: l}
	state := qc.ConnectionState().TLS
	c.facts = exchange.Conn{
		Local: udpAddr(qc.LocalAddr()), ServerPort: o.port, TLS: &state, Serial: serials.Add(1), ListenerTLS: true,
	}
	c.locate()
	draining := k.enter(c, l)
	var admitted bool
	if c.counted, admitted = k.admitClient(o, c.facts.Client.Addr()); !admitted {
		c.closed()
		c.close()
		return
	}
	c.inner = o.Service.Handler(l, &c.facts)
	c.codec = http3.Serve(qc, l, &http3.ServerConfig{Limits: k.http2, Handler: c, Refuse: c.refuse, Closed: c.closed})
	if draining {
		c.codec.Drain()
	}
}

// locate notes where the client is now: a connection outlives a change of its address.
func (c *quicConn) locate() {
	c.facts.Peer = udpAddr(c.qc.RemoteAddr())
	c.facts.Client = c.facts.Peer
}

// Handle answers one request.
func (c *quicConn) Handle(in *message.Request, w message.Writer) {
	c.locate()
	c.inner.Handle(in, w)
}

func (c *quicConn) refuse(in *message.Request, w message.Writer, f http2.Fault) {
	c.locate()
	refuseStream(c.socket.options.Load().Service, c.l, &c.facts, in, w, f)
}

func (c *quicConn) of() *socket { return c.socket }

func (c *quicConn) client() netip.Addr { return c.counted }

func (c *quicConn) drain() { c.codec.Drain() }

func (c *quicConn) close() { go http3.Close(c.qc) }

// closed runs when the connection has ended.
func (c *quicConn) closed() {
	if !c.over {
		c.over = true
		c.socket.leave(c, c.l)
	}
}

func udpAddr(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		p := u.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}
