package exchange

import (
	"crypto/tls"
	"encoding/base64"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pierhead/pierhead/internal/message"
)

// valueFunc appends the value of a variable; what it appends nothing for has no
// value. The argument is the rest of the name of variables that are families
// ($http_…).
type valueFunc func(dst []byte, x *Exchange, arg string) []byte

// variables are the nginx variables of one name each.
var variables = map[string]valueFunc{
	"remote_addr":         func(b []byte, x *Exchange, _ string) []byte { return appendAddr(b, x.ClientIP) },
	"binary_remote_addr":  binaryRemoteAddr,
	"remote_port":         func(b []byte, x *Exchange, _ string) []byte { return appendPort(b, x.Conn.Client.Port()) },
	"remote_user":         remoteUser,
	"realip_remote_addr":  func(b []byte, x *Exchange, _ string) []byte { return appendAddr(b, x.Conn.Peer.Addr()) },
	"realip_remote_port":  func(b []byte, x *Exchange, _ string) []byte { return appendPort(b, x.Conn.Peer.Port()) },
	"proxy_protocol_addr": proxyProtocolAddr,
	"server_addr":         func(b []byte, x *Exchange, _ string) []byte { return appendAddr(b, x.Conn.Local.Addr()) },
	"server_port":         func(b []byte, x *Exchange, _ string) []byte { return append(b, x.Conn.ServerPort...) },
	"server_name":         serverName,
	"server_protocol":     func(b []byte, x *Exchange, _ string) []byte { return append(b, x.In.Version.String()...) },
	"connection":          func(b []byte, x *Exchange, _ string) []byte { return strconv.AppendUint(b, x.Conn.Serial, 10) },
	"connection_requests": func(b []byte, x *Exchange, _ string) []byte { return strconv.AppendInt(b, x.Conn.Requests, 10) },
	"hostname":            func(b []byte, _ *Exchange, _ string) []byte { return append(b, hostname...) },
	"pid":                 func(b []byte, _ *Exchange, _ string) []byte { return append(b, pid...) },
	"pipe":                func(b []byte, _ *Exchange, _ string) []byte { return append(b, '.') },
	"scheme":              func(b []byte, x *Exchange, _ string) []byte { return append(b, x.Conn.Scheme()...) },
	"https":               https,
	"host":                hostName,
	"http_host":           func(b []byte, x *Exchange, _ string) []byte { return append(b, x.In.Host...) },
	"best_http_host":      func(b []byte, x *Exchange, _ string) []byte { return append(b, x.Host...) },
	"pass_access_scheme":  func(b []byte, x *Exchange, _ string) []byte { return append(b, x.Scheme...) },
	"pass_port":           func(b []byte, x *Exchange, _ string) []byte { return append(b, x.Port...) },
	"pass_server_port":    func(b []byte, x *Exchange, _ string) []byte { return append(b, x.Port...) },
	"request":             requestLine,
	"request_method":      func(b []byte, x *Exchange, _ string) []byte { return append(b, x.In.Method...) },
	"request_uri":         func(b []byte, x *Exchange, _ string) []byte { return append(b, x.In.Target...) },
	"escaped_request_uri": func(b []byte, x *Exchange, _ string) []byte { return AppendEscaped(b, x.In.Target) },
	"uri":                 func(b []byte, x *Exchange, _ string) []byte { return append(b, x.Path...) },
	"document_uri":        func(b []byte, x *Exchange, _ string) []byte { return append(b, x.Path...) },
	"args":                func(b []byte, x *Exchange, _ string) []byte { return append(b, x.Query...) },
	"query_string":        func(b []byte, x *Exchange, _ string) []byte { return append(b, x.Query...) },
	"is_args":             isArgs,
	"content_length":      contentLength,
	"content_type": func(b []byte, x *Exchange, _ string) []byte {
		return append(b, x.In.Header.GetKnown(message.ContentType)...)
	},
	"request_id":         func(b []byte, x *Exchange, _ string) []byte { return append(b, x.RequestID...) },
	"req_id":             func(b []byte, x *Exchange, _ string) []byte { return append(b, x.RequestID...) },
	"request_length":     func(b []byte, x *Exchange, _ string) []byte { return strconv.AppendInt(b, x.In.Size+x.Received, 10) },
	"request_time":       func(b []byte, x *Exchange, _ string) []byte { return appendSeconds(b, x.now().Sub(x.Start)) },
	"request_completion": requestCompletion,
	"time_local": func(b []byte, x *Exchange, _ string) []byte {
		return x.now().AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	},
	"time_iso8601": func(b []byte, x *Exchange, _ string) []byte {
		return x.now().AppendFormat(b, "2006-01-02T15:04:05-07:00")
	},
	"msec": func(b []byte, x *Exchange, _ string) []byte {
		return appendSeconds(b, time.Duration(x.now().UnixMilli())*time.Millisecond)
	},
	"status":                    status,
	"bytes_sent":                func(b []byte, x *Exchange, _ string) []byte { return strconv.AppendInt(b, x.Sent, 10) },
	"body_bytes_sent":           func(b []byte, x *Exchange, _ string) []byte { return strconv.AppendInt(b, x.BodySent, 10) },
	"ssl_protocol":              sslProtocol,
	"ssl_cipher":                sslCipher,
	"ssl_server_name":           sslServerName,
	"ssl_session_reused":        sslSessionReused,
	"proxy_add_x_forwarded_for": proxyAddXForwardedFor,
	"proxy_host":                func(b []byte, x *Exchange, _ string) []byte { return appendRoute(b, x, routeUpstream) },
	"proxy_upstream_name":       func(b []byte, x *Exchange, _ string) []byte { return appendRoute(b, x, routeUpstream) },
	"namespace":                 func(b []byte, x *Exchange, _ string) []byte { return appendRoute(b, x, routeNamespace) },
	"ingress_name":              func(b []byte, x *Exchange, _ string) []byte { return appendRoute(b, x, routeIngress) },
	"service_name":              func(b []byte, x *Exchange, _ string) []byte { return appendRoute(b, x, routeService) },
	"service_port":              func(b []byte, x *Exchange, _ string) []byte { return appendRoute(b, x, routePort) },
	"location_path":             func(b []byte, x *Exchange, _ string) []byte { return appendRoute(b, x, routePath) },
	"upstream_addr":             upstreamAddr,
	"upstream_status":           upstreamStatus,
	"upstream_response_time":    upstreamResponseTime,
	"upstream_connect_time":     upstreamConnectTime,
	"upstream_header_time":      upstreamHeaderTime,
	"upstream_response_length":  upstreamResponseLength,
	"upstream_bytes_received":   upstreamResponseLength,

	// Known to nginx and without a value here: nothing is cached, and what would
	// tell them is not built in.
	"upstream_cache_status":           none,
	"proxy_alternative_upstream_name": none,
	"ssl_client_s_dn":                 none,
	"ssl_client_i_dn":                 none,
	"ssl_client_verify":               none,
	"opentelemetry_trace_id":          none,
	"opentelemetry_span_id":           none,
}

