package listen

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/overload"
)

// Listener is one address to listen on, and what is done with its connections.
type Listener struct {
	Name          string         // unique in a Set, such as "controller/https"
	Controller    string         // whose limit of connections it shares
	Bind          netip.AddrPort // port 0 takes a free one
	Port          uint16         // the port it stands for
	TLS           bool
	ProxyProtocol bool
	Settings      *model.Settings
	Certificates  *Certificates // with TLS
	Service       Service
	NoUDP         bool // no HTTP/3, whatever the settings say: nothing hands UDP on
	// Passthrough is what takes TLS connections unopened, by the server name they ask
	// for, with who the client is. All others are opened here; nil: all are.
	Passthrough map[string]func(c *loop.Conn, client netip.AddrPort)
}

// Service answers what comes in.
type Service interface {
	// Handler returns what answers the requests of one connection.
	Handler(*loop.Loop, *exchange.Conn) message.Handler
	// Refuse completes the answer to a request that a codec refuses to read,
	// returns its body, and logs it. It must not wait.
	Refuse(l *loop.Loop, c *exchange.Conn, in *message.Request, out *message.Response, start time.Time) []byte
}

// Failure is a listener that could not be opened. It is tried again.
type Failure struct {
	Name string
	Bind netip.AddrPort
	UDP  bool // the listener is open, and only HTTP/3 is not served
	Err  error
}

// retryAfter is how long the Set waits before it tries a failed listener again.
const retryAfter = time.Second

// Set is the listeners of a process. Its methods may be called by any goroutine,
// but not by code that runs on a loop.
type Set struct {
	// Linger is how long connections without a request are waited for when they are to
	// end: a request may be on its way. It is set before the first Apply; 0 is not at all.
	Linger time.Duration
	// Load says how short of memory the process is. It is set before the first Apply; nil
	// is never.
	Load *overload.Gauge

	engine *loop.Engine
	loops  []loopConns // by index
	counts counts

	mu       sync.Mutex
	crowds   map[string]*crowd // by controller
	sockets  map[string]*socket
	failed   map[string]failed
	quics    map[*quicSocket]struct{} // those that are retiring, too
	retry    *time.Timer
	stopped  bool          // nothing is opened any more
	draining atomic.Bool   // and no connection comes any more
	empty    chan struct{} // closed when the last connection has gone, once draining
	once     sync.Once
}

type failed struct {
	want Listener
	udp  bool
	err  error
}

// member is a connection of the set. Only code of its loop touches it.
type member interface {
	of() *socket
	drain() // end it as soon as no request is in it
	close() // end it and everything that goes on in it
	// client is whose connections it counts among; the zero value: nobody's.
	client() netip.Addr
}

// loopConns is the connections of one loop. Only that loop touches them.
type loopConns struct {
	open map[member]struct{}
	idle atomic.Int64 // how many of them wait for a request; read by everybody
	_    [48]byte
}

// New returns an empty Set on an engine.
func New(e *loop.Engine) *Set {
	s := &Set{
		engine: e, loops: make([]loopConns, len(e.Loops())),
		crowds: map[string]*crowd{}, sockets: map[string]*socket{}, failed: map[string]failed{}, quics: map[*quicSocket]struct{}{}, empty: make(chan struct{}),
	}
	for i := range s.loops {
		s.loops[i].open = map[member]struct{}{}
	}
	return s
}

// Apply makes the set listen on exactly the desired listeners. One that stays on its
// address keeps its socket and its connections, and everything else about it may
// change. The connections of one that goes end as soon as no request is in them. A
// listener that cannot be opened is returned and tried again; the others do not mind.
func (s *Set) Apply(desired []Listener) []Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := make(map[string]bool, len(desired))
	for _, d := range desired {
		want[d.Name] = true
	}
	// What goes makes room first: another listener may want its port.
	for name, k := range s.sockets {
		if !want[name] {
			delete(s.sockets, name)
			k.close()
		}
	}
	clear(s.failed)
	for _, d := range desired {
		s.open(d)
	}
	s.retryLater()
	return s.failures()
}

// open opens a listener or changes the one of its name.
func (s *Set) open(d Listener) {
	o := newOptions(d, s.engine.Loops())
	o.http1.Linger, o.ending1.Linger = s.Linger, s.Linger
	old := s.sockets[d.Name]
	if old != nil && old.options.Load().Bind == d.Bind {
		old.options.Store(o)
		s.openUDP(old, d)
		return
	}
	k := newSocket(s, o)
	if err := s.listen(k, d); err != nil {
		s.failed[d.Name] = failed{d, false, err}
		return // an old socket on another address goes on until there is a new one
	}
	s.sockets[d.Name] = k
	s.openUDP(k, d)
	if old != nil {
		old.close()
	}
}

func (s *Set) failures() []Failure {
	var fs []Failure
	for name, f := range s.failed {
		fs = append(fs, Failure{name, f.want.Bind, f.udp, f.err})
	}
	slices.SortFunc(fs, func(a, b Failure) int { return cmp.Compare(a.Name, b.Name) })
	return fs
}

// Failures lists the listeners that are not open at present, by name.
func (s *Set) Failures() []Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures()
}

func (s *Set) retryLater() {
	if len(s.failed) > 0 && s.retry == nil && !s.stopped {
		s.retry = time.AfterFunc(retryAfter, s.tryAgain)
	}
}

func (s *Set) tryAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retry = nil
	if s.stopped {
		return
	}
	again := s.failed
	s.failed = map[string]failed{}
	for _, f := range again {
		s.open(f.want)
	}
	s.retryLater()
}

// Addr returns the address that a listener is bound to.
func (s *Set) Addr(name string) (netip.AddrPort, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.sockets[name]; k != nil {
		return k.listener.Addr(), true
	}
	return netip.AddrPort{}, false
}

// Drain stops accepting and ends every connection as soon as no request is in it; those
// that the system had accepted for us are served before. When ctx is done, or the
// longest DrainTimeout of the listeners has passed, it closes what is left and returns
// the context's error.
func (s *Set) Drain(ctx context.Context) (err error) {
	longest := s.stopAccepting()
	s.draining.Store(true)
	if longest > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, longest)
		defer cancel()
	}
	s.each(member.drain)
	if s.counts.active.Load() == 0 {
		s.isEmpty()
	}
	select {
	case <-s.empty:
	case <-ctx.Done():
		s.each(member.close)
		err = ctx.Err()
	}
	s.shutUDP()
	return err
}

// stopAccepting closes the listeners and returns the longest time that their connections
// may take to end. Every connection that was accepted is in the set then.
func (s *Set) stopAccepting() (longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, k := range s.sockets {
		longest = max(longest, k.options.Load().Settings.DrainTimeout)
		k.closed.Store(true)
		k.listener.Close()
		if q := k.quic.Load(); q != nil {
			q.refuse()
		}
	}
	clear(s.sockets)
	clear(s.failed)
	if s.retry != nil {
		s.retry.Stop()
	}
	s.engine.Round()
	return longest
}

// gone counts one connection less.
func (s *Set) gone() {
	if s.counts.active.Add(-1) == 0 && s.draining.Load() {
		s.isEmpty()
	}
}

func (s *Set) isEmpty() { s.once.Do(func() { close(s.empty) }) }

// each has f called for every connection, on its loop.
func (s *Set) each(f func(member)) {
	for i, l := range s.engine.Loops() {
		l.Post(func() {
			for k := range s.loops[i].open {
				f(k)
			}
		})
	}
}
