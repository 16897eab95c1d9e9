package admission

import (
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pierhead/pierhead/internal/translate"
)

// levels are the risks from the least.
var levels = []string{"Low", "Medium", "High", "Critical"}

// rating is how ingress-nginx rates an annotation: what could come of a value in the
// hands of somebody who means harm.
type rating struct {
	group string
	level int // in levels
}

// risks refuses annotations of a higher risk than the controller's ConfigMap allows.
func risks(in *networkingv1.Ingress, t translate.Taker) string {
	allowed := slices.Index(levels, t.Review.Risk)
	for _, key := range annotations(in) {
		name, ok := annotationName(key, t)
		if r, rated := ratings[name]; ok && rated && r.level > allowed && strings.TrimSpace(in.Annotations[key]) != "" {
			return fmt.Sprintf("annotation group %s contains risky annotation based on ingress configuration: %s is of risk %s, annotations-risk-level is %s",
				r.group, key, levels[r.level], levels[allowed])
		}
	}
	return ""
}

// ratings are the annotations by name, read from a table of groups: each line is a
// group, and after each level the annotations of that level.
var ratings = readRatings(`
Aliases  High: server-alias
Allowlist  Medium: allowlist-source-range whitelist-source-range
Denylist  Medium: denylist-source-range
BackendProtocol  Low: backend-protocol
BasicDigestAuth  Low: auth-secret-type auth-type  Medium: auth-realm auth-secret
Canary  Low: canary canary-weight canary-weight-total  Medium: canary-by-cookie canary-by-header canary-by-header-pattern canary-by-header-value
CertificateAuth  Low: auth-tls-pass-certificate-to-upstream auth-tls-verify-depth  Medium: auth-tls-secret auth-tls-verify-client  High: auth-tls-error-page auth-tls-match-cn
ClientBodyBufferSize  Low: client-body-buffer-size
ConfigurationSnippet  Critical: configuration-snippet
Connection  Low: connection-proxy-header
CorsConfig  Low: cors-allow-credentials cors-max-age enable-cors  Medium: cors-allow-headers cors-allow-methods cors-allow-origin cors-expose-headers
CustomHTTPErrors  Low: custom-http-errors
CustomHeaders  Medium: custom-headers
DefaultBackend  Low: default-backend
DisableProxyInterceptErrors  Low: disable-proxy-intercept-errors
EnableGlobalAuth  Low: enable-global-auth
ExternalAuth  Low: auth-always-set-cookie auth-keepalive auth-keepalive-requests auth-keepalive-share-vars auth-keepalive-timeout auth-method  Medium: auth-cache-duration auth-cache-key auth-proxy-set-headers auth-request-redirect auth-response-headers auth-signin-redirect-param  High: auth-signin auth-url  Critical: auth-snippet
FastCGI  Medium: fastcgi-index fastcgi-params-configmap
HTTP2PushPreload  Low: http2-push-preload
LoadBalancing  Low: load-balance
Logs  Low: enable-access-log enable-rewrite-log
Mirror  Low: mirror-request-body  High: mirror-host mirror-target
ModSecurity  Low: enable-modsecurity enable-owasp-core-rules  High: modsecurity-transaction-id  Critical: modsecurity-snippet
Opentelemetry  Low: enable-opentelemetry opentelemetry-trust-incoming-span  Medium: opentelemetry-operation-name
Proxy  Low: proxy-buffer-size proxy-buffering proxy-buffers-number proxy-busy-buffers-size proxy-connect-timeout proxy-http-version proxy-max-temp-file-size proxy-next-upstream-timeout proxy-next-upstream-tries proxy-read-timeout proxy-request-buffering proxy-send-timeout  Medium: proxy-body-size proxy-cookie-domain proxy-cookie-path proxy-next-upstream proxy-redirect-from proxy-redirect-to
ProxySSL  Low: proxy-ssl-protocols proxy-ssl-server-name proxy-ssl-verify proxy-ssl-verify-depth  Medium: proxy-ssl-ciphers proxy-ssl-secret  High: proxy-ssl-name
RateLimit  Low: limit-allowlist limit-whitelist limit-burst-multiplier limit-connections limit-rate limit-rate-after limit-rpm limit-rps
Redirect  Low: from-to-www-redirect permanent-redirect-code relative-redirects temporal-redirect-code  Medium: permanent-redirect temporal-redirect
Rewrite  Low: ssl-redirect use-regex  Medium: app-root force-ssl-redirect preserve-trailing-slash rewrite-target
SSLCipher  Low: ssl-ciphers ssl-prefer-server-ciphers
SSLPassthrough  Low: ssl-passthrough
Satisfy  Low: satisfy
ServerSnippet  Critical: server-snippet
ServiceUpstream  Low: service-upstream
SessionAffinity  Low: affinity affinity-canary-behavior session-cookie-change-on-failure session-cookie-conditional-samesite-none session-cookie-samesite session-cookie-secure  Medium: affinity-mode session-cookie-domain session-cookie-expires session-cookie-max-age session-cookie-name session-cookie-path
StreamSnippet  Critical: stream-snippet
UpstreamHashBy  Low: upstream-hash-by-subset upstream-hash-by-subset-size  High: upstream-hash-by
UpstreamVhost  Low: upstream-vhost
UsePortInRedirects  Low: use-port-in-redirects
XForwardedPrefix  Medium: x-forwarded-prefix
`)

func readRatings(table string) map[string]rating {
	all := map[string]rating{}
	for line := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
		words := strings.Fields(line)
		level := -1
		for _, w := range words[1:] {
			if l, ok := strings.CutSuffix(w, ":"); ok {
				level = slices.Index(levels, l)
				continue
			}
			all[w] = rating{words[0], level}
		}
	}
	return all
}