// families are the variables whose names end in a name the user chooses.
var families = []struct {
	prefix string
	value  valueFunc
}{
	{"http_", httpField},
	{"sent_http_", sentField},
	{"upstream_http_", upstreamField},
	{"cookie_", cookie},
	{"arg_", arg},
	{"geoip2_", none},
}

var (
	hostname = func() string { h, _ := os.Hostname(); return h }()
	pid      = strconv.Itoa(os.Getpid())
)

func lookupVariable(name string) (valueFunc, string, bool) {
	if v, ok := variables[name]; ok {
		return v, "", true
	}
	for _, f := range families {
		if rest, ok := strings.CutPrefix(name, f.prefix); ok && rest != "" {
			return f.value, rest, true
		}
	}
	return nil, "", false
}

// Variables lists the names of all variables; families end in "…".
func Variables() []string {
	var names []string
	for n := range variables {
		names = append(names, n)
	}
	for _, f := range families {
		names = append(names, f.prefix+"…")
	}
	slices.Sort(names)
	return names
}

// now returns when the exchange ended, or the loop's clock before that.
func (x *Exchange) now() time.Time {
	if x.End.IsZero() && x.Run != nil {
		return x.Run.Now()
	}
	return x.End
}

// Secure reports whether the client's connection is TLS.
func (c *Conn) Secure() bool { return c.TLS != nil || c.ListenerTLS }

// Scheme returns "https" or "http": how the client's connection is.
func (c *Conn) Scheme() string {
	if c.Secure() {
		return "https"
	}
	return "http"
}

func none(b []byte, _ *Exchange, _ string) []byte { return b }

func binaryRemoteAddr(b []byte, x *Exchange, _ string) []byte {
	a := x.ClientIP.Unmap()
	switch {
	case a.Is4():
		v := a.As4()
		return append(b, v[:]...)
	case a.Is6():
		v := a.As16()
		return append(b, v[:]...)
	}
	return b
}

func proxyProtocolAddr(b []byte, x *Exchange, _ string) []byte {
	if !x.Conn.UseProxy {
		return b
	}
	return appendAddr(b, x.Conn.Client.Addr())
}

