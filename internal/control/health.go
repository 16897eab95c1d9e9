package control

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/upstream"
)

const healthLabels = "upstream endpoint"

var (
	mFit       = newMetric("pierhead_upstream_endpoint_in_use", "gauge", healthLabels, "Whether an endpoint is in use: 0 while it is ejected or unhealthy. Of upstreams with eject-after, slow-start or health-check-path.")
	mAllUsed   = newMetric("pierhead_upstream_all_used", "gauge", "upstream", "Whether all endpoints get requests since none is in use; likewise.")
	mEjections = newMetric("pierhead_upstream_ejections_total", "counter", "upstream", "Times an endpoint was ejected (eject-after).")
	mBounded   = newMetric("pierhead_upstream_refused_total", "counter", "upstream reason", "What the bounds of an upstream refused: full, requests when every endpoint was at max-connections and max-pending waited, answered 503; late, requests that waited in vain, answered 503; retry, further tries beyond retry-budget.")
	mPending   = newMetric("pierhead_upstream_pending", "gauge", "upstream", "Requests that wait for an endpoint below max-connections (max-pending).")
	mChecks    = newMetric("pierhead_upstream_checks_total", "counter", "upstream result", "Health checks, by result: passed or failed.")
)

// collectHealth sends what is known of the health of endpoints.
func (k *collector) collectHealth(send sender) {
	for _, h := range k.c.runs.pools.Health() {
		if h.Limited {
			send(mBounded, float64(h.Full), h.Upstream, "full")
			send(mBounded, float64(h.Late), h.Upstream, "late")
			send(mBounded, float64(h.Spared), h.Upstream, "retry")
			send(mPending, float64(h.Pending), h.Upstream)
		}
		if !h.Guarded {
			continue
		}
		for _, e := range h.Endpoints {
			send(mFit, truth(e.Out == ""), h.Upstream, e.Addr.String())
		}
		send(mAllUsed, truth(h.AllAreUsed), h.Upstream)
		if h.Ejecting {
			send(mEjections, float64(h.Ejections), h.Upstream)
		}
		if h.Checked {
			send(mChecks, float64(h.Passed), h.Upstream, "passed")
			send(mChecks, float64(h.Failed), h.Upstream, "failed")
		}
	}
}

// withHealth adds the endpoints that are out of use to a state, which stays as it is.
func (c *Control) withHealth(s *admin.State) *admin.State {
	out := map[string][]string{}
	for _, h := range c.runs.pools.Health() {
		for _, e := range h.Endpoints {
			if e.Out != "" {
				out[h.Upstream] = append(out[h.Upstream], e.Addr.String()+": "+e.Out)
			}
		}
	}
	if len(out) == 0 {
		return s
	}
	now := *s
	now.Upstreams = slices.Clone(s.Upstreams)
	for i := range now.Upstreams {
		now.Upstreams[i].Out = out[now.Upstreams[i].Name]
	}
	return &now
}

// healthOf tells what puts endpoints of an upstream out of use, and its bounds.
func healthOf(up *model.Upstream) string {
	var rules []string
	switch c := &up.Check; {
	case c.Path == "":
	case strings.HasPrefix(up.Protocol, "GRPC"):
		of := "the server as a whole"
		if c.Service != "" {
			of = "service " + c.Service
		}
		rules = append(rules, fmt.Sprintf("asked by gRPC's health checks of %s every %s: SERVING is good; out after %d failures, back after %d good answers", of, c.Interval, c.Unhealthy, c.Healthy))
	default:
		rules = append(rules, fmt.Sprintf("asked for %s every %s: %d to %d is good; out after %d failures, back after %d good answers", c.Path, c.Interval, c.Low, c.High, c.Unhealthy, c.Healthy))
	}
	if up.EjectAfter > 0 {
		rules = append(rules, fmt.Sprintf("ejected after %d failed tries in a row, for %s at first", up.EjectAfter, up.EjectFor))
	}
	if up.SlowStart > 0 {
		rules = append(rules, fmt.Sprintf("slow start of %s", up.SlowStart))
	}
	if up.MaxConnections > 0 {
		rules = append(rules, fmt.Sprintf("at most %d connections in use to each", up.MaxConnections))
	}
	if up.MaxPending > 0 {
		rules = append(rules, fmt.Sprintf("at most %d requests wait for one", up.MaxPending))
	}
	if up.RetryBudget > 0 {
		rules = append(rules, fmt.Sprintf("further tries for at most %d%% of the requests", up.RetryBudget))
	}
	return strings.Join(rules, "; ")
}

// health logs that an endpoint goes out of use, or is back.
func (e *errorLog) health(c upstream.HealthChange) {
	level, text := slog.LevelWarn, fmt.Sprintf("endpoint %s of %s is unhealthy: %s", c.Addr, c.Upstream, c.Why)
	switch {
	case c.Fit:
		level, text = slog.LevelInfo, fmt.Sprintf("endpoint %s of %s is healthy again", c.Addr, c.Upstream)
	case c.For > 0:
		text = fmt.Sprintf("endpoint %s of %s gets no requests for %s: %s", c.Addr, c.Upstream, c.For, c.Why)
	}
	if c.Left == 0 {
		text += "; no endpoint is left, so that all are used"
	}
	e.write(level, text)
}
