package proxy

import (
	"slices"
	"sync"

	"github.com/pierhead/pierhead/internal/exchange"
)

// Labels name the route that requests were counted for. They come from the
// configuration, never from a request, so that clients cannot make new ones.
type Labels struct {
	Namespace, Ingress, Service, Port, Host, Path string
}

// StatusCount is a number of answers with one status to one method.
type StatusCount struct {
	Status int    // of the answer; a hundred stands for its class when there were too many different ones
	Method string // one of RFC 9110 and RFC 5789, or "OTHER"
	N      uint64
}

// RouteMetrics is what was counted for one route since the process started.
type RouteMetrics struct {
	ID string // of the route; "" for requests that no route took
	Labels
	Requests      []StatusCount // by status, then method
	BytesReceived uint64        // heads and bodies from clients
	BytesSent     uint64        // heads and bodies to clients
	Duration      Histogram     // of the exchange, as the client saw it
	Connect       Histogram     // of upstream connections that were made
	Header        Histogram     // until the upstream's response head
	Response      Histogram     // until the upstream's response was complete
	Retries       uint64        // tries after the first
}

// Metrics is everything counted by a Server.
type Metrics struct {
	InFlight    int64
	Requests    uint64
	LogsDropped uint64
	Errors      map[string]uint64 // by exchange.Kind; every kind is there
	Routes      []RouteMetrics    // by ID
}

// maxStatuses bounds the different answers of one route: an upstream that invents
// statuses cannot fill the memory.
const maxStatuses = 48

var methods = [...]string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"}

func methodLabel(method string) string {
	for _, m := range methods {
		if m == method {
			return m
		}
	}
	return "OTHER"
}

// meter counts for one loop. Its loop is the only writer; the lock is for the rare
// reader and is never waited for in practice.
type meter struct {
	mu       sync.Mutex
	inFlight int64
	requests uint64
	errors   []uint64 // by exchange.Kind
	routes   map[string]*RouteMetrics
}

func newMeter() *meter {
	return &meter{errors: make([]uint64, len(exchange.Kinds())+1), routes: map[string]*RouteMetrics{}}
}

func (m *meter) begin() {
	m.mu.Lock()
	m.inFlight++
	m.requests++
	m.mu.Unlock()
}

// end counts an exchange that is over.
func (m *meter) end(x *exchange.Exchange, kind exchange.Kind) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight--
	if kind != exchange.OK {
		m.errors[kind]++
	}
	r := m.of(x.Route)
	r.count(x.Status, methodLabel(x.In.Method))
	r.BytesReceived += uint64(x.In.Size + x.Received)
	r.BytesSent += uint64(x.Sent)
	r.Duration.observe(max(x.End.Sub(x.Start), 0))
	for i := range x.Upstream.Tries {
		r.try(&x.Upstream.Tries[i])
	}
	if n := len(x.Upstream.Tries); n > 1 {
		r.Retries += uint64(n - 1)
	}
}

func (r *RouteMetrics) try(t *exchange.Try) {
	if !t.Reused && t.Err != exchange.ConnectFailed && t.Err != exchange.ConnectTimeout {
		r.Connect.observe(t.Connect)
	}
	if t.Status != 0 {
		r.Header.observe(t.Header)
		r.Response.observe(t.Total)
	}
}

// of returns the counters of a route. They are made when the route is first used
// and stay, since a counter that goes back looks like a restart; Forget drops them.
func (m *meter) of(route *exchange.Route) *RouteMetrics {
	id := ""
	if route != nil {
		id = route.ID
	}
	if r := m.routes[id]; r != nil {
		return r
	}
	r := &RouteMetrics{ID: id}
	if route != nil {
		r.Labels = Labels{route.Namespace, route.Ingress, route.Service, route.Port, route.Host, route.Path}
	}
	m.routes[id] = r
	return r
}

func (r *RouteMetrics) count(status int, method string) {
	if status < 100 || status > 599 {
		status = 0
	}
	for i := range r.Requests {
		if c := &r.Requests[i]; c.Status == status && c.Method == method {
			c.N++
			return
		}
	}
	if len(r.Requests) >= maxStatuses && status%100 != 0 {
		r.count(status/100*100, "OTHER")
		return
	}
	r.Requests = append(r.Requests, StatusCount{status, method, 1})
}

// addTo adds the counters of one loop to a sum.
func (m *meter) addTo(sum *Metrics, routes map[string]*RouteMetrics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum.InFlight += m.inFlight
	sum.Requests += m.requests
	for _, k := range exchange.Kinds() {
		sum.Errors[k.String()] += m.errors[k]
	}
	for id, r := range m.routes {
		if have := routes[id]; have != nil {
			have.add(r)
			continue
		}
		c := *r
		c.Requests = slices.Clone(r.Requests)
		routes[id] = &c
	}
}

func (r *RouteMetrics) add(o *RouteMetrics) {
	for _, c := range o.Requests {
		i := slices.IndexFunc(r.Requests, func(h StatusCount) bool { return h.Status == c.Status && h.Method == c.Method })
		if i < 0 {
			r.Requests = append(r.Requests, c)
			continue
		}
		r.Requests[i].N += c.N
	}
	r.BytesReceived += o.BytesReceived
	r.BytesSent += o.BytesSent
	r.Retries += o.Retries
	r.Duration.add(&o.Duration)
	r.Connect.add(&o.Connect)
	r.Header.add(&o.Header)
	r.Response.add(&o.Response)
}

// forget drops the counters of routes that are gone.
func (m *meter) forget(keep func(id string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.routes {
		if id != "" && !keep(id) {
			delete(m.routes, id)
		}
	}
}
