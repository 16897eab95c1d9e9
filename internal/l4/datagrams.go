package l4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Datagrams balances the datagrams of any number of UDP ports. The first one of a client
// begins a session: a socket of its own to an endpoint, by which answers come back. A
// session ends when every answer has come that is expected, or in silence.
type Datagrams struct {
	heritage Heritage // nil: none

	mu     sync.Mutex
	ports  map[place]*udpPort
	closed bool
	ended  sync.WaitGroup // all goroutines
}

// DesiredUDP is one UDP port that should be balanced.
type DesiredUDP struct {
	Key    string         // names it in errors and numbers
	Listen netip.AddrPort // port 0: one of the system's choice
	UDPOptions
}

// UDPOptions are how the sessions of one port are treated. A change counts for new
// sessions.
type UDPOptions struct {
	Find      func() []netip.AddrPort // the endpoints of this moment; it must not wait for long
	Idle      time.Duration           // a session ends after so long without a datagram; 0: never
	Responses int                     // answers to each datagram of a client; 0: none
	Sessions  int                     // at most; the one that is silent for longest ends for a new one; 0: 4096
	Ended     func(*Session)          // told of every session that has ended; nil: nobody
}

const usualSessions = 4096

// Heritage joins the UDP sockets of this process with those of the process before it and
// after it, where one takes another's place.
type Heritage interface {
	// ListenUDP is net.ListenUDP; the socket may be that of the process before.
	ListenUDP(network string, addr netip.AddrPort) (*net.UDPConn, error)
	// LeftUDP reports whether another process has that socket too. Then what clients send
	// is left to it when the Datagrams are closed.
	LeftUDP(network string, addr netip.AddrPort) bool
}

// NewDatagrams returns Datagrams without ports that take part in h; nil: their sockets
// are theirs alone.
func NewDatagrams(h Heritage) *Datagrams {
	return &Datagrams{heritage: h, ports: map[place]*udpPort{}}
}

// Apply makes these ports the ones that are balanced. The sessions of a port that goes
// live to their end. What could not be opened is told, and tried again at the next Apply.
func (g *Datagrams) Apply(desired []DesiredUDP) []PortError {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return []PortError{{Err: errors.New("the datagrams are closed")}}
	}
	var errs []PortError
	wanted := map[place]string{}
	for _, d := range desired {
		at := placeOf(Desired{Key: d.Key, Listen: d.Listen})
		if first, twice := wanted[at]; twice {
			errs = append(errs, PortError{d.Key, d.Listen, fmt.Errorf("address %s is that of %s already", d.Listen, first)})
			continue
		}
		wanted[at] = d.Key
		d.Sessions = cmp.Or(d.Sessions, usualSessions)
		if p := g.ports[at]; p != nil && p.reopen(&d) {
			continue
		}
		if err := g.open(at, &d); err != nil {
			errs = append(errs, PortError{d.Key, d.Listen, err})
		}
	}
	for at, p := range g.ports {
		if _, ok := wanted[at]; !ok {
			p.retire()
		}
	}
	return errs
}

// open opens a port.
func (g *Datagrams) open(at place, d *DesiredUDP) error {
	network := "udp4"
	if d.Listen.Addr().Is6() {
		network = "udp6"
	}
	c, err := g.listen(network, d.Listen)
	if err != nil {
		return err
	}
	p := &udpPort{network: network, socket: c, unread: make(chan struct{}), sessions: map[netip.AddrPort]*udpSession{}, many: &g.ended, tells: tellsDestination(c, network)}
	p.want.Store(d)
	p.local = c.LocalAddr().(*net.UDPAddr).AddrPort()
	g.ports[at] = p
	g.ended.Go(func() {
		p.run()
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.ports[at] == p {
			delete(g.ports, at)
		}
	})
	return nil
}

func (g *Datagrams) listen(network string, at netip.AddrPort) (*net.UDPConn, error) {
	if g.heritage == nil {
		return net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	}
	return g.heritage.ListenUDP(network, at)
}

// Close takes no new sessions, waits for those there are as long as ctx allows, and ends
// those that are left. It answers the error of ctx when there were any.
func (g *Datagrams) Close(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	var ports []*udpPort
	for _, p := range g.ports {
		if g.heritage != nil && g.heritage.LeftUDP(p.network, p.local) {
			p.leaveReading()
		}
		p.retire()
		ports = append(ports, p)
	}
	g.mu.Unlock()
	done := make(chan struct{})
	go func() { g.ended.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, p := range ports {
		p.kill()
	}
	<-done
	return ctx.Err()
}

// Addr returns the address that the port of a key is bound to.
func (g *Datagrams) Addr(key string) (netip.AddrPort, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.ports {
		if p.want.Load().Key == key && !p.leaves() {
			return p.local, true
		}
	}
	return netip.AddrPort{}, false
}

// Stats returns the present numbers, by Key.
func (g *Datagrams) Stats() []PortStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []PortStats
	for _, p := range g.ports {
		d := p.want.Load()
		s := PortStats{
			Key: d.Key, Listen: p.local, Open: p.open.Load(), Accepted: p.accepted.Load(),
			In: p.in.Load(), Out: p.out.Load(), Closed: map[string]uint64{},
		}
		for why := range reasons {
			s.Closed[why.String()] = p.endings[why].Load()
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b PortStats) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// udpPort is one UDP port. One goroutine reads its socket; each session has another for
// the answers.
type udpPort struct {
	network string
	socket  *net.UDPConn
	local   netip.AddrPort
	tells   bool // the socket tells at which of its addresses a datagram arrived
	many    *sync.WaitGroup
	want    atomic.Pointer[DesiredUDP]
	turn    int           // of the reader alone
	away    atomic.Bool   // another process reads
	unread  chan struct{} // closed when the reader has ended

	mu       sync.Mutex
	sessions map[netip.AddrPort]*udpSession // by client
	newest   *udpSession                    // that heard from its client last
	oldest   *udpSession
	retired  bool // no new session
	over     bool // the socket is closed, or about to be

	open              atomic.Int64
	accepted, in, out atomic.Uint64
	endings           [reasons]atomic.Uint64
}

// reopen takes up a port again, with these options; false: it is too late.
func (p *udpPort) reopen(d *DesiredUDP) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	p.retired = false
	p.want.Store(d)
	return true
}

// retire lets no new session begin, and closes the socket after the last one.
func (p *udpPort) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	p.closeEmpty()
}

