package proxy

import (
	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/routing"
	"github.com/pierhead/pierhead/internal/upstream"
)

// trip is one exchange with all that the proxy needs to carry it through. Trips are
// pooled per loop; a coroutine owns one from begin to end.
type trip struct {
	x    exchange.Exchange
	out  message.Request
	resp message.Response
	w    message.Writer

	slot  *slot
	table *routing.Table
	route *routing.Route

	held     heldBody // the request body, when it is read before an endpoint is asked
	streamed bool     // bytes of the body went on as they came: there is no second try
	sent     bool     // bytes of the request reached the endpoint of this try
	headSent bool     // the final head went to the client: nothing can be answered any more

	picked  *upstream.Endpoint // of this try
	again   bool               // the pool counts it as a further one
	conn    *upstream.Conn     // in use: its buffer holds the strings of resp
	keep    bool               // it may serve another request
	upload  *upload            // that may still run on it
	watched *upstream.Conn     // to be closed when the client gives up
	gone    bool               // the client gave up
	waits   *loop.Task         // waits for room
	bare    bool               // after a panic: no response step runs any more
	step    exchange.LogStep
	kind    exchange.Kind // what failed

	hostBuf []byte
	pathBuf []byte
}

func newTrip(sl *slot) *trip {
	t := &trip{slot: sl, hostBuf: make([]byte, 0, 256), pathBuf: make([]byte, 0, 1024)}
	t.x.Out, t.x.Resp = &t.out, &t.resp
	return t
}

// begin takes a request in hand.
func (t *trip) begin(c *exchange.Conn, in *message.Request, w message.Writer) {
	t.w, t.table = w, t.slot.server.Live.Load()
	t.x.In, t.x.Conn, t.x.Run = in, c, &t.slot.run
	t.x.Start = t.slot.loop.Now()
	t.slot.meter.begin()
}

// end runs the log steps, counts and logs, and gives back what the exchange holds.
// It reports whether all of that went well.
func (t *trip) end() bool {
	x := &t.x
	t.held.drop()
	x.End = t.slot.loop.Now()
	x.Sent = t.w.Sent()
	t.upload.abandon()
	t.release() // after a panic
	t.logSteps()
	t.slot.meter.end(x, t.kind, t.table)
	whole := t.attempt((*trip).accessLog)
	t.letGo()
	return whole
}

// letGo gives the connection to the endpoint back. The strings of resp are not valid
// afterwards.
func (t *trip) letGo() {
	c := t.conn
	if c == nil {
		return
	}
	t.conn = nil
	c.Release()
	if t.keep {
		c.Put()
	} else {
		c.Discard()
	}
}

// reset forgets the request and keeps the memory.
func (t *trip) reset() {
	x := &t.x
	x.Reset() // and with it out and resp
	x.In = nil
	t.w, t.table, t.route, t.held, t.picked, t.conn, t.upload, t.watched, t.step = nil, nil, nil, heldBody{}, nil, nil, nil, nil, nil
	t.streamed, t.sent, t.headSent, t.keep, t.gone, t.bare, t.kind = false, false, false, false, false, false, exchange.OK
}

// note remembers what failed, for log and metrics, and reports it.
func (t *trip) note(k exchange.Kind, err error) {
	t.kind = k
	if t.slot.server.Report != nil {
		t.slot.server.Report(&t.x, &exchange.Error{Kind: k, Err: err})
	}
}
