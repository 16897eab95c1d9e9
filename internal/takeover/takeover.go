// Package takeover hands the listening sockets of a process to the one that takes its
// place on the same machine, so that no connection is refused in between.
//
// The sockets themselves go over, by SCM_RIGHTS on a Unix socket: the queue of
// connections in the kernel stays where it is, and whoever accepts first serves. With a
// socket for each (SO_REUSEPORT) the queue of the one that ends would be reset.
//
// The Unix socket has an abstract name: it needs no folder that both can see, only one
// network, and it goes with its process. Both sides check that the other runs as the same
// user, which is what the kernel asks of those who share a port.
//
// The process before goes on until it is told to end, or knows that the one after is
// live (Succeeded). When the one after dies before, nothing has changed.
package takeover

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// Place is this process in a row of processes under one name. A nil Place is a process
// on its own. Any goroutine may call its methods.
type Place struct {
	name string
	log  *slog.Logger

	mu      sync.Mutex
	asked   bool
	before  *net.UnixConn       // to the process before; nil: none
	left    map[string]*os.File // by it, not taken yet
	took    map[string]bool     // of its sockets
	sources []func() map[netip.AddrPort]int
	own     map[string]fder // what Listen and ListenPacket opened
	after   map[*heir]bool
	door    *net.UnixListener // where the process after asks
	leaving bool              // the process before is the last one again
	closed  bool

	succeeded chan struct{}
	once      sync.Once
	ended     sync.WaitGroup
	stop      chan struct{}
}

// fder is a socket whose descriptor can be copied.
type fder interface{ File() (*os.File, error) }

// retry is how often a name that somebody else still has is tried again.
const retry = 100 * time.Millisecond

// New returns the place of a process under a name. It asks the process before when a
// socket is in use, if it is to ask at all.
func New(name string, ask bool, log *slog.Logger) (*Place, error) {
	if !possible {
		return nil, errors.New("takeover: this system cannot hand sockets over: it needs Linux")
	}
	if name == "" || len(name) > 90 || strings.ContainsAny(name, "\x00@") {
		return nil, errors.New("takeover: a name has 1 to 90 characters, no @ among them")
	}
	return &Place{
		name: "@pierhead/" + name, log: log, asked: !ask, own: map[string]fder{}, took: map[string]bool{}, after: map[*heir]bool{},
		succeeded: make(chan struct{}), stop: make(chan struct{}),
	}, nil
}

// Offer adds what is handed to the process after: a function that returns copies of the
// descriptors of listening TCP sockets.
func (p *Place) Offer(source func() map[netip.AddrPort]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sources = append(p.sources, source)
}

// Take returns the descriptor of the process before for an address, as loop.Heritage
// says.
func (p *Place) Take(addr netip.AddrPort) (int, bool) {
	f := p.take("tcp " + addr.String())
	if f == nil {
		return -1, false
	}
	defer f.Close()
	return copyOf(f)
}

func (p *Place) take(key string) *os.File {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ask()
	f := p.left[key]
	delete(p.left, key)
	if f != nil {
		p.took[key] = true
	}
	return f
}

// Left reports whether another process has the socket of this address, as loop.Heritage
// says: the one after, or the one before as long as it has not ended.
func (p *Place) Left(addr netip.AddrPort) bool {
	return p.shares("tcp " + addr.String())
}

// shares reports whether another process has a socket too.
func (p *Place) shares(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.took[key] && p.before != nil {
		return true
	}
	for h := range p.after {
		if h.has[key] {
			return true
		}
	}
	return false
}

// Listen is net.Listen for TCP. The socket may be that of the process before, and is
// handed to the one after.
func (p *Place) Listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if p == nil {
		return ln, err
	}
	if inUse(err) {
		if f := p.take("tcp " + canonical(addr)); f != nil {
			ln, err = net.FileListener(f)
			f.Close()
		}
	}
	if err == nil {
		p.keep("tcp "+canonical(ln.Addr().String()), ln.(*net.TCPListener))
	}
	return ln, err
}

// ListenPacket is net.ListenPacket for UDP, likewise.
func (p *Place) ListenPacket(addr string) (net.PacketConn, error) {
	pc, err := net.ListenPacket("udp", addr)
	if p == nil {
		return pc, err
	}
	if inUse(err) {
		if f := p.take("udp " + canonical(addr)); f != nil {
			pc, err = net.FilePacketConn(f)
			f.Close()
		}
	}
	if err == nil {
		p.keep("udp "+canonical(pc.LocalAddr().String()), pc.(*net.UDPConn))
	}
	return pc, err
}

// ListenUDP is net.ListenUDP for udp4 or udp6, as l4.Heritage says.
func (p *Place) ListenUDP(network string, addr netip.AddrPort) (*net.UDPConn, error) {
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if p == nil {
		return c, err
	}
	if inUse(err) {
		if f := p.take(network + " " + addr.String()); f != nil {
			var pc net.PacketConn
			if pc, err = net.FilePacketConn(f); err == nil {
				c = pc.(*net.UDPConn)
			}
			f.Close()
		}
	}
	if err == nil {
		p.keep(network+" "+bound(c).String(), c)
	}
	return c, err
}

// LeftUDP reports whether another process has this socket of ListenUDP too.
func (p *Place) LeftUDP(network string, addr netip.AddrPort) bool {
	return p != nil && p.shares(network+" "+addr.String())
}

// bound returns the address of a socket as those who ask for it write it.
func bound(c *net.UDPConn) netip.AddrPort {
	at := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// canonical writes an address that Listen and ListenPacket take: they make one socket of
// all that means every address of the machine.
func canonical(addr string) string {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return addr
	}
	if a.IP == nil || a.IP.IsUnspecified() {
		a.IP = net.IPv6unspecified
	}
	return a.String()
}

func (p *Place) keep(key string, s fder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own[key] = s
}

// Succeeded is closed when the process after this one is live.
func (p *Place) Succeeded() <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.succeeded
}

// Followed reports whether a process after this one is live now.
func (p *Place) Followed() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for h := range p.after {
		if h.live {
			return true
		}
	}
	return false
}

// Preceded reports whether the process before is still there.
func (p *Place) Preceded() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.before != nil
}

// Live says that this process serves: the one before may end, and one after may come.
// What of the one before nobody wanted is let go of.
func (p *Place) Live() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = true
	for key, f := range p.left {
		f.Close()
		delete(p.left, key)
	}
	if p.before != nil {
		say(p.before, wordLive)
	}
	if !p.closed {
		p.ended.Go(p.receive)
	}
}

// Leave says that this process is about to end. If the one before is still there that one
// is the last again: it accepts all connections, and answers the next one that asks.
func (p *Place) Leave() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.before == nil || p.closed {
		return
	}
	p.leaving = true
	say(p.before, wordLeft)
	if p.door != nil {
		p.door.Close()
	}
}

// leaves reports whether the process before is the last one again.
func (p *Place) leaves() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leaving
}

// Close lets go of the name.
func (p *Place) Close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.stop)
	}
	if p.door != nil {
		p.door.Close()
	}
	for h := range p.after {
		h.conn.Close()
	}
	for _, f := range p.left {
		f.Close()
	}
	p.left = nil
	if p.before != nil {
		p.before.Close()
	}
	p.mu.Unlock()
	p.ended.Wait()
}
