package control

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy"
)

// metric is one row of docs/metrics.md. Names that ingress-nginx has are its own, so
// that dashboards go on working.
type metric struct {
	name, kind, labels, doc string
	desc                    *prometheus.Desc
}

const routeLabels = "controller namespace ingress service host path"

var (
	mRequests  = newMetric("nginx_ingress_controller_requests", "counter", routeLabels+" status method", "Requests that a route took, by the status answered.")
	mDuration  = newMetric("nginx_ingress_controller_request_duration_seconds", "histogram", routeLabels, "Time from the request head to the end of the answer.")
	mConnect   = newMetric("nginx_ingress_controller_connect_duration_seconds", "histogram", routeLabels, "Time to connect to an endpoint; reused connections do not count.")
	mHeader    = newMetric("nginx_ingress_controller_header_duration_seconds", "histogram", routeLabels, "Time until the endpoint's response head.")
	mResponse  = newMetric("nginx_ingress_controller_response_duration_seconds", "histogram", routeLabels, "Time until the endpoint's response was complete.")
	mReceived  = newMetric("pierhead_request_bytes_total", "counter", routeLabels, "Bytes of requests, heads included.")
	mSent      = newMetric("pierhead_response_bytes_total", "counter", routeLabels, "Bytes of answers, heads included.")
	mRetries   = newMetric("pierhead_retries_total", "counter", routeLabels, "Tries after the first.")
	mErrors    = newMetric("pierhead_errors_total", "counter", "controller kind", "Requests that failed, by the kinds of errors.md.")
	mInFlight  = newMetric("pierhead_requests_in_flight", "gauge", "controller", "Requests being served.")
	mDropped   = newMetric("pierhead_access_log_dropped_total", "counter", "controller", "Access log lines dropped since the log could not be written fast enough.")
	mConns     = newMetric("pierhead_connections", "gauge", "", "Client connections of all controllers.")
	mAccepted  = newMetric("pierhead_connections_accepted_total", "counter", "", "Client connections accepted.")
	mProxyBad  = newMetric("pierhead_proxy_protocol_refused_total", "counter", "", "Connections closed for a missing or wrong PROXY header.")
	mHandshake = newMetric("pierhead_tls_handshakes_failed_total", "counter", "", "TLS handshakes that failed.")
	mBalanced  = newMetric("pierhead_load_balancer_connections", "gauge", "port", "Connections through a load balancer's port.")
	mBalancedN = newMetric("pierhead_load_balancer_connections_total", "counter", "port", "Connections accepted by a load balancer's port.")
	mEnded     = newMetric("pierhead_load_balancer_closed_total", "counter", "port reason", "Connections of a load balancer's port that ended, by reason.")
	mTarget    = newMetric("pierhead_load_balancer_target_up", "gauge", "target", "Whether a target of a load balancer is up.")
	mAnswers   = newMetric("pierhead_dns_answers_total", "counter", "rcode", "DNS answers, by code.")
	mGen       = newMetric("pierhead_generation", "gauge", "", "Changes applied since the start.")
	mProblems  = newMetric("pierhead_problems", "gauge", "severity", "Problems of the objects served now.")
	mRoutines  = newMetric("pierhead_loop_coroutines", "gauge", "", "Coroutines that run or wait on the event loops.")
	mSlow      = newMetric("pierhead_loop_slow_turns_total", "counter", "", "Turns of an event loop longer than 5 ms: everybody else on it waited.")
	mTurns     = newMetric("pierhead_loop_turns_total", "counter", "", "Turns of the event loops.")
)

// metricTable lists all metrics in the order of the manual.
var metricTable []*metric

func newMetric(name, kind, labels, doc string) *metric {
	m := &metric{name: name, kind: kind, labels: labels, doc: doc}
	m.desc = prometheus.NewDesc(name, doc, strings.Fields(labels), nil)
	metricTable = append(metricTable, m)
	return m
}

// metrics returns what answers /metrics.
func (c *Control) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{c})
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// collector reads the counters of everything that runs when it is asked.
type collector struct{ c *Control }

func (*collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range metricTable {
		ch <- m.desc
	}
}

func (k *collector) Collect(ch chan<- prometheus.Metric) {
	send := func(m *metric, v float64, labels ...string) {
		kind := prometheus.GaugeValue
		if m.kind == "counter" {
			kind = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(m.desc, kind, v, labels...)
	}
	r := k.c.runs
	for name, s := range k.c.serving() {
		collectServer(ch, send, name, s.Metrics())
	}
	n := r.listeners.Counts()
	send(mConns, float64(n.Active))
	send(mAccepted, float64(n.Accepted))
	send(mProxyBad, float64(n.ProxyRefused))
	send(mHandshake, float64(n.HandshakesFailed))
	b := r.balancers.Stats()
	for _, p := range b.Ports {
		send(mBalanced, float64(p.Open), p.Key)
		send(mBalancedN, float64(p.Accepted), p.Key)
		for reason, n := range p.Closed {
			send(mEnded, float64(n), p.Key, reason)
		}
	}
	for _, t := range b.Targets {
		up := 0.0
		if t.Up {
			up = 1
		}
		send(mTarget, up, t.Address.String())
	}
	k.collectStreams(send)
	if r.dns != nil {
		for code, n := range r.dns.Answers() {
			send(mAnswers, float64(n), code)
		}
	}
	k.collectState(send)
	l := r.engine.Stats()
	send(mRoutines, float64(l.Coroutines))
	send(mSlow, float64(l.SlowTurns))
	send(mTurns, float64(l.Turns))
}

func (k *collector) collectState(send func(*metric, float64, ...string)) {
	stands := k.c.stands.Load()
	send(mGen, float64(stands.generation))
	problems := map[model.Severity]int{}
	for _, p := range stands.problems {
		problems[p.Severity]++
	}
	for s := model.Info; s <= model.Error; s++ {
		send(mProblems, float64(problems[s]), s.String())
	}
}

func collectServer(ch chan<- prometheus.Metric, send func(*metric, float64, ...string), name string, m *proxy.Metrics) {
	send(mInFlight, float64(m.InFlight), name)
	send(mDropped, float64(m.LogsDropped), name)
	for kind, n := range m.Errors {
		send(mErrors, float64(n), name, kind)
	}
	for i := range m.Routes {
		r := &m.Routes[i]
		labels := []string{name, r.Namespace, r.Ingress, r.Service, r.Host, r.Path}
		for _, s := range r.Requests {
			send(mRequests, float64(s.N), append(labels[:6:6], strconv.Itoa(s.Status), s.Method)...)
		}
		send(mReceived, float64(r.BytesReceived), labels...)
		send(mSent, float64(r.BytesSent), labels...)
		send(mRetries, float64(r.Retries), labels...)
		for _, h := range []struct {
			m *metric
			h *proxy.Histogram
		}{{mDuration, &r.Duration}, {mConnect, &r.Connect}, {mHeader, &r.Header}, {mResponse, &r.Response}} {
			ch <- prometheus.MustNewConstHistogram(h.m.desc, h.h.Count, h.h.Sum, cumulative(h.h), labels...)
		}
	}
}

// cumulative gives a histogram the form of the exposition: each bucket counts those
// before it too.
func cumulative(h *proxy.Histogram) map[float64]uint64 {
	m := make(map[float64]uint64, len(proxy.DurationBounds))
	sum := uint64(0)
	for i, bound := range proxy.DurationBounds {
		sum += h.Buckets[i]
		m[bound] = sum
	}
	return m
}
