package policy

// knownConfig are the keys of the ConfigMap that no unit reads.
var knownConfig = table{}.
	add(notYet, `
add-headers hide-headers proxy-set-headers global-allowed-response-headers
allow-cross-namespace-resources: objects of other namespaces are refused
main-snippet http-snippet server-snippet stream-snippet location-snippet
bind-address disable-ipv6 disable-ipv6-dns
enable-auth-access-log
error-log-path error-log-level debug-connections enable-syslog syslog-host syslog-port
enable-modsecurity modsecurity-snippet enable-owasp-modsecurity-crs
enable-ocsp ssl-ecdh-curve ssl-reject-handshake
ssl-session-ticket-key: the keys of tickets are made at start
use-geoip2 geoip2-autoreload-in-minutes
use-gzip gzip-disable gzip-level gzip-min-length gzip-types enable-brotli brotli-level brotli-min-length brotli-types
nginx-status-ipv4-whitelist nginx-status-ipv6-whitelist
proxy-protocol-header-timeout
enable-opentelemetry opentelemetry-trust-incoming-span opentelemetry-operation-name
otlp-collector-host otlp-collector-port otel-max-queuesize otel-schedule-delay-millis otel-max-export-batch-size
otel-service-name otel-sampler otel-sampler-parent-based otel-sampler-ratio
custom-http-errors disable-proxy-intercept-errors
proxy-cookie-path proxy-cookie-domain proxy-redirect-from proxy-redirect-to proxy-http-version
relative-redirects limit-rate limit-rate-after
global-auth-snippet
global-auth-cache-key global-auth-cache-duration: every request asks the service
proxy-ssl-location-only default-type
`).
	add(meaningless, `
access-log-params enable-aio-write enable-multi-accept enable-serial-reloads reuse-port worker-cpu-affinity
client-header-buffer-size client-body-buffer-size http2-max-field-size http2-max-header-size: large-client-header-buffers sets the limits
http2-max-requests: keep-alive-requests counts for HTTP/2 too
max-worker-open-files map-hash-bucket-size variables-hash-bucket-size variables-hash-max-size lua-shared-dicts
server-name-hash-max-size server-name-hash-bucket-size proxy-headers-hash-max-size proxy-headers-hash-bucket-size
ssl-dh-param: Go has no DHE ciphers
ssl-early-data: Go has no 0-RTT over TCP; http3-early-data allows it over HTTP/3
ssl-session-cache ssl-session-cache-size ssl-session-timeout ssl-buffer-size: Go's TLS sets these by itself
forwarded-for-proxy-protocol-header: no helper header is needed
opentelemetry-config: there is no file of nginx's module
proxy-buffers-number proxy-busy-buffers-size proxy-max-temp-file-size grpc-buffer-size-kb: memory is managed by itself
proxy-buffering: answers are streamed as they come
app-root upstream-hash-by upstream-hash-by-subset upstream-hash-by-subset-size: ingress-nginx has never read it in the ConfigMap
`).
	add(removed, `
jaeger-collector-host jaeger-collector-port jaeger-endpoint jaeger-service-name jaeger-propagation-format: use enable-opentelemetry
jaeger-sampler-type jaeger-sampler-param jaeger-sampler-host jaeger-sampler-port: use enable-opentelemetry
jaeger-trace-context-header-name jaeger-debug-header jaeger-baggage-header jaeger-trace-baggage-header-prefix: use enable-opentelemetry
use-geoip: use use-geoip2
body-size: use proxy-body-size
enable-vts-status vts-status-zone-size vts-default-filter-key: use the Prometheus metrics
enable-dynamic-tls-records: remove it
upstream-max-fails upstream-fail-timeout: failed tries go to another endpoint (proxy-next-upstream)
custom-http-headers: use proxy-set-headers
`).
	guard("modsecurity-snippet", always).
	guard("location-snippet", snippetGuards.MatchString).
	guard("server-snippet", snippetGuards.MatchString).
	guard("http-snippet", snippetGuards.MatchString)