// leaveReading ends the reader after the datagram that it holds. Sessions go on to
// bring answers back; what their clients send comes to the process that has the socket
// too, which is another session there.
func (p *udpPort) leaveReading() {
	p.away.Store(true)
	_ = p.socket.SetReadDeadline(time.Unix(1, 0)) // a socket that is closed is not read either
	<-p.unread
}

// leaves tells whether no new session begins.
func (p *udpPort) leaves() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.retired
}

// closeEmpty closes the socket of a retired port without sessions. p.mu is held.
func (p *udpPort) closeEmpty() {
	if p.retired && !p.over && len(p.sessions) == 0 {
		p.over = true
		_ = p.socket.Close() // it is gone either way
	}
}

// kill ends every session.
func (p *udpPort) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired, p.over = true, true
	for _, s := range p.sessions {
		s.stop(Drained)
	}
	_ = p.socket.Close() // it is gone either way
}

// largest is the largest datagram.
const largest = 64 << 10

// run hands on the datagrams of clients until the socket is closed.
func (p *udpPort) run() {
	defer close(p.unread)
	buf, about := make([]byte, largest), make([]byte, 128)
	for {
		n, size, _, from, err := p.socket.ReadMsgUDPAddrPort(buf, about)
		switch {
		case errors.Is(err, net.ErrClosed), err != nil && p.away.Load():
			return
		case err != nil: // the system is out of something
			time.Sleep(10 * time.Millisecond)
			continue
		}
		p.in.Add(uint64(n))
		// The session may end just now: then it is another one's.
		for s := p.session(from, about[:size]); s != nil && !s.forward(buf[:n]); {
			s = p.session(from, about[:size])
		}
	}
}

// session returns the session of a client, which begins unless there is one, or nil.
func (p *udpPort) session(from netip.AddrPort, about []byte) *udpSession {
	s, retired := p.known(from)
	if s != nil || retired {
		return s
	}
	p.accepted.Add(1)
	s = &udpSession{port: p, client: from, d: p.want.Load(), begin: time.Now()}
	if why := s.reach(); why != Done {
		p.endings[why].Add(1)
		s.tell(why)
		return nil
	}
	if p.tells {
		s.answerFrom = sourceOf(about)
	}
	if !p.enter(s) {
		s.stop(Drained)
		p.endings[Drained].Add(1)
		s.tell(Drained)
		return nil
	}
	return s
}

// known returns the session that a client has, and whether none may begin.
func (p *udpPort) known(from netip.AddrPort) (s *udpSession, retired bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s = p.sessions[from]; s == nil {
		return nil, p.retired
	}
	p.unlink(s)
	if s.isOver() {
		delete(p.sessions, from)
		return nil, p.retired
	}
	p.link(s)
	return s, false
}

// enter adds a session; when there are too many the one that is silent for longest ends.
// It reports whether it is not too late.
func (p *udpPort) enter(s *udpSession) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	if len(p.sessions) >= s.d.Sessions && p.oldest != nil {
		victim := p.oldest
		p.unlink(victim)
		delete(p.sessions, victim.client)
		victim.stop(Evicted)
	}
	p.sessions[s.client] = s
	p.link(s)
	p.open.Add(1)
	p.many.Go(s.run)
	return true
}

// leave removes a session that is over.
func (p *udpPort) leave(s *udpSession) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions[s.client] == s {
		p.unlink(s)
		delete(p.sessions, s.client)
	}
	p.closeEmpty()
}

// link puts a session in front; p.mu is held.
func (p *udpPort) link(s *udpSession) {
	s.older = p.newest
	if p.newest != nil {
		p.newest.newer = s
	} else {
		p.oldest = s
	}
	p.newest = s
}

// unlink takes it out again; p.mu is held.
func (p *udpPort) unlink(s *udpSession) {
	if s.newer != nil {
		s.newer.older = s.older
	} else {
		p.newest = s.older
	}
	if s.older != nil {
		s.older.newer = s.newer
	} else {
		p.oldest = s.newer
	}
	s.newer, s.older = nil, nil
}
