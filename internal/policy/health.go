package policy

import (
	"fmt"
	"strings"
	"time"
)

// Within declares a key that is a time within bounds, as nginx writes it.
func Within(name string, def, low, high time.Duration, show, doc string, opts ...option) *Value[time.Duration] {
	return key(name, "time", def, show, doc, func(s string) (time.Duration, error) {
		d, err := parseTime(s)
		if err == nil && (d < low || d > high) {
			err = fmt.Errorf("%q is not between %v and %v", s, low, high)
		}
		return d, err
	}, opts)
}

var (
	ejectAfter = Int("eject-after", 0, 0, 1000, "Failed tries in a row after which an endpoint gets no requests for a while; 0: never.", global)
	ejectFor   = Within("eject-for", 10*time.Second, time.Second, time.Hour, "10s", "For how long the first time: each time soon after doubles it, up to 16 times.", global)
	slowStart  = Within("slow-start", 0, 0, time.Hour, "0", "In which an endpoint that joins others, or is back, comes from a tenth of its share to all of it. upstream-hash-by does not look at it.", global)
)

var _ = Register(Unit{
	Name: "eject",
	Doc: "Ours; ingress-nginx has nothing like it, and nothing is ejected unless eject-after is set. " +
		"A try fails when there is no connection or no valid answer in time, or with a status that proxy-next-upstream names, but for 403 and 404; what the client breaks off counts for nothing. " +
		"Never is more than half of the endpoints ejected. While no endpoint is in use, all are used. A session by cookie goes to another endpoint. " +
		"Each replica finds out for itself. The first Ingress that names a Service decides.",
	Follows: "nginx max_fails and slow_start, of which this keeps the idea",
	Keys:    []Key{ejectAfter, ejectFor, slowStart},
	Apply: func(d *Draft) {
		b := &d.res.Upstream.Balancing
		if b.EjectAfter = ejectAfter.Get(d); b.EjectAfter > 0 {
			b.EjectFor = ejectFor.Get(d)
		} else if ejectFor.Own(d) {
			d.Warn(ejectFor, "nothing is ejected without eject-after", "set eject-after, for example to 5")
		}
		b.SlowStart = slowStart.Get(d)
	},
	Example: `
-- annotations --
pierhead.dev/eject-after: "5"
pierhead.dev/slow-start: 30s
-- upstream --
EjectAfter: 5
EjectFor: 10s
SlowStart: 30s
`,
})

// statusRange is the status codes of a good answer.
type statusRange struct{ low, high int }

func parseStatusRange(s string) (r statusRange, err error) {
	low, high, two := strings.Cut(s, "-")
	if r.low, err = parseInt(low, 200, 599); err == nil {
		if r.high = r.low; two {
			r.high, err = parseInt(high, r.low, 599)
		}
	}
	if err != nil {
		err = fmt.Errorf("%q is neither a status such as 200 nor a range such as 200-299", s)
	}
	return r, err
}

var (
	checkPath      = Text("health-check-path", "", "/[!-~]*", "path", "Asks each endpoint for this path, query included. Without it nothing is asked.", global)
	checkHost      = Text("health-check-host", "", `[A-Za-z0-9_.:\[\]-]+`, "host", "The Host that is sent; the address of the endpoint when it is not set.", global)
	checkInterval  = Within("health-check-interval", 10*time.Second, time.Second, time.Hour, "10s", "Time between two questions to one endpoint, give or take a tenth.", global)
	checkTimeout   = Within("health-check-timeout", 2*time.Second, 10*time.Millisecond, time.Minute, "2s", "In which connection and response head must come.", global)
	checkHealthy   = Int("health-check-healthy", 2, 1, 100, "Good answers in a row after which an unhealthy endpoint is used again.", global)
	checkUnhealthy = Int("health-check-unhealthy", 3, 1, 100, "Failures in a row after which an endpoint gets no requests.", global)
	checkService   = Text("health-check-grpc-service", "", `[A-Za-z0-9_.\-]+`, "service name", "The service that is asked of with GRPC and GRPCS, in the place of the path; the server as a whole when it is not set.", global)
	checkStatus    = key("health-check-status", "status or range", statusRange{200, 399}, "200-399", "The status codes of a good answer.", parseStatusRange, []option{global})
)

var _ = Register(Unit{
	Name: "health-check",
	Doc: "Ours; nothing is asked unless health-check-path is set. Kubernetes asks Pods already: this is for what a replica of the controller cannot reach, and for endpoints that are no Pods. " +
		"GET by HTTP/1.1, over TLS with backend-protocol: HTTPS, on a connection of its own, of each endpoint of a Service port once whatever the number of paths. " +
		"Endpoints of GRPC and GRPCS are asked by the health checking protocol of gRPC (grpc.health.v1.Health/Check), of a service and not for the path: only SERVING is a good answer, " +
		"or that the server does not know this protocol. " +
		"An endpoint is taken for healthy until it was asked. An unhealthy one gets no requests while another one is in use; when none is, all are used, and the log says so. " +
		"The first Ingress that names a Service decides.",
	Follows: "nothing; the words are those of other load balancers. gRPC health checking protocol",
	Keys:    []Key{checkPath, checkHost, checkInterval, checkTimeout, checkHealthy, checkUnhealthy, checkStatus, checkService},
	Apply:   applyCheck,
	Example: `
-- annotations --
pierhead.dev/health-check-path: /healthz
pierhead.dev/health-check-interval: 5s
pierhead.dev/health-check-status: 200-299
-- upstream --
Check: {/healthz  5s 2s 2 3 200 299 }
`,
})

func applyCheck(d *Draft) {
	c := &d.res.Upstream.Check
	if c.Path = checkPath.Get(d); c.Path == "" {
		for _, k := range []Key{checkHost, checkInterval, checkTimeout, checkHealthy, checkUnhealthy, checkStatus, checkService} {
			if _, own := d.own[k.decl()]; own {
				d.Warn(k, "nothing is asked without health-check-path", "set health-check-path, for example to /healthz")
			}
		}
		return
	}
	p, set := backendProtocol.Lookup(d)
	if !set && grpcBackend.Get(d) {
		p = "GRPC"
	}
	switch {
	case p == "FCGI":
		d.Warn(checkPath, "endpoints of backend-protocol FCGI are not asked: health checks speak HTTP", "remove it, or ask only for the Ingresses of other protocols")
		c.Path = ""
		return
	case !strings.HasPrefix(p, "GRPC") && checkService.Own(d):
		d.Warn(checkService, "endpoints of backend-protocol "+p+" are asked for the path", "remove it, or set backend-protocol: GRPC")
	case !strings.HasPrefix(p, "GRPC"):
	case checkStatus.Own(d):
		d.Warn(checkStatus, "endpoints of backend-protocol "+p+" are asked by the health checking protocol of gRPC, whose good answer is SERVING", "remove it")
		fallthrough
	default:
		c.Service = checkService.Get(d)
	}
	c.Host, c.Interval, c.Timeout = checkHost.Get(d), checkInterval.Get(d), checkTimeout.Get(d)
	c.Healthy, c.Unhealthy = checkHealthy.Get(d), checkUnhealthy.Get(d)
	r := checkStatus.Get(d)
	c.Low, c.High = r.low, r.high
}
