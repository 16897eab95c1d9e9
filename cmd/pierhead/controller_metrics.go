package main

import (
	"github.com/pierhead/pierhead/internal/admission"
	"github.com/pierhead/pierhead/internal/control"
	"github.com/pierhead/pierhead/internal/proxy"
)

// metrics says what /metrics holds, as the flags say.
func (c *controller) metrics() control.Metrics {
	f := c.flags
	m := control.Metrics{
		Count: proxy.Counting{
			Off: !f.Bool("enable-metrics"), HostsTogether: !f.Bool("metrics-per-host"), Undefined: f.Bool("metrics-per-undefined-host"),
			Classes: f.Bool("report-status-classes"), Time: f.Floats("time-buckets"), Length: f.Floats("length-buckets"), Size: f.Floats("size-buckets"),
			Factor: f.Float("bucket-factor"), MostBuckets: f.Int("max-buckets"),
		},
		Exclude: f.List("exclude-socket-metrics"),
		Pod:     c.pod, Revision: revision(), Leads: c.publisher.Leading,
		Webhook: func() []admission.Sample {
			if c.webhook == nil {
				return nil
			}
			return c.webhook.Snapshot()
		},
	}
	if !f.Bool("disable-leader-election") {
		m.Lease = f.Text("election-id")
	}
	return m
}
