package l4

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/wire/proxyproto"
)

// link is one connection with its target connection. Only its loop touches it.
type link struct {
	b      *Balancer
	port   *port
	loop   *loop.Loop
	client *loop.Conn
	server *loop.Conn     // nil until a target is reached
	target *target        // that server leads to; nil where endpoints are found
	from   netip.AddrPort // the client, as its PROXY header or the connection tells it
	ended  func(*Session) // nil: nobody is told
	begin  time.Time

	up, down direction // from the client, to the client
	running  int       // directions that have not ended
	broken   bool      // a side takes no more bytes; what it sent is still passed on
	why      Reason    // which one
	closed   bool

	last  time.Time // when bytes were moved last
	moved int64     // the bytes that were counted at the last look
	timer *loop.Timer

	before, after *link // in the list of its loop
}

// direction is one of the two ways of a link.
type direction struct {
	link     *link
	from, to *loop.Conn
	reader   Reason // what it means when from fails
	writer   Reason // what it means when to fails
	busy     bool   // a write is under way
}

// serve is the life of a connection that came in on a port.
func (b *Balancer) serve(p *port, client *loop.Conn) {
	b.take(p, p.route.Load(), client, client.RemoteAddr())
}

// take is serve for a route and a client that are known already.
func (b *Balancer) take(p *port, r *route, client *loop.Conn, from netip.AddrPort) {
	now := client.Loop().Now()
	l := &link{b: b, port: p, loop: client.Loop(), client: client, from: from, ended: r.Ended, begin: now, last: now}
	p.accepted.Add(1)
	b.enter(l)
	switch {
	case b.killed.Load():
		l.reset(Drained)
		return
	case !r.admits(from.Addr()):
		l.reset(Source)
		return
	case r.Find == nil && len(r.targets) == 0:
		l.reset(NoTarget)
		return
	case r.ProxyIn && !l.greeted(r):
		return
	}
	if r.Find != nil && !l.reach(r) || r.Find == nil && !l.connect(r) {
		return
	}
	if r.ProxyV1 {
		head := l.loop.Small()
		_, err := l.server.Write(proxyproto.AppendV1(head[:0], l.from, client.LocalAddr()))
		l.loop.PutSmall(head)
		if err != nil {
			l.reset(Server)
			return
		}
	}
	l.up = direction{link: l, from: client, to: l.server, reader: Client, writer: Server}
	l.down = direction{link: l, from: l.server, to: client, reader: Server, writer: Client}
	l.running = 2
	l.last = l.loop.Now()
	if r.Idle > 0 {
		l.timer = l.loop.AfterFunc(r.Idle, look, l)
	}
	l.loop.Go(pump, &l.down)
	pump(&l.up)
}

// connect reaches a target: the first that accepts, each being tried once. It
// reports whether the link goes on.
func (l *link) connect(r *route) bool {
	var tried attempts
	turn := l.port.turn.Add(1) - 1
	for range r.targets {
		i := r.pick(&tried, l.from.Addr(), turn, l.loop.Now())
		if i < 0 {
			break
		}
		tried.add(i)
		t := r.targets[i]
		server, err := l.loop.Dial(t.addr, l.b.cfg.Dial)
		if l.closed {
			if err == nil {
				server.Close()
			}
			return false
		}
		if err == nil {
			l.server, l.target = server, t
			t.open.Add(1)
			return true
		}
		if errors.Is(err, loop.ErrStopped) {
			l.reset(Drained)
			return false
		}
		t.lost(l.loop.Now(), l.b.cfg.Down)
	}
	l.reset(Connect)
	return false
}

