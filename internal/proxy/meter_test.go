package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/routing"
)

// metered is a Server whose meters are asked without any connection.
type metered struct {
	*Server
	table *routing.Table
}

func newMetered(t testing.TB, c Counting, hosts ...model.Host) *metered {
	t.Helper()
	m := &metered{Server: &Server{counts: newCounting(c, 2)}}
	for range 2 {
		m.slots = append(m.slots, &slot{meter: newMeter(m.counts)})
	}
	m.serve(t, hosts...)
	return m
}

// serve makes a table of hosts.
func (m *metered) serve(t testing.TB, hosts ...model.Host) {
	t.Helper()
	c := &model.Controller{}
	for i := range hosts {
		c.Hosts = append(c.Hosts, &hosts[i])
	}
	table, problems := routing.Compile(c, routing.Env{Last: m.table})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	m.table = table
}

// meteredHost is a host with one route.
func meteredHost(name, service string, aliases ...string) model.Host {
	return model.Host{Name: name, Aliases: aliases, Routes: []model.Route{
		{ID: "c|" + name + "|Prefix|/", Path: "/", Namespace: "ns", Ingress: "ing", Service: service, Closed: "there is nothing behind it"},
	}}
}

// exchange is one that is over.
func (m *metered) exchange(host, method string, status int) *exchange.Exchange {
	x := &exchange.Exchange{
		In: &message.Request{Method: method, Size: 15}, HostName: host, Path: "/", Status: status, Received: 10, Sent: 250,
		Start: time.Unix(100, 0), End: time.Unix(100, 20e6), RequestID: "5f1c",
	}
	m.table.Match(x)
	return x
}

func (m *metered) count(slot int, host, method string, status int, tries ...exchange.Try) {
	x := m.exchange(host, method, status)
	x.Upstream.Tries = tries
	m.slots[slot].meter.begin()
	m.slots[slot].meter.end(x, exchange.OK, m.table)
}

// lines are all series, as text.
func (m *metered) lines() (list []string) {
	for _, r := range m.Metrics().Routes {
		for _, s := range r.Series {
			list = append(list, fmt.Sprintf("%s %s %s %s %d", r.Service, s.Host, s.Method(), s.Status(), s.N))
		}
	}
	return list
}

