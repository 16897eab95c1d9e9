package control

import (
	"strings"

	"github.com/pierhead/pierhead/internal/l4"
)

const streamLabels = "controller protocol port"

var (
	mStreams   = newMetric("pierhead_stream_sessions", "gauge", streamLabels, "TCP connections and UDP sessions of a port that are handed on as they are; protocol tls: of TLS connections that are not opened.")
	mStreamsN  = newMetric("pierhead_stream_sessions_total", "counter", streamLabels, "Those begun since the port is open.")
	mStreamIn  = newMetric("pierhead_stream_received_bytes_total", "counter", streamLabels, "Bytes that their clients sent; those of a TCP connection count when it has ended.")
	mStreamOut = newMetric("pierhead_stream_sent_bytes_total", "counter", streamLabels, "Bytes that their clients got; likewise.")
	mStreamEnd = newMetric("pierhead_stream_closed_total", "counter", streamLabels+" reason", "Those that ended, by reason.")
)

// collectStreams sends the numbers of what is handed on as it is. A port that is bound to
// two addresses is one.
func (k *collector) collectStreams(send func(*metric, float64, ...string)) {
	tcp := k.c.runs.streams.tcp.Stats()
	sums := map[string]*l4.PortStats{}
	for _, list := range [][]l4.PortStats{tcp.Ports, tcp.Passages, k.c.runs.streams.udp.Stats()} {
		for i := range list {
			p := &list[i]
			key, _, _ := strings.Cut(p.Key, alsoOn)
			sum := sums[key]
			if sum == nil {
				sums[key] = p
				continue
			}
			sum.Open, sum.Accepted, sum.In, sum.Out = sum.Open+p.Open, sum.Accepted+p.Accepted, sum.In+p.In, sum.Out+p.Out
			for why, n := range p.Closed {
				sum.Closed[why] += n
			}
		}
	}
	for key, p := range sums {
		controller, protocol, port := keyLabels(key)
		send(mStreams, float64(p.Open), controller, protocol, port)
		send(mStreamsN, float64(p.Accepted), controller, protocol, port)
		send(mStreamIn, float64(p.In), controller, protocol, port)
		send(mStreamOut, float64(p.Out), controller, protocol, port)
		for why, n := range p.Closed {
			if n > 0 {
				send(mStreamEnd, float64(n), controller, protocol, port, why)
			}
		}
	}
}
