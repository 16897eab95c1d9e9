package policy

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
)

var (
	keepAlive         = Seconds("keep-alive", 75*time.Second, "How long a client connection may be idle; 0 closes it after each answer.", only)
	keepAliveRequests = Int("keep-alive-requests", 1000, 0, 1<<31-1, "Requests per client connection; 0 is no limit.", only)
	headerTimeout     = Seconds("client-header-timeout", time.Minute, "Time in which a request head must come; 408 after it.", only)
	bodyTimeout       = Seconds("client-body-timeout", time.Minute, "Longest gap between two reads of a request body; 408 after it.", only)
	bodyRate          = Size("client-body-min-rate", 0, "0", "Bytes a second that a request body must come with on average, once client-body-timeout has been spent on waiting for it in all; 408 below that. Waiting for an endpoint does not count. 0 is no bound.", only)
	workerConnections = Int("max-worker-connections", 16384, 0, 1<<24, "Client connections of the controller's http and https listeners for each of worker-processes. For further ones the connections that wait for a request are closed, the longest idle first, as with nginx; where there is none the further one is closed at once. HTTP/3 connections count, and do not make room. Those of TCP and UDP ports and of ssl-passthrough do not count, nor do connections to endpoints. 0 is no limit.", only)
	workers           = key("worker-processes", "number or auto", 0, "auto", "What max-worker-connections is multiplied with; auto is the number of event loops, which is that of processors.", parseWorkers, []option{only})
	clientConnections = Int("max-connections-per-client", 0, 0, 1<<24, "Connections that one client address may have, or the 64 bits of an IPv6 address that one customer has; further ones are closed at once. Behind a load balancer that hides clients all of them have its address. 0 is no limit.", only)
	headerBuffers     = key("large-client-header-buffers", "number and size", buffers{4, 8 << 10}, "4 8k",
		"The longest request line or field is the size; the longest head is number times size.", parseBuffers, []option{only})
	underscores   = Bool("enable-underscores-in-headers", false, "Take request fields whose names hold an underscore; else they are dropped.", only)
	ignoreInvalid = Bool("ignore-invalid-headers", true, "Drop request fields whose names are not valid; else they are passed.", only)
	proxyProtocol = Bool("use-proxy-protocol", false, "The http and https listeners expect a PROXY protocol header; what it tells is believed of the addresses of proxy-real-ip-cidr.", only)
	http2         = Bool("use-http2", true, "Offer HTTP/2 on the https listener.", only)
	http2Streams  = Int("http2-max-concurrent-streams", 128, 1, 1<<20, "Streams a client may have open on one HTTP/2 connection.", only)
	upstreamIdle  = Int("upstream-keepalive-connections", 320, 0, 1<<20, "Idle connections kept to endpoints, per event loop; more are closed a second after their last request. 0 keeps none.", only)
	upstreamWait  = Seconds("upstream-keepalive-timeout", time.Minute, "How long a connection to an endpoint may be idle.", only)
	upstreamLife  = Time("upstream-keepalive-time", time.Hour, "1h", "The age after which a connection to an endpoint is not used again.", only)
	upstreamUses  = Int("upstream-keepalive-requests", 10000, 0, 1<<31-1, "Requests per connection to an endpoint.", only)
	drainTimeout  = Time("worker-shutdown-timeout", 240*time.Second, "240s", "How long connections may go on when the process ends.", only)
	sslProtocols  = Words("ssl-protocols", []string{"TLSv1.2", "TLSv1.3"}, []string{"SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}, "The TLS versions that clients may use.", only)
	sslCiphers    = key("ssl-ciphers", "OpenSSL cipher list", []uint16(nil), "Go's choice", "The TLS 1.2 ciphers, by OpenSSL's names. Those that Go does not have are passed over.", parseCiphers, []option{only})
	sslTickets    = Bool("ssl-session-tickets", false, "Let clients resume TLS sessions by tickets. The keys are made at start, renewed every day and known to this process only.", only)
	logFormat     = Variables("log-format-upstream", exchange.DefaultLogFormat, "The access log line.", only)
	logJSON       = Bool("log-format-escape-json", false, "Escape values in the access log as in JSON strings.", only)
	logRaw        = Bool("log-format-escape-none", false, "Do not escape values in the access log.", only)
	logPath       = Text("access-log-path", "/var/log/nginx/access.log", `/[^\s\x00]*`, "absolute path", "The file of the access log; the default is standard output.", only)
	logPathHTTP   = Text("http-access-log-path", "", `/[^\s\x00]*`, "absolute path", "As access-log-path, which it overrides.", only)
	logOff        = Bool("disable-access-log", false, "No access log.", only)
	logOffHTTP    = Bool("disable-http-access-log", false, "No access log for HTTP.", only)
	logDefault    = Bool("enable-access-log-for-default-backend", false, "Log requests that no Ingress takes.", only)
	logSkip       = List("skip-access-log-urls", nil, "request URIs", "Requests with exactly these URIs are not logged.", nil, only)
)

var _ = Register(Unit{
	Name: "client-connections", Doc: "The limits of client connections.", Follows: "RFC 9112, RFC 9113, nginx",
	Keys: []Key{keepAlive, keepAliveRequests, headerTimeout, bodyTimeout, bodyRate, workerConnections, workers, clientConnections, headerBuffers, underscores, ignoreInvalid, proxyProtocol, http2, http2Streams, drainTimeout},
	Settings: func(d *Draft, g *Global) {
		s := &g.Settings
		s.KeepAlive, s.KeepAliveRequests = keepAlive.Get(d), keepAliveRequests.Get(d)
		s.HeaderTimeout, s.BodyTimeout = headerTimeout.Get(d), bodyTimeout.Get(d)
		s.BodyRate, s.ClientConnections = int(bodyRate.Get(d)), clientConnections.Get(d)
		s.WorkerConnections, s.Workers = workerConnections.Get(d), workers.Get(d)
		b := headerBuffers.Get(d)
		s.MaxLine, s.MaxHead = b.size, b.size*b.number
		s.Underscores, s.InvalidHeaders = underscores.Get(d), !ignoreInvalid.Get(d)
		s.HTTP2, s.MaxStreams = http2.Get(d), uint32(http2Streams.Get(d))
		s.DrainTimeout = drainTimeout.Get(d)
		g.ProxyProtocol = proxyProtocol.Get(d)
	},
})

var _ = Register(Unit{
	Name: "upstream-connections", Doc: "The connections kept to endpoints.", Follows: "nginx",
	Keys: []Key{upstreamIdle, upstreamWait, upstreamLife, upstreamUses},
	Settings: func(d *Draft, g *Global) {
		s := &g.Settings
		s.KeepUpstream, s.UpstreamIdle = upstreamIdle.Get(d), upstreamWait.Get(d)
		s.UpstreamLife, s.UpstreamRequests = upstreamLife.Get(d), upstreamUses.Get(d)
	},
})

var _ = Register(Unit{
	Name: "tls", Doc: "The TLS that clients are offered.", Follows: "RFC 8446, RFC 5246, RFC 5077",
	Keys: []Key{sslProtocols, sslCiphers, sslTickets},
	Settings: func(d *Draft, g *Global) {
		s := &g.Settings
		s.TLSMin, s.TLSMax = versions(sslProtocols.Get(d))
		if s.TLSMin == 0 {
			d.Warn(sslProtocols, "Go has none of these versions: TLSv1.2 and TLSv1.3 are used", "name TLSv1.2 or TLSv1.3")
			s.TLSMin, s.TLSMax = tls.VersionTLS12, tls.VersionTLS13
		}
		s.CipherSuites = sslCiphers.Get(d)
		s.SessionTickets = sslTickets.Get(d)
	},
})

var _ = Register(Unit{
	Name: "access-log-file", Doc: "The access log of a controller.", Follows: "nginx log_format",
	Keys: []Key{logFormat, logJSON, logRaw, logPath, logPathHTTP, logOff, logOffHTTP, logDefault, logSkip},
	Settings: func(d *Draft, g *Global) {
		s := &g.Settings
		s.AccessLog = !logOff.Get(d) && !logOffHTTP.Get(d)
		s.AccessLogFormat, s.AccessLogEscape = logFormat.Get(d), "default"
		switch {
		case logJSON.Get(d):
			s.AccessLogEscape = "json"
		case logRaw.Get(d):
			s.AccessLogEscape = "none"
		}
		s.AccessLogPath = logPath.Get(d)
		if p := logPathHTTP.Get(d); p != "" {
			s.AccessLogPath = p
		}
		s.LogDefaultBackend, s.SkipLogURIs = logDefault.Get(d), logSkip.Get(d)
	},
})

// parseWorkers reads a number of workers; 0 is auto.
func parseWorkers(s string) (int, error) {
	if strings.TrimSpace(s) == "auto" {
		return 0, nil
	}
	return parseInt(s, 1, 1024)
}

type buffers struct{ number, size int }

func parseBuffers(s string) (buffers, error) {
	f := strings.Fields(s)
	if len(f) == 2 {
		n, err := parseInt(f[0], 1, 1024)
		size, err2 := parseSize(f[1])
		if err == nil && err2 == nil && size >= 256 && size <= 1<<24 {
			return buffers{n, int(size)}, nil
		}
	}
	return buffers{}, fmt.Errorf("%q is not a number and a size such as %q", s, "4 8k")
}

// versions returns the lowest and highest of the TLS versions that Go has.
func versions(names []string) (low, high uint16) {
	for i, name := range []string{"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"} {
		if slices.Contains(names, name) {
			v := tls.VersionTLS10 + uint16(i)
			if low == 0 {
				low = v
			}
			high = v
		}
	}
	return low, high
}

// parseCiphers reads the names that OpenSSL has for TLS 1.2 suites.
func parseCiphers(s string) ([]uint16, error) {
	var list []uint16
	for name := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		if id, ok := exchange.CipherSuite(name); ok && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%q names no cipher that Go has, such as ECDHE-RSA-AES128-GCM-SHA256", s)
	}
	return list, nil
}

// everyone is all addresses.
var everyone = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
