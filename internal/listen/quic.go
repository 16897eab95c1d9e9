package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/wire/http3"
	"github.com/quic-go/quic-go"
)

// quicSocket is the UDP port of a TLS listener: HTTP/3.
type quicSocket struct {
	socket   *socket
	packets  *net.UDPConn
	carrier  *quic.Transport
	listener *quic.EarlyListener
	accepted chan struct{} // closed when nothing is accepted any more
	forget   func() bool   // of the engine's end

	mu    sync.Mutex
	conns map[*quic.Conn]struct{}
	gone  chan struct{} // closed when shut is over
	once  sync.Once
	left  chan struct{} // a connection has gone; with room for one
}

// openQUIC opens the UDP port of the same number as the listener's.
func (k *socket) openQUIC(at netip.AddrPort) (*quicSocket, error) {
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	packets, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, plainError(err)
	}
	q := &quicSocket{
		socket: k, packets: packets, accepted: make(chan struct{}), conns: map[*quic.Conn]struct{}{},
		gone: make(chan struct{}), left: make(chan struct{}, 1),
	}
	rush := &rush{}
	q.carrier = &quic.Transport{Conn: packets, VerifySourceAddress: func(net.Addr) bool { return rush.another(time.Now()) }}
	q.listener, err = q.carrier.ListenEarly(q.tlsConfig(), &quic.Config{GetConfigForClient: q.config})
	if err != nil {
		packets.Close()
		return nil, err
	}
	q.mu.Lock()
	q.forget = context.AfterFunc(k.set.engine.Context(), q.shut)
	q.mu.Unlock()
	go q.accept()
	return q, nil
}

// plainError takes package net's words around an error away.
func plainError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// rush tells when so many begin to connect that they first have to show that the
// address they tell is theirs. That costs a round trip, and who sends from addresses of
// others costs us no more than that.
type rush struct {
	mu     sync.Mutex
	second int64
	n      int
}

// crowded is how many handshakes may begin in a second without that.
const crowded = 500

func (c *rush) another(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := now.Unix(); s != c.second {
		c.second, c.n = s, 0
	}
	c.n++
	return c.n > crowded
}

// config returns the settings of QUIC for a client that begins to connect.
func (q *quicSocket) config(*quic.ClientInfo) (*quic.Config, error) {
	o := q.socket.options.Load()
	c := http3.QUIC(&o.http2)
	c.Allow0RTT = o.Settings.EarlyData
	return c, nil
}

// tlsConfig returns what the handshakes ask for the present configuration. The keys of
// session tickets, which early data needs, are those of the first one.
func (q *quicSocket) tlsConfig() *tls.Config {
	c := quicTLS(q.socket)
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return quicTLS(q.socket), nil }
	return c
}

var errPassthrough = errors.New("TLS for this name does not end here")

// quicTLS makes the TLS configuration of HTTP/3. Certificates are chosen as for TCP.
func quicTLS(k *socket) *tls.Config {
	o := k.options.Load()
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{http3.Proto},
		SessionTicketsDisabled: !o.Settings.EarlyData && !o.Settings.SessionTickets,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			o := k.options.Load()
			if o.Passthrough[hello.ServerName] != nil {
				return nil, errPassthrough
			}
			return o.Certificates.For(hello.ServerName), nil
		},
	}
}

// accept gives every connection to a loop.
func (q *quicSocket) accept() {
	defer close(q.accepted)
	for {
		qc, err := q.listener.Accept(context.Background())
		if err != nil {
			return
		}
		q.add(qc)
	}
}

// add takes a connection, as soon as its handshake is over or early data is wanted.
func (q *quicSocket) add(qc *quic.Conn) {
	q.mu.Lock()
	q.conns[qc] = struct{}{}
	q.mu.Unlock()
	context.AfterFunc(qc.Context(), func() { q.remove(qc) })
	l := q.socket.set.engine.Next()
	if q.socket.options.Load().Settings.EarlyData {
		q.hand(qc, l)
		return
	}
	go func() {
		select {
		case <-qc.HandshakeComplete():
			q.hand(qc, l)
		case <-qc.Context().Done():
			q.socket.set.counts.handshakesFailed.Add(1)
		}
	}()
}

