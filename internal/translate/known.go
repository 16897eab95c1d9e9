package translate

import (
	"strconv"
	"strings"
	"time"
)

// parseDuration reads a Go duration.
func parseDuration(s string) (time.Duration, error) { return time.ParseDuration(s) }

func truth(s string) bool { b, _ := strconv.ParseBool(s); return b } // checked before

func port(s string) uint16 { n, _ := strconv.ParseUint(s, 10, 16); return uint16(n) } // checked before

// knownFlags are all flags of ingress-nginx, those of klog, those it once had, and ours.
var knownFlags = map[string]flagInfo{
	"annotations-prefix":          {kind: textFlag, effect: served, set: func(f *Flags, v string) { f.AnnotationsPrefix = v }, off: "nginx.ingress.kubernetes.io", doc: "What annotations begin with."},
	"configmap":                   {kind: objectFlag, effect: served, set: func(f *Flags, v string) { f.ConfigMap = v }, doc: "The ConfigMap with the settings, as namespace/name. Changes apply at once."},
	"controller-class":            {kind: textFlag, effect: served, set: func(f *Flags, v string) { f.ControllerClass = v }, off: "k8s.io/ingress-nginx", doc: "The spec.controller of the IngressClasses that are ours."},
	"default-backend-service":     {kind: objectFlag, effect: served, set: func(f *Flags, v string) { f.DefaultBackendService = v }, doc: "Answers what no rule takes, by its first port, as namespace/name."},
	"default-ssl-certificate":     {kind: objectFlag, effect: served, set: func(f *Flags, v string) { f.DefaultSSLCertificate = v }, doc: "The Secret with the certificate for hosts that have none, as namespace/name."},
	"disable-catch-all":           {kind: boolFlag, effect: served, set: func(f *Flags, v string) { f.DisableCatchAll = truth(v) }, off: "false", doc: "Ingresses for requests of any host are not served."},
	"disable-svc-external-name":   {kind: boolFlag, effect: served, set: func(f *Flags, v string) { f.DisableExternalName = truth(v) }, off: "false", doc: "Services of type ExternalName lead nowhere."},
	"http-port":                   {kind: portFlag, effect: served, set: func(f *Flags, v string) { f.HTTPPort = port(v) }, off: "80", doc: "The HTTP port."},
	"https-port":                  {kind: portFlag, effect: served, set: func(f *Flags, v string) { f.HTTPSPort = port(v) }, off: "443", doc: "The HTTPS port."},
	"ingress-class":               {kind: textFlag, effect: served, set: func(f *Flags, v string) { f.IngressClass = v }, off: "nginx", doc: "The value of the annotation kubernetes.io/ingress.class that is ours."},
	"ingress-class-by-name":       {kind: boolFlag, effect: served, set: func(f *Flags, v string) { f.IngressClassByName = truth(v) }, off: "false", doc: "An IngressClass of the name of --ingress-class is ours too."},
	"tcp-services-configmap":      {kind: objectFlag, effect: served, set: func(f *Flags, v string) { f.TCPServices = v }, doc: "TCP ports that lead to Services, as namespace/name of a ConfigMap. Changes apply at once."},
	"udp-services-configmap":      {kind: objectFlag, effect: served, set: func(f *Flags, v string) { f.UDPServices = v }, doc: "UDP ports that lead to Services, as namespace/name of a ConfigMap. Changes apply at once."},
	"enable-ssl-passthrough":      {kind: boolFlag, effect: served, set: func(f *Flags, v string) { f.SSLPassthrough = truth(v) }, off: "false", doc: "TLS connections go unopened to the Services of hosts whose Ingress has the annotation ssl-passthrough."},
	"publish-service":             {kind: objectFlag, effect: served, set: func(f *Flags, v string) { f.PublishService = v }, doc: "The Service whose addresses the Ingresses' status gets, as namespace/name."},
	"publish-status-address":      {kind: textFlag, effect: served, set: setStatusAddress, doc: "The addresses that the Ingresses' status gets, with commas between them."},
	"watch-ingress-without-class": {kind: boolFlag, effect: served, set: func(f *Flags, v string) { f.WatchWithoutClass = truth(v) }, off: "false", doc: "Ingresses that name no class are ours too."},
	"watch-namespace":             {kind: textFlag, effect: served, set: func(f *Flags, v string) { f.WatchNamespace = v }, doc: "The only namespace whose Ingresses are served."},
	"watch-namespace-selector":    {kind: textFlag, effect: served, set: func(f *Flags, v string) { f.WatchNamespaceSelector = v }, doc: "Serves the Ingresses of namespaces with these labels."},

	"apiserver-host":                  {honoured: true, doc: "The API server, as protocol://host:port; by default the cluster that the process runs in."},
	"certificate-authority":           {honoured: true, doc: "The file with the API server's certificate authority, with --apiserver-host."},
	"kubeconfig":                      {honoured: true, doc: "The client configuration file."},
	"bucket-factor":                   {kind: floatFlag, honoured: true, off: "0", doc: "Growth of the buckets of native histograms, which metrics of requests have besides the usual ones when it is more than 1."},
	"deep-inspect":                    {kind: boolFlag, honoured: true, off: "true", doc: "The admission webhook refuses hosts, paths and names of Secrets that could break out of an nginx.conf. There is none here: what is stored already is served."},
	"default-server-port":             {kind: portFlag, off: "8181", doc: "The port of nginx's own 404 server; there is none here."},
	"disable-full-test":               {kind: boolFlag, off: "false", doc: "What the admission webhook renders. Ours renders nothing: it translates the Ingress with all others that make a difference to it."},
	"disable-leader-election":         {kind: boolFlag, honoured: true, off: "false", doc: "No Lease: this process alone writes status and Events."},
	"disable-sync-events":             {kind: boolFlag, honoured: true, off: "false", doc: "No Sync events on Ingresses."},
	"dynamic-configuration-retries":   {kind: intFlag, off: "15", doc: "Retries inside nginx; there are none here."},
	"election-id":                     {honoured: true, off: "ingress-controller-leader", doc: "The name of the Lease."},
	"election-ttl":                    {kind: durationFlag, honoured: true, off: "30s", doc: "How long the Lease holds; it is renewed after a quarter."},
	"enable-annotation-validation":    {kind: boolFlag, off: "true", doc: "Values are always checked here."},
	"enable-metrics":                  {kind: boolFlag, honoured: true, off: "false", doc: "Metrics by Ingress and host. All others are always there."},
	"enable-ssl-chain-completion":     {kind: boolFlag, off: "false", doc: "Fetches missing intermediate certificates; none is fetched here, since a certificate could name any address: a chain that lacks one is told."},
	"enable-topology-aware-routing":   {kind: boolFlag, honoured: true, off: "false", doc: "Where a Service asks for it, endpoints for the zone of this Pod's node go first."},
	"exclude-socket-metrics":          {kind: listFlag, honoured: true, doc: "Metrics of requests that are left out, with or without nginx_ingress_controller_, with commas between them."},
	"health-check-path":               {honoured: true, off: "/healthz", doc: "The path of the health check."},
	"health-check-timeout":            {kind: intFlag, off: "10", doc: "Seconds for nginx to answer; there is none here."},
	"healthz-host":                    {honoured: true, doc: "The address of health check and metrics; all by default."},
	"healthz-port":                    {kind: portFlag, honoured: true, set: func(f *Flags, v string) { f.HealthzPort = port(v) }, off: "10254", doc: "Their port."},
	"internal-logger-address":         {off: "127.0.0.1:11514", doc: "Where nginx's log goes in a chroot; there is none here."},
	"length-buckets":                  {kind: floatsFlag, honoured: true, off: "10,20,30,40,50,60,70,80,90,100", doc: "Buckets of request and response sizes, in bytes."},
	"max-buckets":                     {kind: countFlag, honoured: true, off: "100", doc: "The most buckets of a native histogram; it gets coarser instead. 0 is any number."},
	"maxmind-edition-ids":             {off: "GeoLite2-City,GeoLite2-ASN", doc: "GeoIP databases."},
	"maxmind-license-key":             {doc: "Their licence."},
	"maxmind-mirror":                  {doc: "Where they come from."},
	"maxmind-retries-count":           {kind: intFlag, off: "1", doc: "How often they are tried."},
	"maxmind-retries-timeout":         {kind: durationFlag, off: "0s", doc: "How long they are tried."},
	"metrics-per-host":                {kind: boolFlag, honoured: true, off: "true", doc: "Metrics of requests have the label host."},
	"metrics-per-undefined-host":      {kind: boolFlag, honoured: true, off: "false", doc: "Metrics also of requests for hosts that no Ingress names, such as those below a wildcard: up to 256 for each path, the others together. Needs --metrics-per-host."},
	"monitor-max-batch-size":          {kind: intFlag, off: "10000", doc: "A queue inside nginx; there is none here."},
	"post-shutdown-grace-period":      {kind: intFlag, honoured: true, off: "10", doc: "Seconds between the last connection and the end of the process."},
	"profiler-address":                {honoured: true, off: "127.0.0.1", doc: "The address of the profiler."},
	"profiler-port":                   {kind: portFlag, honoured: true, set: func(f *Flags, v string) { f.ProfilerPort = port(v) }, off: "10245", doc: "Its port."},
	"profiling":                       {kind: boolFlag, honoured: true, set: func(f *Flags, v string) { f.Profiling = truth(v) }, off: "true", doc: "Serves Go's profiles there, under /debug/pprof/."},
	"report-node-internal-ip-address": {kind: boolFlag, honoured: true, off: "false", doc: "Where status gets the addresses of nodes: the internal ones."},
	"report-status-classes":           {kind: boolFlag, honoured: true, off: "false", doc: "Metrics of requests have the status 2xx instead of 200."},
	"shutdown-grace-period":           {kind: intFlag, honoured: true, off: "5", doc: "Seconds between SIGTERM and the last connection that is accepted, longer by up to 15 while connections still come unless it is 0. In ingress-nginx the default is 0, which loses connections."},
	"size-buckets":                    {kind: floatsFlag, honoured: true, off: "10,100,1000,10000,100000,1e+06,1e+07", doc: "Buckets of bytes sent."},
	"ssl-passthrough-proxy-port":      {kind: portFlag, off: "442", doc: "A port between parts of nginx; there are none here."},
	"state-api":                       {kind: boolFlag, honoured: true, ours: true, off: "true", doc: "Answers questions about what is served, on the address of the health check, under /api/ (docs/json.md); kubectl pierhead needs it."},
	"status-port":                     {kind: portFlag, honoured: true, set: func(f *Flags, v string) { f.StatusPort = port(v) }, off: "10246", doc: "The port of 127.0.0.1 with /nginx_status, as nginx's stub_status writes it, /healthz and /is-dynamic-lb-initialized. A port that is not free is told, and serving goes on without."},
	"status-update-interval":          {kind: intFlag, honoured: true, off: "60", doc: "Seconds between two looks at every Ingress's status; changes are written at once."},
	"stream-port":                     {kind: portFlag, off: "10247", doc: "A port inside nginx; there is none here."},
	"sync-period":                     {kind: durationFlag, off: "0s", doc: "When caches are gone through again; they are compared with every list instead."},
	"sync-rate-limit":                 {kind: floatFlag, off: "0.3", doc: "Reloads of nginx in a second; changes apply at once here."},
	"takeover":                        {kind: boolFlag, honoured: true, ours: true, off: "false", doc: "Takes over the listening sockets of the controller of the same namespace, lease and class on this node, and hands them to the next one (docs/install.md, Rolling). Linux only."},
	"time-buckets":                    {kind: floatsFlag, honoured: true, off: "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10", doc: "Buckets of durations, in seconds."},
	"update-status":                   {kind: boolFlag, honoured: true, off: "true", doc: "Writes the Ingresses' status."},
	"update-status-on-shutdown":       {kind: boolFlag, honoured: true, off: "true", doc: "The last one empties it when it ends."},
	"validating-webhook":              {honoured: true, set: setWebhook, doc: "The address, as host:port, at which the API server asks about Ingresses before it stores them. By default it is not asked."},
	"validating-webhook-certificate":  {honoured: true, doc: "The file with the webhook's certificate and its chain; it is read again when it changes. Without it the certificate is made here and kept in a Secret, as the chart has it."},
	"validating-webhook-key":          {honoured: true, doc: "The file with its key."},
	"version":                         {kind: boolFlag, honoured: true, off: "false", doc: "Prints the version and exits."},

	"v": {kind: intFlag, honoured: true, off: "0"}, "vmodule": {}, "log_dir": {}, "log_file": {}, "log_backtrace_at": {},
	"log-dir": {}, "log-file": {}, "log-backtrace-at": {},
	"logtostderr": {kind: boolFlag}, "alsologtostderr": {kind: boolFlag}, "stderrthreshold": {},
	"log_file_max_size": {kind: intFlag}, "log-file-max-size": {kind: intFlag},
	"add_dir_header": {kind: boolFlag}, "add-dir-header": {kind: boolFlag},
	"skip_headers": {kind: boolFlag}, "skip-headers": {kind: boolFlag},
	"skip_log_headers": {kind: boolFlag}, "skip-log-headers": {kind: boolFlag},
	"one_output": {kind: boolFlag}, "one-output": {kind: boolFlag},

	"disable-node-list":            {kind: boolFlag, effect: removedFlag},
	"enable-dynamic-certificates":  {kind: boolFlag, effect: removedFlag},
	"enable-dynamic-configuration": {kind: boolFlag, effect: removedFlag},
	"force-namespace-isolation":    {kind: boolFlag, effect: removedFlag},
	"sort-backends":                {kind: boolFlag, effect: removedFlag},
	"ssl-passtrough-proxy-port":    {kind: portFlag, effect: removedFlag},
}

// setWebhook notes the port of the webhook. An address without one is refused at the start.
func setWebhook(f *Flags, v string) { f.WebhookPort = port(v[strings.LastIndexByte(v, ':')+1:]) }

func setStatusAddress(f *Flags, v string) {
	f.PublishStatusAddress = nil
	for a := range strings.SplitSeq(v, ",") {
		if a = strings.TrimSpace(a); a != "" {
			f.PublishStatusAddress = append(f.PublishStatusAddress, a)
		}
	}
}
