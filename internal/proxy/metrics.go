package proxy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/pierhead/pierhead/internal/exchange"
)

// Counting says what is counted of each route. The zero value counts by status, method
// and host in the usual buckets.
type Counting struct {
	Off           bool      // nothing
	HostsTogether bool      // not by host
	Undefined     bool      // also requests for hosts that no Ingress names
	Classes       bool      // by the class of the status: 2xx
	Time          []float64 // upper bounds of the buckets of durations, in seconds; nil: the usual ones
	Length        []float64 // of requests and answers, in bytes
	Size          []float64 // of answers, in bytes
	Factor        float64   // growth of the buckets of native histograms; up to 1: there are none
	MostBuckets   int       // of a native histogram; 0: any number
}

// counting is Counting as the meters of a Server use it.
type counting struct {
	Counting
	mostUndefined int         // hosts for each route and loop
	exemplars     atomic.Bool // are kept
}

// What bounds the series of one route, so that neither clients nor upstreams that invent
// statuses can fill the memory.
const (
	maxSeries    = 48  // of one host: different statuses and methods
	maxUndefined = 256 // hosts that no Ingress names
)

func newCounting(c Counting, loops int) *counting {
	if c.Time == nil {
		c.Time = durationBounds
	}
	if c.Length == nil {
		c.Length = lengthBounds
	}
	if c.Size == nil {
		c.Size = sizeBounds
	}
	return &counting{Counting: c, mostUndefined: max(maxUndefined/max(loops, 1), 1)}
}

// Labels name the route that requests were counted for. They come from the
// configuration, never from a request, so that clients cannot make new ones.
type Labels struct {
	Namespace, Ingress, Service, Port, Host, Path string
}

// RouteKey is what tells two routes apart: one that leads to another Service, or belongs
// to another Ingress, is another one.
type RouteKey struct{ ID, Namespace, Ingress, Service string }

// Series is what was counted for one status and method of a host.
type Series struct {
	Host         string
	N            uint64    // requests
	Duration     Histogram // of the exchange, as the client saw it
	Connect      Histogram // of the connection to the endpoint
	Header       Histogram // until the endpoint's response head
	Response     Histogram // until the endpoint's response was complete
	RequestSize  Histogram // head and body
	ResponseSize Histogram // head and body
	BytesSent    Histogram // the same in other buckets

	status uint16 // below 10: a class
	method uint8  // in methods
}

func (c *counting) newSeries(host string, status uint16, method uint8) *Series {
	s := &Series{Host: host, status: status, method: method}
	times := []*Histogram{&s.Duration, &s.Connect, &s.Header, &s.Response}
	buckets := make([]uint64, len(times)*(len(c.Time)+1)+2*(len(c.Length)+1)+len(c.Size)+1)
	give := func(h *Histogram, bounds []float64) {
		n := len(bounds) + 1
		h.Bounds, h.Buckets, buckets = bounds, buckets[:n:n], buckets[n:]
		if c.Factor > 1 {
			h.Native = newNative(c.Factor, c.MostBuckets)
		}
	}
	for _, h := range times {
		give(h, c.Time)
	}
	give(&s.RequestSize, c.Length)
	give(&s.ResponseSize, c.Length)
	give(&s.BytesSent, c.Size)
	return s
}

// Status returns the label: "200", "2xx", or "-" for none.
func (s *Series) Status() string {
	switch {
	case s.status == 0:
		return "-"
	case s.status < 10:
		return strconv.Itoa(int(s.status)) + "xx"
	}
	return strconv.Itoa(int(s.status))
}

// Method returns the label: a method of RFC 9110 or RFC 5789, or "OTHER".
func (s *Series) Method() string { return methods[s.method] }

var methods = [...]string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "OTHER"}

const otherMethod = uint8(len(methods) - 1)

func methodIndex(method string) uint8 {
	for i, m := range methods {
		if m == method {
			return uint8(i)
		}
	}
	return otherMethod
}

// class returns the class of a status from 1 to 5; 0 for what is none.
func class(status int) int {
	if status < 10 {
		return status
	}
	if c := status / 100; c <= 5 {
		return c
	}
	return 0
}

func (s *Series) histograms() [7]*Histogram {
	return [...]*Histogram{&s.Duration, &s.Connect, &s.Header, &s.Response, &s.RequestSize, &s.ResponseSize, &s.BytesSent}
}

func (s *Series) add(o *Series) {
	s.N += o.N
	from := o.histograms()
	for i, h := range s.histograms() {
		h.add(from[i])
	}
}

func (s *Series) clone() *Series {
	c := &Series{Host: s.Host, N: s.N, status: s.status, method: s.method}
	from := s.histograms()
	for i, h := range c.histograms() {
		*h = from[i].clone()
	}
	return c
}

// RouteMetrics is what was counted for one route since the process started.
type RouteMetrics struct {
	ID string // of the route; one that no route of the configuration has for what the controller answers itself
	Labels
	Answers       [6]uint64 // by class of the status; 0: none
	BytesReceived uint64    // heads and bodies from clients
	BytesSent     uint64    // heads and bodies to clients
	Retries       uint64    // tries after the first
	Series        []*Series // by host, status, method
}

// Metrics is everything counted by a Server.
type Metrics struct {
	InFlight    int64
	Requests    uint64
	LogsDropped uint64
	Errors      map[string]uint64 // by exchange.Kind; every kind is there
	Routes      []RouteMetrics    // by ID
}

// sum is what the meters of all loops counted.
type sum struct {
	Metrics
	routes map[RouteKey]*RouteMetrics
}

// add adds the counters of one loop. Its lock is held for one route at a time.
func (t *sum) add(m *meter) {
	m.mu.Lock()
	t.InFlight += m.inFlight
	t.Requests += m.requests
	for _, k := range exchange.Kinds() {
		t.Errors[k.String()] += m.errors[k]
	}
	routes := make([]*routeMeter, 0, len(m.routes))
	for _, r := range m.routes {
		routes = append(routes, r)
	}
	m.mu.Unlock()
	for _, r := range routes {
		to := t.routes[r.key]
		if to == nil {
			to = &RouteMetrics{ID: r.key.ID, Labels: r.Labels}
			t.routes[r.key] = to
		}
		m.mu.Lock()
		to.add(r)
		m.mu.Unlock()
	}
}

func (r *RouteMetrics) add(o *routeMeter) {
	for i, n := range o.answers {
		r.Answers[i] += n
	}
	r.BytesReceived += o.received
	r.BytesSent += o.sent
	r.Retries += o.retries
	r.addSeries(o.own.series)
	for _, h := range o.others {
		r.addSeries(h.series)
	}
}

func (r *RouteMetrics) addSeries(list []*Series) {
	for _, s := range list {
		i, found := slices.BinarySearchFunc(r.Series, s, compareSeries)
		if found {
			r.Series[i].add(s)
		} else {
			r.Series = slices.Insert(r.Series, i, s.clone())
		}
	}
}

func compareSeries(a, b *Series) int {
	return cmp.Or(strings.Compare(a.Host, b.Host), cmp.Compare(a.status, b.status), cmp.Compare(a.method, b.method))
}

// sorted returns the sum.
func (t *sum) sorted() *Metrics {
	for _, r := range t.routes {
		t.Routes = append(t.Routes, *r)
	}
	slices.SortFunc(t.Routes, func(a, b RouteMetrics) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Ingress, b.Ingress), strings.Compare(a.Service, b.Service))
	})
	return &t.Metrics
}
