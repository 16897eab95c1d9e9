package proxy

import (
	"os"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/overload"
	"github.com/pierhead/pierhead/internal/routing"
	"github.com/pierhead/pierhead/internal/upstream"
)

// Options are what a Server is made of.
type Options struct {
	Live   *routing.Live    // the table requests are matched against
	Client *upstream.Client // asks other servers for steps; nil: steps cannot
	Log    *AccessLog       // nil: no access log
	// Report is told of every failure of an exchange; nil: nobody is. It runs on
	// the event loop and must not block.
	Report  func(x *exchange.Exchange, err *exchange.Error)
	TempDir string // for request bodies that do not fit in memory; "": the system's
	Count   Counting
	Load    *overload.Gauge // how short of memory the process is; nil: never
	Version string          // told in Server: when server-tokens is on
}

// Server answers the requests of one controller.
type Server struct {
	Options
	serverField string
	slots       []*slot // by loop index
	counts      *counting
}

// slot is what one loop owns of a Server: only code of that loop touches it.
type slot struct {
	server *Server
	loop   *loop.Loop
	free   []*trip // pooled
	meter  *meter
	run    runtime
	date   httpDate
	format logFormat
}

// New returns a Server for an engine with these loops.
func New(o Options, loops []*loop.Loop) *Server {
	if o.TempDir == "" {
		o.TempDir = os.TempDir()
	}
	s := &Server{Options: o, serverField: "pierhead", slots: make([]*slot, len(loops)), counts: newCounting(o.Count, len(loops))}
	if o.Version != "" {
		s.serverField += "/" + o.Version
	}
	for i, l := range loops {
		sl := &slot{server: s, loop: l, meter: newMeter(s.counts)}
		sl.run = runtime{loop: l, client: o.Client}
		s.slots[i] = sl
	}
	return s
}

// Handler returns what answers the requests of one connection on its loop.
func (s *Server) Handler(l *loop.Loop, c *exchange.Conn) message.Handler {
	return &handler{slot: s.slots[l.Index()], conn: c}
}

// Metrics sums the counters of all loops. Any goroutine may call it.
func (s *Server) Metrics() *Metrics {
	all := &sum{Metrics: Metrics{Errors: map[string]uint64{}}, routes: map[RouteKey]*RouteMetrics{}}
	for _, sl := range s.slots {
		all.add(sl.meter)
	}
	if s.Log != nil {
		all.LogsDropped = s.Log.Dropped()
	}
	return all.sorted()
}

// Totals returns how many requests have come and how many of them are being served. Any
// goroutine may call it.
func (s *Server) Totals() (requests uint64, inFlight int64) {
	for _, sl := range s.slots {
		sl.meter.mu.Lock()
		requests += sl.meter.requests
		inFlight += sl.meter.inFlight
		sl.meter.mu.Unlock()
	}
	return requests, inFlight
}

// KeepExemplars has the requests that fall into the buckets of durations kept from now
// on. Any goroutine may call it.
func (s *Server) KeepExemplars() {
	if !s.counts.exemplars.Load() {
		s.counts.exemplars.Store(true)
	}
}

// Forget takes note of a new table, and drops the counters of routes that keep does not
// want and of hosts that no rule or alias names, so that metrics of deleted objects go
// away with them. When keep is nil, none of them are looked for. Any goroutine may call
// it.
func (s *Server) Forget(keep func(RouteKey) bool, table *routing.Table) {
	for _, sl := range s.slots {
		sl.meter.forget(keep, table)
	}
}

// handler serves the requests of one connection.
type handler struct {
	slot *slot
	conn *exchange.Conn
}

// maxFreeTrips bounds what a loop keeps of a burst.
const maxFreeTrips = 1024

func (sl *slot) take() *trip {
	if n := len(sl.free); n > 0 {
		t := sl.free[n-1]
		sl.free = sl.free[:n-1]
		return t
	}
	return newTrip(sl)
}

func (sl *slot) put(t *trip) {
	t.reset()
	if len(sl.free) < maxFreeTrips {
		sl.free = append(sl.free, t)
	}
}

// httpDate is the Date field's text, made once a second.
type httpDate struct {
	second int64
	text   string
}

func (d *httpDate) at(now time.Time) string {
	if s := now.Unix(); s != d.second {
		d.second, d.text = s, now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	}
	return d.text
}