// pump moves bytes in one direction until it ends or falls silent. In silence it
// leaves the connection to the loop, which calls it again when something comes.
func pump(arg any) {
	d := arg.(*direction)
	l := d.link
	for !l.closed {
		if !d.from.Ready() {
			d.from.SetReadDeadline(l.loop.Now().Add(l.b.cfg.Lull))
			err := d.from.WaitRead()
			d.from.SetReadDeadline(time.Time{})
			if errors.Is(err, loop.ErrTimeout) {
				d.from.OnReadable(pump, d)
				return
			}
		}
		buf := l.loop.Big()
		n, err := d.from.Read(buf)
		l.last = l.loop.Now()
		var werr error
		if n > 0 {
			d.busy = true
			_, werr = d.to.Write(buf[:n])
			d.busy = false
			l.last = l.loop.Now()
		}
		l.loop.PutBig(buf)
		switch {
		case l.closed:
			return
		case errors.Is(err, loop.ErrStopped) || errors.Is(werr, loop.ErrStopped):
			l.close(Drained)
			return
		case werr != nil:
			l.broken, l.why = true, d.writer
			d.end()
			return
		case err == io.EOF:
			d.end()
			return
		case err != nil:
			if !l.broken {
				l.why = d.reader
			}
			l.reset(l.why)
			return
		}
	}
}

// end ends the direction: its sender has sent all, or its receiver takes no more. The
// receiver learns of it, and the other direction goes on: a server may answer and
// close before it has read everything. With the second direction the link is done.
func (d *direction) end() {
	l := d.link
	l.running--
	if l.running == 0 {
		l.close(l.why)
		return
	}
	// When this fails the receiver is gone, which the other direction will read.
	_ = d.to.CloseWrite()
}

// look closes the link when it has been silent for too long, and otherwise looks
// again when that may be so. Bytes of a write that is under way count as well: a slow
// reader is not a silent one.
func look(arg any) {
	l := arg.(*link)
	if l.closed {
		return
	}
	now := l.loop.Now()
	moved := l.client.BytesRead() + l.client.BytesWritten() + l.server.BytesRead() + l.server.BytesWritten()
	if moved != l.moved && (l.up.busy || l.down.busy) {
		l.last = now
	}
	l.moved = moved
	idle := l.port.route.Load().Idle
	if idle <= 0 {
		idle = time.Hour // it may come back
	} else if silent := now.Sub(l.last); silent >= idle {
		l.close(Idle)
		return
	} else {
		idle -= silent
	}
	l.timer = l.loop.AfterFunc(idle, look, l)
}

// reset closes the link so that both sides learn that it did not end well.
func (l *link) reset(why Reason) {
	if l.closed {
		return
	}
	// Without the option the connection is closed all the same.
	_ = l.client.SetLinger(0)
	if l.server != nil {
		_ = l.server.SetLinger(0)
	}
	l.close(why)
}

// close closes both sides. Whoever waits for one of them finds the link closed.
func (l *link) close(why Reason) {
	if l.closed {
		return
	}
	l.closed = true
	p := l.port
	p.in.Add(uint64(l.client.BytesRead()))
	p.out.Add(uint64(l.client.BytesWritten()))
	if l.timer != nil {
		l.timer.Stop()
	}
	// Nothing is left to do about an error of a close.
	_ = l.client.Close()
	var endpoint netip.AddrPort
	if l.server != nil {
		endpoint = l.server.RemoteAddr()
		_ = l.server.Close()
	}
	if l.target != nil {
		l.target.open.Add(-1)
	}
	l.tell(why, endpoint)
	l.b.leave(l)
	p.ended[why].Add(1) // last: whoever sees it sees the rest
}

// tell tells whoever wants to know that the link has ended.
func (l *link) tell(why Reason, endpoint netip.AddrPort) {
	if l.ended == nil {
		return
	}
	s := &Session{
		Client: l.from, Local: l.client.LocalAddr(), Endpoint: endpoint, Reason: why, Begin: l.begin, End: time.Now(),
		In: l.client.BytesRead(), Out: l.client.BytesWritten(),
	}
	if l.from != l.client.RemoteAddr() {
		s.Told = l.from
	}
	l.ended(s)
}
