package proxy

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/overload"
	"github.com/pierhead/pierhead/internal/routing"
)

// Handle answers one request: from here on, in this file's order, everything that
// happens to it.
func (h *handler) Handle(in *message.Request, w message.Writer) {
	t := h.slot.take()
	t.begin(h.conn, in, w)
	whole := t.attempt((*trip).serve)
	if !whole {
		t.attempt((*trip).apologize)
		t.w.Abort(errPanic)
	}
	if t.end() && whole { // after a panic somebody may still hold it
		h.slot.put(t)
	}
}

// attempt does one part of the exchange's life. A panic, which is a bug of ours, is
// reported and ends that part only: what this exchange holds is given back all the
// same.
func (t *trip) attempt(part func(*trip)) (whole bool) {
	defer func() {
		if v := recover(); v != nil {
			t.note(exchange.Panic, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	part(t)
	return true
}

// serve is the life of a request.
func (t *trip) serve() {
	x := &t.x
	t.clientFacts()
	if !t.normalize() || !t.allowedMethod() {
		return
	}
	t.route = t.table.Match(x)
	if t.route == nil {
		t.fail(exchange.NoRoute, nil)
		return
	}
	if t.route.Pool != nil && t.slot.server.Load.Stage() >= overload.NoRequests {
		t.reply(&overloaded)
		return
	}
	t.forwarded()
	if limit := x.Route.Forward.BodyLimit; limit > 0 && x.In.Length > limit {
		t.fail(exchange.BodyTooLarge, nil)
		return
	}
	for _, step := range t.route.Chain.Request {
		if r := step.Request(x); r != nil {
			t.reply(r)
			return
		}
	}
	switch {
	case t.route.Pool == nil:
		t.fail(exchange.NoRoute, nil)
	case t.route.Pool.Empty():
		t.fail(exchange.NoEndpoint, nil)
	default:
		t.forward()
	}
}

// clientFacts fills in who asks and for which host. Steps of phase PostRead may
// correct it by trusted fields.
func (t *trip) clientFacts() {
	x, c := &t.x, t.x.Conn
	c.Requests++
	x.ClientIP = c.Client.Addr()
	x.Scheme = "http"
	if c.TLS != nil {
		x.Scheme = "https"
	}
	x.Port = c.ServerPort
	x.Host = x.In.Host
}

// normalize computes the one host name and the one path that match, access, log and
// rewrite use.
func (t *trip) normalize() bool {
	x := &t.x
	name, _, err := routing.ParseHost(x.In.Host, t.hostBuf[:0])
	if err != nil {
		t.fail(exchange.BadRequest, err)
		return false
	}
	x.HostName = name
	path, query, err := routing.Normalize(x.In.Target, t.pathBuf[:0])
	if err != nil {
		t.fail(exchange.BadRequest, err)
		return false
	}
	x.Path, x.Query = path, query
	return true
}

// allowedMethod answers the methods that no route can have: nginx's 405.
func (t *trip) allowedMethod() bool {
	if m := t.x.In.Method; m != "TRACE" && m != "CONNECT" {
		return true
	}
	t.reply(&methodNotAllowed)
	return false
}

var methodNotAllowed = exchange.Reply{Status: 405}

// overloaded is the answer to requests that the process has no memory for. What it
// answers by itself, such as its health, is answered all the same.
var overloaded = exchange.Reply{Status: exchange.Overloaded.Status(), Err: exchange.Overloaded, Fields: []exchange.ReplyField{{Name: "Retry-After", Value: "5"}}}

// forwarded makes the request as the upstream will get it, unless steps of phase
// Rewrite change it.
func (t *trip) forwarded() {
	in, out := t.x.In, &t.out
	out.Version, out.Method, out.Scheme = message.HTTP11, in.Method, in.Scheme
	out.Host, out.Target, out.Upgrade = in.Host, in.Target, in.Upgrade
	out.Header.CopyFrom(&in.Header)
	out.Body, out.Length = in.Body, in.Length
}

// apologize answers 500 after a panic, if the client was told nothing yet. The
// response steps do not see the answer: they may be what panicked.
func (t *trip) apologize() {
	t.bare = true
	t.unwatchClient()
	if !t.headSent {
		t.answer(&panicked)
	}
}

var (
	panicked = exchange.Reply{Status: exchange.Panic.Status(), Err: exchange.Panic}
	errPanic = errors.New("the answer was given up after a panic")
)
