package policy

import (
	"regexp"
	"strings"
)

// known is a name that ingress-nginx has or had and no unit reads: it is told, never
// passed over.
type known struct {
	state   state
	instead string                  // what to use instead, or what happens
	closes  func(value string) bool // a guard that we do not have: fail closed
	rejects func(value string) bool // the Ingress must not be served as it stands
}

type state uint8

const (
	notYet      state = iota // it has a meaning here and comes later
	removed                  // ingress-nginx dropped it; instead is the successor
	meaningless              // it tunes nginx; nothing is missing
	never                    // no version of ingress-nginx has read it
)

const notYetWords = "not yet supported"

// words returns the reason and the remedy of the Problem.
func (k *known) words() (reason, remedy string) {
	switch k.state {
	case removed:
		return "ingress-nginx has removed it: it is ignored", k.instead
	case meaningless:
		reason = "it has no meaning without nginx: it is ignored"
	case never:
		return "ingress-nginx has never read it: it is ignored", k.instead
	default:
		reason = notYetWords
	}
	if k.instead != "" {
		reason += " (" + k.instead + ")"
	}
	return reason, ""
}

// table joins rows "name name …: instead" of one state.
type table map[string]known

func (t table) add(s state, rows string) table {
	for row := range strings.SplitSeq(strings.TrimSpace(rows), "\n") {
		names, instead, _ := strings.Cut(row, ":")
		for name := range strings.FieldsSeq(names) {
			if _, twice := t[name]; twice {
				panic("policy: " + name + " is in the table twice")
			}
			t[name] = known{state: s, instead: strings.TrimSpace(instead)}
		}
	}
	return t
}

// guard declares that a name may hold rules about who is let in.
func (t table) guard(name string, closes func(string) bool) table {
	k, ok := t[name]
	if !ok {
		panic("policy: " + name + " is not in the table")
	}
	k.closes = closes
	t[name] = k
	return t
}

func (t table) rejects(name string, rejects func(string) bool) table {
	k := t[name]
	k.rejects = rejects
	t[name] = k
	return t
}

func always(string) bool { return true }

func isTrue(v string) bool { on, err := parseBool(v); return on && err == nil }

func isOn(v string) bool { return v == "on" || isTrue(v) }

// snippetGuards finds directives that decide who is let in.
var snippetGuards = regexp.MustCompile(`(?m)(^|[\s;{}])(deny|allow|return|satisfy|internal|auth_\w+|limit_\w+|if|access_by_lua\w*|SecRule\w*)\b`)

// knownAnnotations are the annotations that no unit reads. Names without prefix.
var knownAnnotations = table{}.
	add(notYet, `
canary canary-by-cookie canary-by-header canary-by-header-pattern canary-by-header-value canary-weight canary-weight-total affinity-canary-behavior
auth-tls-secret auth-tls-verify-client auth-tls-verify-depth auth-tls-match-cn auth-tls-error-page auth-tls-pass-certificate-to-upstream
configuration-snippet server-snippet stream-snippet auth-snippet
connection-proxy-header
custom-http-errors disable-proxy-intercept-errors custom-headers
auth-cache-key auth-cache-duration: every request asks the service
fastcgi-index fastcgi-params-configmap
mirror-target mirror-host mirror-request-body
enable-modsecurity enable-owasp-core-rules modsecurity-snippet modsecurity-transaction-id
enable-opentelemetry opentelemetry-operation-name opentelemetry-trust-incoming-span
proxy-cookie-domain proxy-cookie-path proxy-redirect-from proxy-redirect-to proxy-http-version
proxy-ssl-secret proxy-ssl-ciphers proxy-ssl-name proxy-ssl-protocols proxy-ssl-server-name proxy-ssl-verify proxy-ssl-verify-depth
limit-rate limit-rate-after
relative-redirects
ssl-ciphers: the ciphers of the ConfigMap are used
session-cookie-change-on-failure: a failed try keeps its cookie
`).
	add(meaningless, `
client-body-buffer-size proxy-buffers-number proxy-busy-buffers-size proxy-max-temp-file-size: memory is managed by itself
proxy-buffering: answers are streamed as they come
auth-keepalive auth-keepalive-requests auth-keepalive-share-vars auth-keepalive-timeout: connections to the service are always kept
http2-push-preload: browsers have given up HTTP/2 push
enable-rewrite-log: pierhead explain shows what a rewrite does
ssl-prefer-server-ciphers: Go chooses the order of ciphers
`).
	add(removed, `
add-base-url base-url-scheme: it has no successor; serve pages with relative links
session-cookie-hash sticky-hash: remove it; the hash is no longer chosen
mirror-uri: use mirror-target
secure-verify-ca-secret: use proxy-ssl-secret and proxy-ssl-verify
secure-upstream: use backend-protocol: HTTPS
enable-influxdb influxdb-host influxdb-port influxdb-measurement influxdb-server-name: use the Prometheus metrics
enable-opentracing: use enable-opentelemetry
opentracing-trust-incoming-span opentelemetry-trust-incoming-spans: use opentelemetry-trust-incoming-span
global-rate-limit global-rate-limit-window global-rate-limit-key global-rate-limit-ignored-cidrs: use limit-rps, which counts per replica
lua-resty-waf lua-resty-waf-allow-unknown-content-types lua-resty-waf-debug lua-resty-waf-extra-rules: use enable-modsecurity
lua-resty-waf-ignore-rulesets lua-resty-waf-process-multipart-body lua-resty-waf-score-threshold: use enable-modsecurity
upstream-max-fails upstream-fail-timeout: failed tries go to another endpoint (proxy-next-upstream)
sticky-enabled: use affinity: cookie
sticky-name: use session-cookie-name
auth-send-body: the service of auth-url never gets the body
proxy-buffer-number: use proxy-buffer-size
rewrite-log: pierhead explain shows what a rewrite does
port-in-redirect: use use-port-in-redirects
proxy-pass-params: it has no successor
named-ports: name the ports in the Service
vts-filter-key: use the Prometheus metrics
`).
	add(never, `
enable-websockets: remove it; WebSocket needs no annotation
use-forwarded-headers client-header-buffer-size large-client-header-buffers: set it in the controller's ConfigMap
configuration: remove it
`).
	guard("auth-tls-secret", always).
	guard("configuration-snippet", snippetGuards.MatchString).
	guard("server-snippet", snippetGuards.MatchString).
	guard("modsecurity-snippet", always).
	guard("proxy-ssl-verify", isOn).
	rejects("canary", isTrue)
