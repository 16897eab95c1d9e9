package upstream

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/wire/http1"
	"github.com/pierhead/pierhead/internal/wire/http2"
)

// Endpoint is one address of a pool, with its connections.
type Endpoint struct {
	addr   netip.AddrPort
	tls    *tls.Config // nil: plain
	digest string      // its key in sticky mode "persistent"
	keep   *keeper
	multi  bool               // it speaks HTTP/2
	grpc   bool               // and gRPC
	client http2.ClientConfig // likewise
	gone   atomic.Bool        // it left its pool: no connection is kept any more
	score  score
	health health
	held   atomic.Int64           // requests that it has, where their number is bounded
	slots  []atomic.Pointer[slot] // by Loop.Index; nil: that loop had no use for it yet
}

// slot is what one loop has of an endpoint. The connections are that loop's alone; the
// counters are read by everybody.
type slot struct {
	top   *Conn      // the connection that began to wait last
	multi *multiplex // of an endpoint that speaks HTTP/2

	waiting  atomic.Int64 // connections below top, top included
	inFlight atomic.Int64
	requests atomic.Int64
	failures atomic.Int64
	_        [16]byte // two loops do not share a cache line
}

func newEndpoint(addr netip.AddrPort, cfg *tls.Config, keep *keeper) *Endpoint {
	return &Endpoint{addr: addr, tls: cfg, keep: keep, slots: make([]atomic.Pointer[slot], len(keep.shelves))}
}

// speakHTTP2 makes a new endpoint one that speaks HTTP/2.
func (e *Endpoint) speakHTTP2() {
	e.multi = true
	e.client = http2.ClientConfig{Idle: e.idle, Rested: rested, Closed: closed, Secure: e.tls != nil}
}

// slot returns what this loop has of the endpoint. Most endpoints of a large cluster
// are not in use on most loops, so it is made when that is first asked for.
func (e *Endpoint) slot(l *loop.Loop) *slot {
	at := &e.slots[l.Index()]
	s := at.Load()
	if s == nil {
		s = &slot{}
		at.Store(s)
	}
	return s
}

// Addr returns the endpoint's address.
func (e *Endpoint) Addr() netip.AddrPort { return e.addr }

// Gone reports whether the endpoint left its pool.
func (e *Endpoint) Gone() bool { return e.gone.Load() }

// Conn returns a connection for one request: the youngest that waits on this loop, or a
// new one. It must be given back by Put or Discard. Errors are *exchange.Error.
func (e *Endpoint) Conn(l *loop.Loop, fwd *exchange.Forward) (*Conn, error) {
	if e.multi {
		return e.stream(l, fwd, false)
	}
	s := e.slot(l)
	for c := s.top; c != nil; c = s.top {
		c.unlink()
		if !c.fit(l.Now()) {
			c.Close()
			continue
		}
		c.stream.OnReadable(nil, nil)
		c.stream.SetReadDeadline(time.Time{})
		c.Reused = true
		c.begin(s)
		return c, nil
	}
	return e.Dial(l, fwd)
}

// Dial is Conn without the connections that wait: for another try after one of them
// turned out to be dead.
func (e *Endpoint) Dial(l *loop.Loop, fwd *exchange.Forward) (*Conn, error) {
	if e.multi {
		return e.stream(l, fwd, true)
	}
	return e.DialAlone(l, fwd)
}

// DialAlone is Dial for a request that HTTP/2 cannot carry: the connection speaks HTTP/1.1
// also to an endpoint that speaks both. It waits for no other request then.
func (e *Endpoint) DialAlone(l *loop.Loop, fwd *exchange.Forward) (*Conn, error) {
	s := e.slot(l)
	stream, err := e.connect(l, s, fwd)
	if err != nil {
		return nil, err
	}
	c := &Conn{Wire: http1.NewClient(stream), stream: stream, loop: l, endpoint: e, born: l.Now()}
	c.begin(s)
	return c, nil
}

// connect opens a connection. Errors are *exchange.Error.
func (e *Endpoint) connect(l *loop.Loop, s *slot, fwd *exchange.Forward) (loop.Stream, error) {
	s.inFlight.Add(1)
	stream, err := e.open(l, fwd.ConnectTimeout)
	s.inFlight.Add(-1)
	if err == nil {
		return stream, nil
	}
	s.failures.Add(1)
	kind := exchange.ConnectFailed
	if errors.Is(err, loop.ErrTimeout) {
		kind = exchange.ConnectTimeout
	}
	return nil, &exchange.Error{Kind: kind, Err: err}
}

// open connects, with TLS where the endpoint has it, all within the timeout.
func (e *Endpoint) open(l *loop.Loop, timeout time.Duration) (loop.Stream, error) {
	deadline := l.Now().Add(timeout)
	nc, err := l.Dial(e.addr, timeout)
	if err != nil {
		return nil, err
	}
	if e.tls == nil {
		return nc, nil
	}
	nc.SetReadDeadline(deadline)
	nc.SetWriteDeadline(deadline)
	tc, err := secure(nc, e.tls, e.multi)
	if err != nil {
		nc.Close()
		return nil, err
	}
	nc.SetReadDeadline(time.Time{})
	nc.SetWriteDeadline(time.Time{})
	return tc, nil
}

// Fail counts a failure that the user of a connection saw.
func (e *Endpoint) Fail(l *loop.Loop) { e.slot(l).failures.Add(1) }

// retire closes the connections that wait, and lets none wait any more.
func (e *Endpoint) retire(loops []*loop.Loop) {
	e.gone.Store(true)
	for _, l := range loops {
		if s := e.slots[l.Index()].Load(); s != nil && (e.multi || s.waiting.Load() > 0) {
			l.Post(s.closeAll)
		}
	}
}

// closeAll closes the connections that wait. It runs on their loop.
func (s *slot) closeAll() {
	for c := s.top; c != nil; c = s.top {
		c.unlink()
		c.Close()
	}
	if s.multi != nil {
		s.multi.closeAll()
	}
}

// status sums the counters of all loops.
func (e *Endpoint) status() EndpointStatus {
	st := EndpointStatus{Addr: e.addr}
	for i := range e.slots {
		s := e.slots[i].Load()
		if s == nil {
			continue
		}
		st.InFlight += s.inFlight.Load()
		st.Idle += s.waiting.Load()
		st.Requests += s.requests.Load()
		st.Failures += s.failures.Load()
	}
	return st
}
