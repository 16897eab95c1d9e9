package upstream

import (
	"slices"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/wire/http2"
)

// multiplex is what one loop has of an endpoint that speaks HTTP/2: connections that
// carry many requests each.
type multiplex struct {
	e       *Endpoint
	conns   []*shared
	free    []*Conn      // for the next requests
	dialing bool         // who asks meanwhile waits for the connection
	dials   int          // how many have ended
	err     error        // how the last one ended
	callers []*loop.Task // that wait for it
}

// shared is one connection that carries many requests.
type shared struct {
	*http2.ClientConn
	m        *multiplex
	slot     *slot
	born     time.Time
	requests int
	waits    bool // it carries no request, and is counted as waiting
}

// stream returns a place for one request: on the connection with the fewest of them, or
// with fresh, or when all are full, on a new one.
func (e *Endpoint) stream(l *loop.Loop, fwd *exchange.Forward, fresh bool) (*Conn, error) {
	s := e.slot(l)
	if s.multi == nil {
		s.multi = &multiplex{e: e}
	}
	m := s.multi
	for !fresh {
		if sh := m.leastLoaded(l.Now()); sh != nil {
			return sh.begin(), nil
		}
		if !m.dialing {
			break
		}
		seen := m.dials
		m.callers = append(m.callers, l.Task())
		if err := l.Park(); err != nil {
			return nil, &exchange.Error{Kind: exchange.ConnectFailed, Err: err}
		}
		if m.dials != seen && m.err != nil {
			return nil, m.err
		}
	}
	return m.dial(l, s, fwd)
}

// dial opens a connection for a request, and for those that wait for one.
func (m *multiplex) dial(l *loop.Loop, s *slot, fwd *exchange.Forward) (*Conn, error) {
	first := !m.dialing
	m.dialing = true
	stream, err := m.e.connect(l, s, fwd)
	if m.dials++; first {
		m.dialing = false
	}
	m.err = err
	var c *Conn
	if err == nil {
		sh := &shared{m: m, slot: s, born: l.Now()}
		sh.ClientConn = http2.NewClient(stream, &m.e.client, sh)
		m.conns = append(m.conns, sh)
		c = sh.begin()
	}
	for _, t := range m.callers {
		t.Wake()
	}
	m.callers = m.callers[:0]
	return c, err
}

// leastLoaded returns the connection with the fewest requests, or nil.
func (m *multiplex) leastLoaded(now time.Time) *shared {
	life := m.e.keep.settings.Load().Life
	var best *shared
	for _, sh := range m.conns {
		if life > 0 && now.Sub(sh.born) >= life && !sh.Over() {
			sh.Leave()
			continue
		}
		if sh.Free() && (best == nil || sh.Streams() < best.Streams()) {
			best = sh
		}
	}
	return best
}

// begin starts a request on the connection.
func (sh *shared) begin() *Conn {
	m := sh.m
	var c *Conn
	if n := len(m.free); n > 0 {
		c = m.free[n-1]
		m.free = m.free[:n-1]
	} else {
		c = &Conn{}
	}
	st := sh.NewStream()
	*c = Conn{Wire: st, Reused: sh.requests > 0, stream: st, loop: st.Loop(), endpoint: m.e, born: sh.born, shared: sh}
	sh.wait(false)
	sh.requests++
	c.begin(sh.slot)
	c.requests = sh.requests
	return c
}

// leave ends the request of c. The connection goes on.
func (c *Conn) leave() {
	sh, st := c.shared, c.Wire.(*http2.ClientStream)
	sh.slot.inFlight.Add(-1)
	k := c.endpoint.keep.settings.Load()
	if k.Requests > 0 && sh.requests >= k.Requests {
		sh.Leave()
	}
	c.state = ended
	st.Free()
	m := sh.m
	*c = Conn{state: ended}
	if len(m.free) < maxFreeConns {
		m.free = append(m.free, c)
	}
}

// maxFreeConns bounds what an endpoint keeps for requests to come.
const maxFreeConns = 128

// rested is called when a connection carries no request any more.
func rested(arg any) {
	sh := arg.(*shared)
	sh.wait(true)
	if sh.m.e.gone.Load() || sh.m.e.keep.settings.Load().Max <= 0 {
		sh.Leave()
	}
}

// wait counts the connection among those that wait, or not any more.
func (sh *shared) wait(waits bool) {
	if sh.waits == waits {
		return
	}
	sh.waits = waits
	if waits {
		sh.slot.waiting.Add(1)
	} else {
		sh.slot.waiting.Add(-1)
	}
}

// closed takes a connection off the list.
func closed(arg any) {
	sh := arg.(*shared)
	sh.wait(false)
	sh.m.conns = slices.DeleteFunc(sh.m.conns, func(o *shared) bool { return o == sh })
}

// closeAll ends all connections when their requests have ended.
func (m *multiplex) closeAll() {
	for _, sh := range m.conns {
		sh.Leave()
	}
}

// idle is how long a connection may wait for the next request.
func (e *Endpoint) idle() time.Duration { return e.keep.settings.Load().Idle }
