package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
)

var (
	streamTimeout   = Time("proxy-stream-timeout", 600*time.Second, "600s", "How long a TCP connection or UDP session may be silent; 0 is no bound.", only)
	streamNext      = Bool("proxy-stream-next-upstream", true, "Try another endpoint when a TCP connection to one cannot be made.", only)
	streamNextTime  = Time("proxy-stream-next-upstream-timeout", 600*time.Second, "600s", "Time in which a further try may start; 0 is no bound.", only)
	streamTries     = Int("proxy-stream-next-upstream-tries", 3, 0, 1<<16, "Endpoints that are tried in all; 0 is no bound.", only)
	streamResponses = Int("proxy-stream-responses", 1, 0, 1<<31-1, "Answers that a UDP endpoint sends to each datagram, after which the session ends; 0: none come.", only)
	streamLogOff    = Bool("disable-stream-access-log", false, "No access log for TCP and UDP.", only)
	streamLogPath   = Text("stream-access-log-path", "", `/[^\s\x00]*`, "absolute path", "As access-log-path, which it overrides for TCP and UDP.", only)
	streamLogFormat = key("log-format-stream", "text with variables", exchange.DefaultStreamFormat, exchange.DefaultStreamFormat,
		"The access log line of a TCP or UDP session.", parseStreamFormat, []option{only})
)

var _ = Register(Unit{
	Name: "streams", Doc: "The TCP and UDP ports of --tcp-services-configmap and --udp-services-configmap.", Follows: "nginx stream",
	Keys: []Key{streamTimeout, streamNext, streamNextTime, streamTries, streamResponses, streamLogOff, streamLogPath, streamLogFormat},
	Settings: func(d *Draft, g *Global) {
		s := &g.Settings.Streams
		s.Idle, s.Responses = streamTimeout.Get(d), streamResponses.Get(d)
		s.Tries, s.TryFor = streamTries.Get(d), streamNextTime.Get(d)
		if !streamNext.Get(d) {
			s.Tries = 1
		}
		s.AccessLog = !logOff.Get(d) && !streamLogOff.Get(d)
		s.AccessLogFormat, s.AccessLogPath = streamLogFormat.Get(d), logPath.Get(d)
		if p := streamLogPath.Get(d); p != "" {
			s.AccessLogPath = p
		}
	},
})

func parseStreamFormat(s string) (string, error) {
	if strings.ContainsAny(s, "\r\n\x00") {
		return "", fmt.Errorf("%q holds a line break", s)
	}
	_, err := exchange.ParseStreamFormat(s)
	return s, err
}