// hand gives a connection to a loop.
func (q *quicSocket) hand(qc *quic.Conn, l *loop.Loop) {
	l.Post(func() { q.socket.acceptQUIC(qc, l) })
}

func (q *quicSocket) remove(qc *quic.Conn) {
	q.mu.Lock()
	delete(q.conns, qc)
	q.mu.Unlock()
	select {
	case q.left <- struct{}{}:
	default:
	}
}

// refuse ends accepting; connections go on. It returns when all that were accepted are
// on their way to their loops.
func (q *quicSocket) refuse() {
	q.listener.Close()
	<-q.accepted
}

// wantsQUIC tells whether a listener is to have a UDP port. Behind the PROXY protocol
// stands a load balancer that may have none, and that could not say who the client is.
func (d *Listener) wantsQUIC() bool { return d.TLS && d.Settings.HTTP3 && !d.ProxyProtocol && !d.NoUDP }

// listen opens the socket of a listener. Where any port will do it is one whose UDP port is
// free as well, if that is wanted.
func (s *Set) listen(k *socket, d Listener) (err error) {
	for try := 1; ; try++ {
		if k.listener, err = s.engine.Listen(d.Bind, k.accept); err != nil {
			return err
		}
		if d.Bind.Port() != 0 || !d.wantsQUIC() || try == anyPorts || s.openUDP(k, d) {
			return nil
		}
		k.listener.Close()
	}
}

// anyPorts is how many ports are tried for one that is free for both.
const anyPorts = 8

// openUDP opens or closes the UDP port of a listener that is open, and reports whether it
// is as it should be.
func (s *Set) openUDP(k *socket, d Listener) (ok bool) {
	q := k.quic.Load()
	switch want := d.wantsQUIC(); {
	case want && q == nil:
		q, err := k.openQUIC(netip.AddrPortFrom(d.Bind.Addr(), k.listener.Addr().Port()))
		if err != nil {
			s.failed[d.Name+" (UDP)"] = failed{d, true, err}
			return false
		}
		delete(s.failed, d.Name+" (UDP)")
		s.quics[q] = struct{}{}
		k.quic.Store(q)
	case !want && q != nil:
		k.closeUDP()
	}
	return true
}

// closeUDP ends HTTP/3 on a listener; its connections are asked to end.
func (k *socket) closeUDP() {
	q := k.quic.Swap(nil)
	if q == nil {
		return
	}
	k.set.each(func(c member) {
		if c, ok := c.(*quicConn); ok && c.socket == k {
			c.drain()
		}
	})
	q.retire(k.options.Load().Settings.DrainTimeout)
}

// retire ends accepting, and the socket when its connections have ended or have taken
// too long.
func (q *quicSocket) retire(longest time.Duration) {
	q.listener.Close()
	go func() {
		var late <-chan time.Time
		if longest > 0 {
			t := time.NewTimer(longest)
			defer t.Stop()
			late = t.C
		}
		for !q.empty() {
			select {
			case <-q.left:
			case <-late:
				q.shut()
			case <-q.gone:
			}
		}
		q.shut()
		s := q.socket.set
		s.mu.Lock()
		delete(s.quics, q)
		s.mu.Unlock()
	}()
}

func (q *quicSocket) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.conns) == 0
}

// shut closes what is left of the connections, and the socket.
func (q *quicSocket) shut() {
	q.once.Do(func() {
		defer close(q.gone)
		q.refuse()
		q.mu.Lock()
		left := make([]*quic.Conn, 0, len(q.conns))
		for qc := range q.conns {
			left = append(left, qc)
		}
		q.forget()
		q.mu.Unlock()
		var all sync.WaitGroup
		for _, qc := range left {
			all.Go(func() { http3.Close(qc) })
		}
		all.Wait()
		q.carrier.Close()
		q.packets.Close()
	})
	<-q.gone
}

// shutUDP closes every UDP port.
func (s *Set) shutUDP() {
	s.mu.Lock()
	open := make([]*quicSocket, 0, len(s.quics))
	for q := range s.quics {
		open = append(open, q)
	}
	s.mu.Unlock()
	for _, q := range open {
		q.shut()
	}
}
