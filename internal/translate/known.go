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

// knownFlags are all flags of ingress-nginx, those of klog, and those it once had.
var knownFlags = map[string]flagInfo{
	"annotations-prefix":          {kind: textFlag, effect: served, set: func(f *Flags, v string) { f.AnnotationsPrefix = v }},
	"configmap":                   {kind: objectFlag, effect: served, set: func(f *Flags, v string) { f.ConfigMap = v }},
	"controller-class":            {kind: textFlag, effect: served, set: func(f *Flags, v string) { f.ControllerClass = v }},
	"default-backend-service":     {kind: objectFlag, effect: served, set: func(f *Flags, v string) { f.DefaultBackendService = v }},
	"default-ssl-certificate":     {kind: objectFlag, effect: served, set: func(f *Flags, v string) { f.DefaultSSLCertificate = v }},
	"disable-catch-all":           {kind: boolFlag, effect: served, set: func(f *Flags, v string) { f.DisableCatchAll = truth(v) }},
	"disable-svc-external-name":   {kind: boolFlag, effect: served, set: func(f *Flags, v string) { f.DisableExternalName = truth(v) }},
	"http-port":                   {kind: portFlag, effect: served, set: func(f *Flags, v string) { f.HTTPPort = port(v) }},
	"https-port":                  {kind: portFlag, effect: served, set: func(f *Flags, v string) { f.HTTPSPort = port(v) }},
	"ingress-class":               {kind: textFlag, effect: served, set: func(f *Flags, v string) { f.IngressClass = v }},
	"ingress-class-by-name":       {kind: boolFlag, effect: served, set: func(f *Flags, v string) { f.IngressClassByName = truth(v) }},
	"publish-service":             {kind: objectFlag, effect: served, set: func(f *Flags, v string) { f.PublishService = v }},
	"publish-status-address":      {kind: textFlag, effect: served, set: setStatusAddress},
	"watch-ingress-without-class": {kind: boolFlag, effect: served, set: func(f *Flags, v string) { f.WatchWithoutClass = truth(v) }},
	"watch-namespace":             {kind: textFlag, effect: served, set: func(f *Flags, v string) { f.WatchNamespace = v }},
	"watch-namespace-selector":    {kind: textFlag, effect: served, set: func(f *Flags, v string) { f.WatchNamespaceSelector = v }},

	"enable-ssl-chain-completion":   {kind: boolFlag, effect: laterFlag, off: "false"},
	"enable-ssl-passthrough":        {kind: boolFlag, effect: laterFlag, off: "false"},
	"enable-topology-aware-routing": {kind: boolFlag, effect: laterFlag, off: "false"},
	"tcp-services-configmap":        {kind: objectFlag, effect: laterFlag},
	"udp-services-configmap":        {kind: objectFlag, effect: laterFlag},
	"validating-webhook":            {kind: textFlag, effect: laterFlag},

	"apiserver-host": {}, "certificate-authority": {}, "kubeconfig": {},
	"bucket-factor":                   {kind: floatFlag},
	"deep-inspect":                    {kind: boolFlag},
	"default-server-port":             {kind: portFlag},
	"disable-full-test":               {kind: boolFlag},
	"disable-leader-election":         {kind: boolFlag},
	"disable-sync-events":             {kind: boolFlag},
	"dynamic-configuration-retries":   {kind: intFlag},
	"election-id":                     {},
	"election-ttl":                    {kind: durationFlag},
	"enable-annotation-validation":    {kind: boolFlag},
	"enable-metrics":                  {kind: boolFlag},
	"exclude-socket-metrics":          {},
	"health-check-path":               {},
	"health-check-timeout":            {kind: intFlag},
	"healthz-host":                    {},
	"healthz-port":                    {kind: portFlag},
	"internal-logger-address":         {},
	"length-buckets":                  {},
	"max-buckets":                     {kind: intFlag},
	"maxmind-edition-ids":             {},
	"maxmind-license-key":             {},
	"maxmind-mirror":                  {},
	"maxmind-retries-count":           {kind: intFlag},
	"maxmind-retries-timeout":         {kind: durationFlag},
	"metrics-per-host":                {kind: boolFlag},
	"metrics-per-undefined-host":      {kind: boolFlag},
	"monitor-max-batch-size":          {kind: intFlag},
	"post-shutdown-grace-period":      {kind: intFlag},
	"profiler-address":                {},
	"profiler-port":                   {kind: portFlag},
	"profiling":                       {kind: boolFlag},
	"report-node-internal-ip-address": {kind: boolFlag},
	"report-status-classes":           {kind: boolFlag},
	"shutdown-grace-period":           {kind: intFlag},
	"size-buckets":                    {},
	"ssl-passthrough-proxy-port":      {kind: portFlag},
	"status-port":                     {kind: portFlag},
	"status-update-interval":          {kind: intFlag},
	"stream-port":                     {kind: portFlag},
	"sync-period":                     {kind: durationFlag},
	"sync-rate-limit":                 {kind: floatFlag},
	"time-buckets":                    {},
	"update-status":                   {kind: boolFlag},
	"update-status-on-shutdown":       {kind: boolFlag},
	"validating-webhook-certificate":  {},
	"validating-webhook-key":          {},
	"version":                         {kind: boolFlag},

	"v": {kind: intFlag}, "vmodule": {}, "log_dir": {}, "log_file": {}, "log_backtrace_at": {},
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

func setStatusAddress(f *Flags, v string) {
	f.PublishStatusAddress = nil
	for a := range strings.SplitSeq(v, ",") {
		if a = strings.TrimSpace(a); a != "" {
			f.PublishStatusAddress = append(f.PublishStatusAddress, a)
		}
	}
}