func (m *metered) want(t *testing.T, want ...string) {
	t.Helper()
	if got := m.lines(); !slices.Equal(got, want) {
		t.Errorf("series are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestMeterHosts: which requests are counted under which host.
func TestMeterHosts(t *testing.T) {
	hosts := []model.Host{meteredHost("", "all"), meteredHost("*.w.test", "wild"), meteredHost("h.test", "svc", "alias.test", "*.far.test")}
	ask := func(m *metered) *metered {
		for _, host := range []string{"h.test", "h.test", "alias.test", "a.far.test", "a.w.test", "other.test", ""} {
			m.count(0, host, "GET", 200)
		}
		m.count(1, "h.test", "GET", 200)
		return m
	}
	ask(newMetered(t, Counting{}, hosts...)).want(t, "svc alias.test GET 200 1", "svc h.test GET 200 3")
	ask(newMetered(t, Counting{Undefined: true}, hosts...)).want(t,
		"wild a.w.test GET 200 1", "svc a.far.test GET 200 1", "svc alias.test GET 200 1", "svc h.test GET 200 3", "all _ GET 200 1", "all other.test GET 200 1")
	ask(newMetered(t, Counting{HostsTogether: true}, hosts...)).want(t, "wild *.w.test GET 200 1", "svc h.test GET 200 5", "all _ GET 200 2")
	ask(newMetered(t, Counting{Off: true}, hosts...)).want(t)
	m := ask(newMetered(t, Counting{}, hosts...)).Metrics()
	for _, r := range m.Routes { // what is ours is counted for every host
		if want := map[string]uint64{"svc": 5, "wild": 1, "all": 2}[r.Service]; r.Answers[2] != want || r.BytesSent != want*250 || r.BytesReceived != want*25 {
			t.Errorf("%s: %+v, want %d answers", r.Service, r, want)
		}
	}
}

// TestMeterBounds: neither hosts, methods nor statuses make series without end.
func TestMeterBounds(t *testing.T) {
	m := newMetered(t, Counting{Undefined: true}, meteredHost("*.w.test", "wild"), meteredHost("h.test", "svc"))
	for i := range 3 * maxUndefined {
		m.count(i%2, fmt.Sprintf("h%d.w.test", i), "GET", 200)
		m.count(i%2, "h.test", fmt.Sprintf("M%d", i), 200+i%400)
	}
	hosts, series, n := map[string]bool{}, 0, uint64(0)
	for _, r := range m.Metrics().Routes {
		for _, s := range r.Series {
			n += s.N
			if r.Service == "wild" {
				hosts[s.Host] = true
			} else {
				series++
			}
		}
	}
	if len(hosts) != maxUndefined+1 || !hosts["*.w.test"] {
		t.Errorf("%d hosts have series, want %d and the wildcard", len(hosts), maxUndefined)
	}
	if series > 2*(maxSeries+5) { // of two loops
		t.Errorf("%d series of one host", series)
	}
	if n != 6*maxUndefined {
		t.Errorf("%d requests are counted, want %d", n, 6*maxUndefined)
	}
}

// TestMeterLabels: statuses, classes and methods.
func TestMeterLabels(t *testing.T) {
	m := newMetered(t, Counting{}, meteredHost("h.test", "svc"))
	for _, status := range []int{0, 200, 204, 499, 999} {
		m.count(0, "h.test", "GET", status)
	}
	m.count(0, "h.test", "BREW", 200)
	m.want(t, "svc h.test GET - 1", "svc h.test GET 200 1", "svc h.test OTHER 200 1", "svc h.test GET 204 1", "svc h.test GET 499 1", "svc h.test GET 999 1")
	m = newMetered(t, Counting{Classes: true}, meteredHost("h.test", "svc"))
	for _, status := range []int{200, 204, 499} {
		m.count(0, "h.test", "GET", status)
	}
	m.want(t, "svc h.test GET 2xx 2", "svc h.test GET 4xx 1")
}

// TestMeterForgets: what was counted for a route goes with it, also when another Service
// takes its place, and a request of the table before does not bring it back.
func TestMeterForgets(t *testing.T) {
	m := newMetered(t, Counting{}, meteredHost("h.test", "old", "alias.test"), meteredHost("stays.test", "stays"))
	m.count(0, "h.test", "GET", 200)
	m.count(0, "alias.test", "GET", 200)
	m.count(1, "stays.test", "GET", 200)
	late := m.exchange("stays.test", "GET", 200)
	m.serve(t, meteredHost("h.test", "new"), meteredHost("stays.test", "stays"))
	m.count(0, "h.test", "GET", 200)
	m.Forget(nil, m.table)
	m.want(t, "new h.test GET 200 1", "old alias.test GET 200 1", "old h.test GET 200 1", "stays stays.test GET 200 1")
	m.Forget(func(k RouteKey) bool { return k.Service != "old" }, m.table)
	m.slots[0].meter.end(late, exchange.OK, m.table)
	m.want(t, "new h.test GET 200 1", "stays stays.test GET 200 2")
	m.serve(t, meteredHost("h.test", "new", "alias.test"))
	m.count(0, "alias.test", "GET", 200)
	m.serve(t, meteredHost("h.test", "new"))
	m.Forget(func(k RouteKey) bool { return k.Service == "new" }, m.table)
	m.want(t, "new h.test GET 200 1")
}

// TestMeterTries: what is told of endpoints, by how often one was asked.
func TestMeterTries(t *testing.T) {
	m := newMetered(t, Counting{}, meteredHost("h.test", "svc"))
	ms := time.Millisecond
	m.count(0, "h.test", "GET", 200, exchange.Try{Status: 200, Connect: 2 * ms, Header: 20 * ms, Total: 40 * ms})
	m.count(0, "h.test", "GET", 200, exchange.Try{Status: 200, Reused: true, Connect: ms, Header: 20 * ms, Total: 40 * ms})
	m.count(0, "h.test", "GET", 200, exchange.Try{Err: exchange.ConnectFailed, Connect: ms})
	m.count(0, "h.test", "GET", 200, exchange.Try{Err: exchange.ConnectFailed}, exchange.Try{Status: 200, Connect: ms})
	r := m.Metrics().Routes[0]
	s := r.Series[0]
	if r.Retries != 1 || s.N != 4 || s.Connect.Count != 2 || s.Connect.Sum != 0.002 || s.Header.Count != 2 || s.Header.Sum != 0.04 || s.Response.Sum != 0.08 {
		t.Errorf("%d retries; series %+v", r.Retries, s)
	}
	if want := []uint64{0, 0, 4}; s.Duration.Buckets[0] != want[0] || s.Duration.Buckets[2] != want[2] || s.BytesSent.Buckets[2] != 4 {
		t.Errorf("buckets are %v and %v", s.Duration.Buckets, s.BytesSent.Buckets)
	}
}

// TestExemplars: kept when somebody can read them, with IDs that are no text of a
// client's fancy, the last of all loops.
func TestExemplars(t *testing.T) {
	m := newMetered(t, Counting{}, meteredHost("h.test", "svc"))
	end := func(slot int, id string, at int64) {
		x := m.exchange("h.test", "GET", 200)
		x.RequestID, x.End = id, x.Start.Add(time.Duration(at)*time.Millisecond)
		m.slots[slot].meter.end(x, exchange.OK, m.table)
	}
	last := func() string {
		e := m.Metrics().Routes[0].Series[0].Duration.Exemplars
		if e == nil {
			return "none"
		}
		return fmt.Sprint(e[2].RequestID(), " ", e[2].Value, " ", e[2].At)
	}
	end(0, "early", 20)
	if got := last(); got != "none" {
		t.Errorf("the exemplar is %s though nobody reads any", got)
	}
	m.KeepExemplars()
	end(0, "a", 20)
	end(1, "b", 22)
	end(0, "c", 21)
	for _, bad := range []string{"", "with space", `"`, "\xff", strings.Repeat("x", 40)} {
		end(1, bad, 24)
	}
	if got := last(); got != "b 0.022 100022000000" {
		t.Errorf("the exemplar is %q", got)
	}
}

// TestMeterAllocatesNothing once it is warm.
func TestMeterAllocatesNothing(t *testing.T) {
	for name, c := range map[string]Counting{"usual": {}, "native": {Factor: 1.1, MostBuckets: 100}, "undefined": {Undefined: true}} {
		m := newMetered(t, c, meteredHost("h.test", "svc", "alias.test"), meteredHost("*.w.test", "wild"))
		m.KeepExemplars()
		for _, host := range []string{"h.test", "alias.test", "a.w.test"} {
			x := m.exchange(host, "GET", 200)
			x.Upstream.Tries = []exchange.Try{{Status: 200, Connect: 1e6, Header: 2e6, Total: 3e6}}
			meter := m.slots[0].meter
			if n := testing.AllocsPerRun(100, func() { meter.begin(); meter.end(x, exchange.OK, m.table) }); n != 0 {
				t.Errorf("%s, %s: a request makes %v allocations", name, host, n)
			}
		}
	}
}

func BenchmarkMeter(b *testing.B) {
	for _, c := range []struct {
		name string
		c    Counting
	}{{"off", Counting{Off: true}}, {"usual", Counting{}}, {"exemplars", Counting{}}, {"native", Counting{Factor: 1.1, MostBuckets: 100}}} {
		b.Run(c.name, func(b *testing.B) {
			m := newMetered(b, c.c, meteredHost("h.test", "svc"))
			if c.name == "exemplars" {
				m.KeepExemplars()
			}
			x := m.exchange("h.test", "GET", 200)
			x.Upstream.Tries = []exchange.Try{{Status: 200, Connect: 1e6, Header: 2e6, Total: 3e6}}
			meter := m.slots[0].meter
			b.ReportAllocs()
			for b.Loop() {
				meter.begin()
				meter.end(x, exchange.OK, m.table)
			}
		})
	}
}