// remoteUser is who was let in or, as in nginx, who the client says it is.
func remoteUser(b []byte, x *Exchange, _ string) []byte {
	if x.User != "" {
		return append(b, x.User...)
	}
	v := x.In.Header.GetKnown(message.Authorization)
	if len(v) < 7 || !strings.EqualFold(v[:6], "basic ") || len(v) > 2048 {
		return b
	}
	var src [2048]byte
	n := len(b)
	out, err := base64.StdEncoding.AppendDecode(b, append(src[:0], strings.TrimSpace(v[6:])...))
	if err != nil {
		return b[:n]
	}
	if i := slices.Index(out[n:], ':'); i >= 0 {
		return out[:n+i]
	}
	return out[:n]
}

func serverName(b []byte, x *Exchange, _ string) []byte {
	if x.Route == nil || x.Route.Host == "" {
		return append(b, '_')
	}
	return append(b, x.Route.Host...)
}

func https(b []byte, x *Exchange, _ string) []byte {
	if x.Conn.Secure() {
		return append(b, "on"...)
	}
	return b
}

// hostName is the request's host without port, or the server's name as nginx has it.
func hostName(b []byte, x *Exchange, arg string) []byte {
	if x.HostName == "" {
		return serverName(b, x, arg)
	}
	return append(b, x.HostName...)
}

func requestLine(b []byte, x *Exchange, _ string) []byte {
	b = append(append(b, x.In.Method...), ' ')
	b = append(append(b, x.In.Target...), ' ')
	return append(b, x.In.Version.String()...)
}

func isArgs(b []byte, x *Exchange, _ string) []byte {
	if x.Query == "" {
		return b
	}
	return append(b, '?')
}

func contentLength(b []byte, x *Exchange, _ string) []byte {
	if x.In.Body == nil || x.In.Length < 0 {
		return b
	}
	return strconv.AppendInt(b, x.In.Length, 10)
}

func requestCompletion(b []byte, x *Exchange, _ string) []byte {
	if !x.Complete {
		return b
	}
	return append(b, "OK"...)
}

func status(b []byte, x *Exchange, _ string) []byte {
	if x.Status == 0 {
		return append(b, "000"...)
	}
	return strconv.AppendInt(b, int64(x.Status), 10)
}

func sslProtocol(b []byte, x *Exchange, _ string) []byte {
	if x.Conn.TLS == nil {
		return b
	}
	switch x.Conn.TLS.Version {
	case tls.VersionTLS10:
		return append(b, "TLSv1"...)
	case tls.VersionTLS11:
		return append(b, "TLSv1.1"...)
	case tls.VersionTLS12:
		return append(b, "TLSv1.2"...)
	}
	return append(b, "TLSv1.3"...)
}

func sslServerName(b []byte, x *Exchange, _ string) []byte {
	if x.Conn.TLS == nil {
		return b
	}
	return append(b, x.Conn.TLS.ServerName...)
}

func sslSessionReused(b []byte, x *Exchange, _ string) []byte {
	switch {
	case x.Conn.TLS == nil:
		return b
	case x.Conn.TLS.DidResume:
		return append(b, 'r')
	}
	return append(b, '.')
}

// opensslNames are OpenSSL's names of the TLS 1.2 suites, which logs are read by.
var opensslNames = map[uint16]string{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:       "ECDHE-ECDSA-AES128-GCM-SHA256",
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       "ECDHE-ECDSA-AES256-GCM-SHA384",
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:         "ECDHE-RSA-AES128-GCM-SHA256",
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:         "ECDHE-RSA-AES256-GCM-SHA384",
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   "ECDHE-RSA-CHACHA20-POLY1305",
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:          "ECDHE-ECDSA-AES128-SHA",
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:          "ECDHE-ECDSA-AES256-SHA",
	tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA:            "ECDHE-RSA-AES128-SHA",
	tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA:            "ECDHE-RSA-AES256-SHA",
}

func sslCipher(b []byte, x *Exchange, _ string) []byte {
	if x.Conn.TLS == nil {
		return b
	}
	if name, ok := opensslNames[x.Conn.TLS.CipherSuite]; ok {
		return append(b, name...)
	}
	return append(b, tls.CipherSuiteName(x.Conn.TLS.CipherSuite)...)
}

func proxyAddXForwardedFor(b []byte, x *Exchange, _ string) []byte {
	n := len(b)
	if b = appendJoined(b, &x.In.Header, "x-forwarded-for", ", "); len(b) > n {
		b = append(b, ", "...)
	}
	return appendAddr(b, x.ClientIP)
}

// CipherSuite returns the number of a TLS 1.2 suite by OpenSSL's name.
func CipherSuite(name string) (uint16, bool) {
	for id, n := range opensslNames {
		if n == name {
			return id, true
		}
	}
	return 0, false
}
