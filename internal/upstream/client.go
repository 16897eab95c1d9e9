package upstream

import (
	"errors"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http1"
)

// Client asks servers that are named by URL, such as the one of external
// authentication. Its connections are kept per loop and server.
type Client struct {
	keep     *keeper
	resolver resolver
	origins  []map[originKey]*origin // by Loop.Index
}

// ClientKeepAlive bounds the connections that a Client keeps.
var ClientKeepAlive = KeepAlive{Idle: 30 * time.Second, Life: time.Hour, Max: 64, Requests: 1000}

// NewClient returns a client for code that runs on these loops, which are all loops of
// their engine.
func NewClient(loops []*loop.Loop) *Client {
	c := &Client{keep: newKeeper(len(loops), ClientKeepAlive), resolver: systemResolver}
	for range loops {
		c.origins = append(c.origins, map[originKey]*origin{})
	}
	return c
}

// Do sends the head of req, which has no body, and reads the head of the answer into
// resp. The caller reads what it wants of the body and then calls done, which it must
// not forget: the strings of resp are valid until then. Errors are *exchange.Error.
func (c *Client) Do(l *loop.Loop, url *exchange.URL, req *message.Request, resp *message.Response, fwd *exchange.Forward) (done func(), err error) {
	o := c.origin(l, url)
	conn, err := o.conn(c, l, fwd, false)
	for err == nil {
		if err = conn.ask(req, resp, fwd); err == nil {
			return conn.receive(resp.Body), nil
		}
		stale := conn.Reused && errors.Is(err, errStale)
		conn.endpoint.Fail(l)
		conn.Discard()
		if !stale {
			break
		}
		conn, err = o.conn(c, l, fwd, true)
	}
	return nil, asFailure(err)
}

// errStale marks a connection that ended before the first byte of an answer.
var errStale = errors.New("connection was closed by the server")

// ask sends a head and reads the final head of the answer.
func (c *Conn) ask(req *message.Request, resp *message.Response, fwd *exchange.Forward) error {
	if h1, ok := c.Wire.(*http1.ClientConn); ok {
		h1.SendTimeout, h1.ReadTimeout = fwd.SendTimeout, fwd.ReadTimeout
	}
	err := c.WriteHead(req)
	if err == nil {
		if err = c.Finish(nil); err != nil && !errors.Is(err, loop.ErrTimeout) {
			err = errors.Join(errStale, err)
		}
	}
	for err == nil {
		if err = c.ReadHead(resp, req.Method, fwd.HeadLimit); err == nil && resp.Status >= 200 {
			return nil
		}
	}
	if errors.Is(err, http1.ErrClosed) {
		err = errors.Join(errStale, err)
	}
	return err
}

// asFailure gives an error of a codec or connection its kind.
func asFailure(err error) error {
	var known *exchange.Error
	kind := exchange.UpstreamClosed
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, loop.ErrTimeout):
		kind = exchange.UpstreamTimeout
	case errors.Is(err, http1.ErrHeadTooLarge):
		kind = exchange.UpstreamHeadTooLarge
	case errors.Is(err, http1.ErrInvalid):
		kind = exchange.UpstreamInvalid
	}
	return &exchange.Error{Kind: kind, Err: err}
}

// drainLimit is how much of a body nobody wants is read to keep a connection.
const drainLimit = 64 << 10

// receive remembers the body of an answer and returns what ends it: the same function
// for every request on a connection, so that asking allocates nothing.
func (c *Conn) receive(body message.Body) func() {
	c.unread = body
	if c.done == nil {
		c.done = c.finish
	}
	return c.done
}

// finish reads what is left of a small body and gives the connection back.
func (c *Conn) finish() {
	if body := c.unread; body != nil && !c.Reusable() {
		buf := c.loop.Small()
		for left := drainLimit; left > 0; {
			n, err := body.Read(buf)
			if left -= n; err != nil {
				break
			}
		}
		c.loop.PutSmall(buf)
	}
	c.unread = nil
	c.Put()
}
