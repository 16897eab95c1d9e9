package control

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/pierhead/pierhead/internal/admission"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy"
)

// metric is one row of docs/metrics.md.
type metric struct {
	name, kind, labels, doc string
	desc                    *prometheus.Desc
	together                *prometheus.Desc // without the label host, where requests have it
}

const routeLabels = "controller namespace ingress service host path"

// Our own metrics.
var (
	mAnswers    = newMetric("pierhead_requests_total", "counter", routeLabels+" code", "Requests that a route took, by the class of the status answered. Here host is that of the rule, also where it is a wildcard.")
	mReceived   = newMetric("pierhead_request_bytes_total", "counter", routeLabels, "Bytes of requests, heads included.")
	mSent       = newMetric("pierhead_response_bytes_total", "counter", routeLabels, "Bytes of answers, heads included.")
	mRetries    = newMetric("pierhead_retries_total", "counter", routeLabels, "Tries after the first.")
	mErrors     = newMetric("pierhead_errors_total", "counter", "controller kind", "Requests that failed, by the kinds of errors.md.")
	mInFlight   = newMetric("pierhead_requests_in_flight", "gauge", "controller", "Requests being served.")
	mDropped    = newMetric("pierhead_access_log_dropped_total", "counter", "controller", "Access log lines dropped since the log could not be written fast enough.")
	mConns      = newMetric("pierhead_connections", "gauge", "", "Client connections of all controllers.")
	mIdle       = newMetric("pierhead_connections_idle", "gauge", "", "Of those, the ones that wait for a request and can make room at max-worker-connections; those of HTTP/3 do not count.")
	mAccepted   = newMetric("pierhead_connections_accepted_total", "counter", "", "Client connections accepted.")
	mTurnedAway = newMetric("pierhead_connections_refused_total", "counter", "reason", "Client connections closed at once: for want of memory (memory), or over max-worker-connections where no connection was idle (limit), or over max-connections-per-client (client). Those of memory and limit are not counted as accepted.")
	mMadeRoom   = newMetric("pierhead_connections_idle_closed_total", "counter", "", "Client connections without a request that were closed to make room for others at max-worker-connections.")
	mStage      = newMetric("pierhead_overload_stage", "gauge", "", "What is turned away for want of memory: 0 nothing, 1 connections are not kept, 2 requests are answered 503 (overloaded among the errors), 3 connections are closed.")
	mUsed       = newMetric("pierhead_memory_used_bytes", "gauge", "", "Memory that collecting garbage does not give back, as of the last collection.")
	mLimit      = newMetric("pierhead_memory_limit_bytes", "gauge", "", "What the stages are shares of: GOMEMLIMIT, or nine tenths of the container's limit; 0 where there is none.")
	mProxyBad   = newMetric("pierhead_proxy_protocol_refused_total", "counter", "", "Connections closed for a missing or wrong PROXY header.")
	mHandshake  = newMetric("pierhead_tls_handshakes_failed_total", "counter", "", "TLS handshakes that failed.")
	mBalanced   = newMetric("pierhead_load_balancer_connections", "gauge", "port", "Connections through a load balancer's port.")
	mBalancedN  = newMetric("pierhead_load_balancer_connections_total", "counter", "port", "Connections accepted by a load balancer's port.")
	mEnded      = newMetric("pierhead_load_balancer_closed_total", "counter", "port reason", "Connections of a load balancer's port that ended, by reason.")
	mTarget     = newMetric("pierhead_load_balancer_target_up", "gauge", "target", "Whether a target of a load balancer is up.")
	mDNS        = newMetric("pierhead_dns_answers_total", "counter", "rcode", "DNS answers, by code.")
	mGen        = newMetric("pierhead_generation", "gauge", "", "Changes applied since the start.")
	mProblems   = newMetric("pierhead_problems", "gauge", "severity", "Problems of the objects served now.")
	mRoutines   = newMetric("pierhead_loop_coroutines", "gauge", "", "Coroutines that run or wait on the event loops.")
	mSlow       = newMetric("pierhead_loop_slow_turns_total", "counter", "", "Turns of an event loop longer than 5 ms: everybody else on it waited.")
	mTurns      = newMetric("pierhead_loop_turns_total", "counter", "", "Turns of the event loops.")
)

// metricTable lists all metrics in the order of the manual.
var metricTable []*metric

func newMetric(name, kind, labels, doc string) *metric {
	m := &metric{name: name, kind: kind, labels: labels, doc: doc}
	m.desc = prometheus.NewDesc(name, doc, strings.Fields(labels), nil)
	metricTable = append(metricTable, m)
	return m
}

// Metrics says what /metrics holds.
type Metrics struct {
	Count   proxy.Counting
	Exclude []string // names of ingress-nginx's request metrics that are left out, with or without their prefix

	// Pod is the Pod that this process is the ingress controller of, as namespace/name.
	// Without one, as where files are served, ingress-nginx's metrics of the process and of
	// its configuration are left out.
	Pod      string
	Revision string // of the source that the program was built from
	Lease    string // of the leader; "": there is none
	// Leads tells whether this process leads, and so tells of certificates; nil: it does.
	Leads func() bool
	// Webhook returns what the admission webhook counted; nil: there is none.
	Webhook func() []admission.Sample
}

