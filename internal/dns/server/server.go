// Package server is the embedded authoritative DNS server: a dns.Provider that keeps
// its zones in memory and answers for them over UDP and TCP.
//
// It answers only for zones that it has, and refuses all else: it is no resolver.
// Readers take one atomic pointer to an immutable snapshot of all zones; a change
// copies the zone it concerns and swaps the pointer.
//
// Private zones are answered to clients of the configured ranges only. For those
// clients they come first: what a private zone contains no public zone is asked for.
// Everyone else sees the public zones as if there were no others.
//
// The wire format is the business of github.com/miekg/dns, which no other package
// imports.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	wire "github.com/miekg/dns"
	"golang.org/x/net/netutil"

	"github.com/pierhead/pierhead/internal/dns"
)

// maxTCP bounds the TCP connections that are open at a time.
const maxTCP = 256

// DefaultInside returns the ranges whose clients may ask private zones: loopback,
// RFC 1918 and unique local IPv6 addresses.
func DefaultInside() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("fc00::/7"),
	}
}

// Config is how a Server is to run. The zero Config is good for tests.
type Config struct {
	Listen    netip.AddrPort            // of UDP and TCP; port 0 chooses one for both
	Inside    []netip.Prefix            // whose clients may ask private zones; nil: DefaultInside
	Addresses []netip.Addr              // of ns.<zone>; nil: the one of Listen, or 127.0.0.1 when that names none
	Now       func() time.Time          // for serials; nil: time.Now
	Sockets   Sockets                   // nil: the system's
	OnPanic   func(v any, stack []byte) // told of a query that made the server panic; nil: prints it to stderr
}

// Sockets opens what a Server listens on.
type Sockets interface {
	Listen(addr string) (net.Listener, error)         // TCP
	ListenPacket(addr string) (net.PacketConn, error) // UDP
}

type systemSockets struct{}

func (systemSockets) Listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

func (systemSockets) ListenPacket(addr string) (net.PacketConn, error) {
	return net.ListenPacket("udp", addr)
}

// Server holds zones and answers for them.
type Server struct {
	cfg  Config
	live atomic.Pointer[snapshot]
	seen [wire.RcodeBadVers + 1]atomic.Uint64 // answers by their code

	mu     sync.Mutex // of those who write
	serial uint32
	tcp    *wire.Server
	udp    *wire.Server
	addr   netip.AddrPort
	done   chan error
}

// New returns a Server without zones that does not listen yet.
func New(cfg Config) *Server {
	if cfg.Inside == nil {
		cfg.Inside = DefaultInside()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.OnPanic == nil {
		cfg.OnPanic = func(v any, stack []byte) { fmt.Fprintf(os.Stderr, "dns: panic: %v\n%s", v, stack) }
	}
	if cfg.Sockets == nil {
		cfg.Sockets = systemSockets{}
	}
	if cfg.Addresses == nil {
		cfg.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
		if a := cfg.Listen.Addr(); a.IsValid() && !a.IsUnspecified() {
			cfg.Addresses = []netip.Addr{a.Unmap().WithZone("")}
		}
	}
	s := &Server{cfg: cfg}
	s.live.Store(&snapshot{public: map[string]*zone{}, private: map[string]*zone{}})
	return s
}

// Start binds UDP and TCP and answers until Close.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tcp != nil {
		return errors.New("dns server is started already")
	}
	l, pc, err := bind(s.cfg.Sockets, s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("dns server cannot listen on %s: %w", s.cfg.Listen, err)
	}
	s.addr = l.Addr().(*net.TCPAddr).AddrPort()
	started := make(chan struct{}, 2)
	s.done = make(chan error, 2)
	announce := func() { started <- struct{}{} }
	s.tcp = &wire.Server{Listener: netutil.LimitListener(l, maxTCP), Handler: wire.HandlerFunc(s.serve), MsgAcceptFunc: accept, NotifyStartedFunc: announce}
	s.udp = &wire.Server{PacketConn: pc, Handler: wire.HandlerFunc(s.serve), MsgAcceptFunc: accept, NotifyStartedFunc: announce, UDPSize: udpSize}
	for _, srv := range []*wire.Server{s.tcp, s.udp} {
		go func() { s.done <- srv.ActivateAndServe() }()
	}
	for range 2 {
		select {
		case <-started:
		case err := <-s.done:
			return errors.Join(fmt.Errorf("dns server cannot serve on %s: %w", s.addr, err), l.Close(), pc.Close())
		}
	}
	return nil
}

// bind listens on one port of TCP and UDP. When the system chooses the port, it may
// choose one for TCP that UDP has taken: then another.
func bind(sockets Sockets, at netip.AddrPort) (net.Listener, net.PacketConn, error) {
	if !at.IsValid() {
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	}
	var last error
	for range 16 {
		l, err := sockets.Listen(at.String())
		if err != nil {
			return nil, nil, err
		}
		pc, err := sockets.ListenPacket(l.Addr().String())
		if err == nil {
			return l, pc, nil
		}
		last = errors.Join(err, l.Close())
		if at.Port() != 0 {
			break
		}
	}
	return nil, nil, last
}

// Addr returns the address that a started Server listens on.
func (s *Server) Addr() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Close stops listening and waits for the queries in hand, as long as ctx allows.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tcp == nil {
		return nil
	}
	err := errors.Join(s.tcp.ShutdownContext(ctx), s.udp.ShutdownContext(ctx))
	for range 2 {
		err = errors.Join(err, <-s.done)
	}
	s.tcp, s.udp = nil, nil
	return err
}

// Answers returns how many answers of each code were given, by the code's name.
func (s *Server) Answers() map[string]uint64 {
	out := map[string]uint64{}
	for code := range s.seen {
		if n := s.seen[code].Load(); n > 0 {
			out[wire.RcodeToString[code]] = n
		}
	}
	return out
}

// serve answers one query that came in.
func (s *Server) serve(w wire.ResponseWriter, q *wire.Msg) {
	var client netip.Addr
	limit := wire.MaxMsgSize
	switch a := w.RemoteAddr().(type) {
	case *net.UDPAddr:
		client, limit = a.AddrPort().Addr(), 0
	case *net.TCPAddr:
		client = a.AddrPort().Addr()
	}
	defer func() {
		if v := recover(); v != nil {
			s.cfg.OnPanic(v, debug.Stack())
			failed := new(wire.Msg)
			_ = w.WriteMsg(failed.SetRcode(q, wire.RcodeServerFailure))
		}
	}()
	// A client that is gone before its answer needs no report.
	_ = w.WriteMsg(s.answer(q, client.Unmap(), limit))
}

// inside reports whether a client may ask private zones.
func (s *Server) inside(client netip.Addr) bool {
	for _, p := range s.cfg.Inside {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

var _ dns.Provider = (*Server)(nil)
