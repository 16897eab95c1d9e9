package proxy

import (
	"cmp"
	"strings"
	"sync"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/routing"
)

// meter counts for one loop. Its loop is the only writer; the lock is for the rare
// reader, who holds it for one route at a time.
type meter struct {
	as *counting

	mu       sync.Mutex
	inFlight int64
	requests uint64
	errors   []uint64 // by exchange.Kind
	routes   map[RouteKey]*routeMeter
	live     map[*exchange.Route]*routeMeter // those of routes, in routes too
}

// routeMeter counts for one route. The meter's lock guards it.
type routeMeter struct {
	key RouteKey
	Labels
	answers   [6]uint64 // by class of the status; 0: none
	received  uint64
	sent      uint64
	retries   uint64
	own       hostMeter             // of the host of the rule, and of those that there is no room for
	others    map[string]*hostMeter // of aliases, and of names that no Ingress has; nil: none
	undefined int                   // of others, those that no Ingress names
}

// hostMeter counts for one host of a route.
type hostMeter struct {
	host   string
	series []*Series
}

func newMeter(as *counting) *meter {
	return &meter{
		as: as, errors: make([]uint64, len(exchange.Kinds())+1),
		routes: map[RouteKey]*routeMeter{}, live: map[*exchange.Route]*routeMeter{},
	}
}

func (m *meter) begin() {
	m.mu.Lock()
	m.inFlight++
	m.requests++
	m.mu.Unlock()
}

// end counts an exchange that is over.
func (m *meter) end(x *exchange.Exchange, kind exchange.Kind, table *routing.Table) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight--
	if kind != exchange.OK {
		m.errors[kind]++
	}
	if m.as.Off {
		return
	}
	r := m.of(x.Route)
	r.answers[class(x.Status)]++
	received, sent := x.In.Size+x.Received, x.Sent
	r.received += uint64(received)
	r.sent += uint64(sent)
	if n := len(x.Upstream.Tries); n > 1 {
		r.retries += uint64(n - 1)
	}
	if s := m.series(r, x, table); s != nil {
		m.count(s, x, float64(received), float64(sent))
	}
}

// count counts an exchange in its series.
func (m *meter) count(s *Series, x *exchange.Exchange, received, sent float64) {
	s.N++
	took := max(x.End.Sub(x.Start), 0).Seconds()
	bucket := s.Duration.observe(took)
	if m.as.exemplars.Load() {
		s.Duration.keepExemplar(bucket, took, x.RequestID, x.End)
	}
	s.RequestSize.observe(received)
	s.ResponseSize.observe(sent)
	s.BytesSent.observe(sent)
	tries := x.Upstream.Tries
	if len(tries) != 1 { // nginx has several times then, which ingress-nginx does not count
		return
	}
	t := &tries[0]
	if t.Err != exchange.ConnectFailed && t.Err != exchange.ConnectTimeout {
		connect := 0.0 // as nginx says of a connection that was kept
		if !t.Reused {
			connect = t.Connect.Seconds()
		}
		s.Connect.observe(connect)
	}
	if t.Status != 0 {
		s.Header.observe(t.Header.Seconds())
		s.Response.observe(t.Total.Seconds())
	}
}

// of returns the counters of a route. They are made when the route is first used
// and stay, since a counter that goes back looks like a restart; Forget drops them.
func (m *meter) of(route *exchange.Route) *routeMeter {
	if r := m.live[route]; r != nil {
		return r
	}
	key := RouteKey{}
	r := &routeMeter{}
	if route != nil {
		key = RouteKey{route.ID, route.Namespace, route.Ingress, route.Service}
		if key.ID == "" { // of the controller itself
			key.ID = "|" + route.Host + "|" + route.Path
		}
		r.Labels = Labels{route.Namespace, route.Ingress, route.Service, route.Port, route.Host, route.Path}
	}
	if have := m.routes[key]; have != nil {
		r = have
	} else {
		r.key, r.own.host = key, cmp.Or(r.Host, catchAllHost)
		m.routes[key] = r
	}
	m.live[route] = r
	return r
}

// series returns where an exchange is counted by status, method and host; nil: nowhere.
func (m *meter) series(r *routeMeter, x *exchange.Exchange, table *routing.Table) *Series {
	status, method := uint16(max(x.Status, 0)), methodIndex(x.In.Method)
	if m.as.Classes {
		status = uint16(class(x.Status))
	}
	h := &r.own
	if !m.as.HostsTogether && (x.HostName == "" || x.HostName != r.Host) {
		if h = m.other(r, x.HostName, table); h == nil {
			return nil
		}
	}
	return m.find(h, status, method)
}

// other returns the counters of a host that is not the one of the rule; nil: it is not
// counted by host.
func (m *meter) other(r *routeMeter, host string, table *routing.Table) *hostMeter {
	if h := r.others[host]; h != nil {
		return h
	}
	if host == "" || table == nil || !table.Named(host) {
		switch {
		case !m.as.Undefined:
			return nil
		case host == "" || r.undefined >= m.as.mostUndefined:
			return &r.own
		}
		r.undefined++
	}
	if r.others == nil {
		r.others = map[string]*hostMeter{}
	}
	h := &hostMeter{host: strings.Clone(host)}
	r.others[h.host] = h
	return h
}

// catchAllHost is what ingress-nginx calls the host of no name.
const catchAllHost = "_"

// find returns the series of a status and method. When there are too many, statuses are
// counted by class, and methods together.
func (m *meter) find(h *hostMeter, status uint16, method uint8) *Series {
	for _, s := range h.series {
		if s.status == status && s.method == method {
			return s
		}
	}
	if len(h.series) >= maxSeries && (status >= 10 || method != otherMethod) {
		return m.find(h, uint16(class(int(status))), otherMethod)
	}
	s := m.as.newSeries(h.host, status, method)
	h.series = append(h.series, s)
	return s
}

// forget drops the counters of routes that keep does not want, and of hosts that no
// Ingress names any more.
func (m *meter) forget(keep func(RouteKey) bool, table *routing.Table) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.live) // routes of tables that are gone
	if keep == nil {
		return
	}
	for key, r := range m.routes {
		if !m.keeps(key, r, keep, table) {
			delete(m.routes, key)
			continue
		}
		for host := range r.others {
			if !m.as.Undefined && !table.Named(host) {
				delete(r.others, host)
			}
		}
	}
}

// keeps tells whether a route is counted further. What the controller answers itself for
// a host goes with the host.
func (m *meter) keeps(key RouteKey, r *routeMeter, keep func(RouteKey) bool, table *routing.Table) bool {
	if key.ID == "" || key.ID[0] == '|' {
		return r.Host == "" || table.Named(r.Host)
	}
	return keep(key)
}
