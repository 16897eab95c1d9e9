package upstream

import (
	"sync/atomic"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// Wire is a connection, or a place on one, that carries one request at a time:
// http1.ClientConn and http2.ClientStream say what the methods do.
type Wire interface {
	Stream() loop.Stream
	WriteHead(*message.Request) error
	Write([]byte) (int, error)
	Flush() error
	Finish(trailer *message.Header) error
	ReadHead(r *message.Response, method string, maxHead int) error
	Reusable() bool
	Buffered() int
	Raw() int64
	TookRaw(int64)
	Tunnel() (loop.Stream, error)
	Release()
	Close() error
}

// Conn is a connection to an endpoint, in use by one request or waiting for the next.
type Conn struct {
	Wire
	Reused bool // it carried a request before this one

	stream   loop.Stream
	loop     *loop.Loop
	endpoint *Endpoint
	born     time.Time
	requests int // this one included
	state    connState

	below        *Conn // in the endpoint's stack
	above        *Conn
	older, newer *Conn // on the loop's shelf

	shared *shared // the connection that carries others too, nil: it is this one's alone

	unread message.Body // of a Client's answer
	done   func()       // ends it
}

type connState uint8

const (
	inUse connState = iota
	waiting
	ended
)

// Endpoint returns where the connection leads.
func (c *Conn) Endpoint() *Endpoint { return c.endpoint }

// begin starts a request.
func (c *Conn) begin(s *slot) {
	c.state = inUse
	c.requests++
	s.inFlight.Add(1)
	s.requests.Add(1)
}

// fit reports whether a connection that waited can be used again.
func (c *Conn) fit(now time.Time) bool {
	life := c.endpoint.keep.settings.Load().Life
	return (life == 0 || now.Sub(c.born) < life) && c.stream.Quiet()
}

// Put ends the request and lets the connection wait for the next one, when both
// messages are complete and the limits allow it; else it is closed. The strings of the
// response head are not valid afterwards.
func (c *Conn) Put() {
	if c.state != inUse {
		return
	}
	if c.shared != nil {
		c.leave()
		return
	}
	keep := c.endpoint.keep
	k := keep.settings.Load()
	if !c.Reusable() || c.endpoint.multi || c.endpoint.gone.Load() || k.Max <= 0 ||
		k.Requests > 0 && c.requests >= k.Requests || k.Life > 0 && c.loop.Now().Sub(c.born) >= k.Life {
		c.Discard()
		return
	}
	c.endpoint.slot(c.loop).inFlight.Add(-1)
	c.Release()
	c.stream.SetWriteDeadline(time.Time{})
	shelf := &keep.shelves[c.loop.Index()]
	wait, most := k.Idle, k.Max
	if k.Surplus > 0 {
		if most *= surplusFactor; shelf.n >= k.Max {
			wait = k.Surplus
		}
	}
	c.stream.SetReadDeadline(time.Time{})
	if wait > 0 {
		c.stream.SetReadDeadline(c.loop.Now().Add(wait))
	}
	c.link()
	c.stream.OnReadable(dropConn, c)
	if c.endpoint.gone.Load() { // retire may have looked before link
		c.drop()
	}
	for shelf.n > most {
		shelf.oldest.drop()
	}
}

// surplusFactor bounds how many wait where those beyond Max may wait for a moment, as
// when the requests of one turn of a loop end together and the next begin in the next.
const surplusFactor = 8

// Discard ends the request and closes the connection. The strings of the response head
// are not valid afterwards.
func (c *Conn) Discard() {
	if c.state != inUse {
		return
	}
	if c.shared != nil {
		c.leave()
		return
	}
	c.state = ended
	c.endpoint.slot(c.loop).inFlight.Add(-1)
	c.Close()
}

// dropConn runs when a connection that waits was closed by its server, or brings bytes
// nobody asked for, or has waited long enough.
func dropConn(arg any) { arg.(*Conn).drop() }

// drop closes a connection that waits.
func (c *Conn) drop() {
	if c.state == waiting {
		c.unlink()
		c.Close()
	}
}

// keeper holds the connections that wait, for all endpoints that share its bounds.
type keeper struct {
	settings atomic.Pointer[KeepAlive]
	shelves  []shelf // by Loop.Index
}

// shelf is the connections that wait on one loop, in the order in which they began to.
type shelf struct {
	oldest, newest *Conn
	n              int
	_              [40]byte // two loops do not share a cache line
}

func newKeeper(loops int, k KeepAlive) *keeper {
	kp := &keeper{shelves: make([]shelf, loops)}
	kp.settings.Store(&k)
	return kp
}

// link puts c on top of its endpoint's stack and at the young end of the shelf.
func (c *Conn) link() {
	i := c.loop.Index()
	c.state = waiting
	s := c.endpoint.slot(c.loop)
	if c.below = s.top; c.below != nil {
		c.below.above = c
	}
	s.top = c
	s.waiting.Add(1)

	sh := &c.endpoint.keep.shelves[i]
	if c.older = sh.newest; c.older != nil {
		c.older.newer = c
	} else {
		sh.oldest = c
	}
	sh.newest = c
	sh.n++
}

// unlink takes c out of both lists.
func (c *Conn) unlink() {
	i := c.loop.Index()
	c.state = ended // until begin
	s := c.endpoint.slot(c.loop)
	if c.above != nil {
		c.above.below = c.below
	} else {
		s.top = c.below
	}
	if c.below != nil {
		c.below.above = c.above
	}
	s.waiting.Add(-1)

	sh := &c.endpoint.keep.shelves[i]
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		sh.newest = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		sh.oldest = c.newer
	}
	sh.n--
	c.above, c.below, c.older, c.newer = nil, nil, nil, nil
}