// metrics returns what answers /metrics.
func (c *Control) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newCollector(c))
	opts := promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce}
	text := promhttp.HandlerFor(reg, opts)
	opts.EnableOpenMetrics = true
	open := promhttp.HandlerFor(openMetrics{reg}, opts)
	return promhttp.InstrumentMetricHandler(reg, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		format := expfmt.NegotiateIncludingOpenMetrics(r.Header).FormatType()
		if format != expfmt.TypeTextPlain { // the others can hold exemplars
			for _, s := range c.serving() {
				s.KeepExemplars()
			}
		}
		if format == expfmt.TypeOpenMetrics {
			open.ServeHTTP(w, r)
			return
		}
		text.ServeHTTP(w, r)
	}))
}

// scrapesAtOnce bounds the scrapes that are answered at a time; more are told to come
// again.
const scrapesAtOnce = 4

// openMetrics gathers for OpenMetrics, where the name of a counter ends in "_total".
// Those of ingress-nginx that do not keep their name, since dashboards ask for it: their
// type is not told instead.
type openMetrics struct{ from prometheus.Gatherer }

func (o openMetrics) Gather() ([]*dto.MetricFamily, error) {
	families, err := o.from.Gather()
	for _, f := range families {
		if f.GetType() != dto.MetricType_COUNTER || strings.HasSuffix(f.GetName(), "_total") {
			continue
		}
		f.Type = dto.MetricType_UNTYPED.Enum()
		for _, m := range f.Metric {
			m.Untyped, m.Counter = &dto.Untyped{Value: m.Counter.Value}, nil
		}
	}
	return families, err
}

// collector reads the counters of everything that runs when it is asked.
type collector struct {
	c       *Control
	process *processReader
	hash    configHash
	exclude map[*metric]bool
}

func newCollector(c *Control) *collector {
	k := &collector{c: c, process: newProcessReader(), exclude: map[*metric]bool{}}
	for _, name := range c.opt.Metrics.Exclude {
		for _, m := range requestMetrics {
			if m.name == name || m.name == nginxPrefix+name {
				k.exclude[m] = true
			}
		}
	}
	return k
}

// Describe tells nothing: what there is depends on what is served.
func (*collector) Describe(chan<- *prometheus.Desc) {}

// sender sends the value of a counter or gauge.
type sender func(m *metric, v float64, labels ...string)

func (k *collector) Collect(ch chan<- prometheus.Metric) {
	send := func(m *metric, v float64, labels ...string) {
		kind := prometheus.GaugeValue
		if m.kind == "counter" {
			kind = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(m.desc, kind, v, labels...)
	}
	served := map[string]*proxy.Metrics{}
	for name, s := range k.c.serving() {
		served[name] = s.Metrics()
		collectServer(send, name, served[name])
	}
	stands := k.c.stands.Load()
	k.collectRequests(ch, stands, served)
	k.collectController(send, stands)
	k.collectProcess(send, stands)
	k.collectEnds(send)
	k.collectHealth(send)
	collectState(send, stands)
	l := k.c.runs.engine.Stats()
	send(mRoutines, float64(l.Coroutines))
	send(mSlow, float64(l.SlowTurns))
	send(mTurns, float64(l.Turns))
}

// collectEnds collects of connections, balancers and DNS.
func (k *collector) collectEnds(send sender) {
	r := k.c.runs
	n := r.listeners.Counts()
	send(mConns, float64(n.Active))
	send(mIdle, float64(n.Idle))
	send(mAccepted, float64(n.Accepted))
	for reason, n := range n.Refused {
		send(mTurnedAway, float64(n), reason)
	}
	send(mMadeRoom, float64(n.MadeRoom))
	collectLoad(send, r.load)
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
		send(mTarget, truth(t.Up), t.Address.String())
	}
	k.collectStreams(send)
	if r.dns != nil {
		for code, n := range r.dns.Answers() {
			send(mDNS, float64(n), code)
		}
	}
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func collectState(send sender, stands *standing) {
	send(mGen, float64(stands.generation))
	problems := map[model.Severity]int{}
	for _, p := range stands.problems {
		problems[p.Severity]++
	}
	for s := model.Info; s <= model.Error; s++ {
		send(mProblems, float64(problems[s]), s.String())
	}
}

func collectServer(send sender, name string, m *proxy.Metrics) {
	send(mInFlight, float64(m.InFlight), name)
	send(mDropped, float64(m.LogsDropped), name)
	for kind, n := range m.Errors {
		send(mErrors, float64(n), name, kind)
	}
	for i := range m.Routes {
		r := &m.Routes[i]
		labels := []string{name, r.Namespace, r.Ingress, r.Service, r.Host, utf8Path(r.Path)}
		for class, n := range r.Answers {
			if n > 0 {
				send(mAnswers, float64(n), append(labels[:6:6], className(class))...)
			}
		}
		send(mReceived, float64(r.BytesReceived), labels...)
		send(mSent, float64(r.BytesSent), labels...)
		send(mRetries, float64(r.Retries), labels...)
	}
}

// className names a class of statuses, as ingress-nginx does.
func className(class int) string {
	if class == 0 {
		return "-"
	}
	return strconv.Itoa(class) + "xx"
}

// utf8Path makes a path a valid value of a label.
func utf8Path(path string) string { return strings.ToValidUTF8(path, "\uFFFD") }
