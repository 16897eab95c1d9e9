package control

import (
	"math"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy"
)

// Names, types and labels that ingress-nginx has are its own, so that dashboards and
// alerts go on working.
const (
	nginxPrefix      = "nginx_ingress_controller_"
	controllerLabels = "controller_namespace controller_class controller_pod"
	requestLabels    = controllerLabels + " status method path namespace ingress service canary host"
)

// ingress-nginx's metrics of requests.
var (
	mRequests     = newRequests("requests", "counter", "Requests that a route took, answered by its Service or not.")
	mDuration     = newRequests("request_duration_seconds", "histogram", "Time from the request head to the end of the answer.")
	mConnect      = newRequests("connect_duration_seconds", "histogram", "Time to connect to the endpoint; 0 where a connection was kept. Requests that were tried again do not count.")
	mHeader       = newRequests("header_duration_seconds", "histogram", "Time until the endpoint's response head. Requests that were tried again do not count.")
	mResponse     = newRequests("response_duration_seconds", "histogram", "Time until the endpoint's response was complete. Requests that were tried again do not count.")
	mRequestSize  = newRequests("request_size", "histogram", "Bytes of the request, head included.")
	mResponseSize = newRequests("response_size", "histogram", "Bytes of the answer, head included.")
	mBytesSent    = newRequests("bytes_sent", "histogram", "The same as response_size, in other buckets.")
)

// requestMetrics are those that --exclude-socket-metrics can leave out.
var requestMetrics = []*metric{mRequests, mDuration, mConnect, mHeader, mResponse, mRequestSize, mResponseSize, mBytesSent}

// newNginx is newMetric for a metric of ingress-nginx.
func newNginx(name, kind, labels, doc string) *metric {
	return newMetric(nginxPrefix+name, kind, labels, doc)
}

func newRequests(name, kind, doc string) *metric {
	m := newNginx(name, kind, requestLabels, doc)
	m.together = prometheus.NewDesc(m.name, doc, strings.Fields(strings.TrimSuffix(requestLabels, " host")), nil)
	return m
}

// identity is the values of controllerLabels.
type identity struct{ namespace, class, pod string }

// identity names a controller: by its Pod, or where there is none by its Deployment.
func (m *Metrics) identity(c *model.Controller) identity {
	ns, name, ok := strings.Cut(m.Pod, "/")
	if !ok {
		if ns, name, ok = strings.Cut(c.Name, "/"); !ok {
			ns, name = c.Namespace, c.Name
		}
	}
	return identity{ns, c.Class, name}
}

// labels returns the identity before other labels.
func (i identity) labels(more ...string) []string {
	return append([]string{i.namespace, i.class, i.pod}, more...)
}

// collectRequests collects what was counted for routes.
func (k *collector) collectRequests(ch chan<- prometheus.Metric, stands *standing, served map[string]*proxy.Metrics) {
	if stands.plan == nil {
		return
	}
	for i := range stands.plan.Config.Controllers {
		c := &stands.plan.Config.Controllers[i]
		m := served[c.Name]
		if m == nil {
			continue
		}
		who := k.c.opt.Metrics.identity(c)
		for j := range m.Routes {
			r := &m.Routes[j]
			for _, s := range r.Series {
				labels := who.labels(s.Status(), s.Method(), utf8Path(r.Path), r.Namespace, r.Ingress, r.Service, "", s.Host)
				k.collectSeries(ch, s, labels)
			}
		}
	}
}

// collectSeries collects one status and method of a host.
func (k *collector) collectSeries(ch chan<- prometheus.Metric, s *proxy.Series, labels []string) {
	desc := func(m *metric) *prometheus.Desc { return m.desc }
	if k.c.opt.Metrics.Count.HostsTogether {
		labels = labels[:len(labels)-1]
		desc = func(m *metric) *prometheus.Desc { return m.together }
	}
	pairs := prometheus.MakeLabelPairs(desc(mRequests), labels)
	if !k.exclude[mRequests] {
		ch <- prometheus.MustNewConstMetric(desc(mRequests), prometheus.CounterValue, float64(s.N), labels...)
	}
	for _, h := range [...]struct {
		m *metric
		h *proxy.Histogram
	}{
		{mDuration, &s.Duration}, {mConnect, &s.Connect}, {mHeader, &s.Header}, {mResponse, &s.Response},
		{mRequestSize, &s.RequestSize}, {mResponseSize, &s.ResponseSize}, {mBytesSent, &s.BytesSent},
	} {
		if !k.exclude[h.m] && h.h.Count > 0 {
			ch <- &histogram{desc(h.m), pairs, h.h}
		}
	}
}

// histogram is a histogram of the proxy in the form of the exposition: with the usual
// buckets, and native ones where they are kept.
type histogram struct {
	desc  *prometheus.Desc
	pairs []*dto.LabelPair
	h     *proxy.Histogram
}

// Desc is part of prometheus.Metric.
func (m *histogram) Desc() *prometheus.Desc { return m.desc }

// Write is part of prometheus.Metric.
func (m *histogram) Write(out *dto.Metric) error {
	h := &dto.Histogram{}
	if n := m.h.Native; n != nil {
		native, err := newNative(m.desc, m.h, n, m.pairs)
		if err != nil {
			return err
		}
		var written dto.Metric
		if err := native.Write(&written); err != nil {
			return err
		}
		h = written.Histogram
	}
	h.SampleCount, h.SampleSum = &m.h.Count, &m.h.Sum
	before := uint64(0)
	for i := range m.h.Buckets {
		before += m.h.Buckets[i]
		b := &dto.Bucket{CumulativeCount: new(before), Exemplar: exemplar(m.h, i)}
		if i < len(m.h.Bounds) {
			b.UpperBound = &m.h.Bounds[i]
		} else if b.Exemplar == nil {
			continue // the bucket of everything needs no line of its own
		} else {
			b.UpperBound = new(infinity)
		}
		h.Bucket = append(h.Bucket, b)
	}
	out.Label, out.Histogram = m.pairs, h
	return nil
}

// newNative makes a native histogram of one that the proxy kept.
func newNative(desc *prometheus.Desc, h *proxy.Histogram, n *proxy.Native, pairs []*dto.LabelPair) (prometheus.Metric, error) {
	buckets := make(map[int]int64, len(n.Buckets))
	for _, b := range n.Buckets {
		buckets[int(b.Index)] = int64(b.N)
	}
	labels := make([]string, len(pairs)) // only their number counts here
	return prometheus.NewConstNativeHistogram(desc, h.Count, h.Sum, buckets, nil, n.Zero, n.Schema, proxy.NativeZero, time.Time{}, labels...)
}

// exemplar returns the request that fell into a bucket last, or nil.
func exemplar(h *proxy.Histogram, bucket int) *dto.Exemplar {
	if h.Exemplars == nil || h.Exemplars[bucket].At == 0 {
		return nil
	}
	e := &h.Exemplars[bucket]
	return &dto.Exemplar{
		Label:     []*dto.LabelPair{{Name: new("request_id"), Value: new(e.RequestID())}},
		Value:     &e.Value,
		Timestamp: timestamppb.New(time.Unix(0, e.At)),
	}
}

var infinity = math.Inf(1)
