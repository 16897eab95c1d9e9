package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/exchange"
)

var aliasName = regexp.MustCompile(`\A(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\z`)

var serverAlias = List("server-alias", nil, "host names", "Further names of the host; one that is a host itself is dropped.", func(s string) error {
	if strings.HasPrefix(s, "~") {
		return fmt.Errorf("%q is a regular expression, which is "+notYetWords, s)
	}
	if !aliasName.MatchString(strings.ToLower(s)) {
		return fmt.Errorf("%q is not a host name", s)
	}
	return nil
}, bad(Reject))

var _ = Register(Unit{
	Name: "server-alias", Doc: "Answers further names as the host of the Ingress.", Follows: "ingress-nginx",
	Keys: []Key{serverAlias},
	Apply: func(d *Draft) {
		var names []string
		for _, a := range serverAlias.Get(d) {
			names = append(names, strings.ToLower(a))
		}
		slices.Sort(names)
		d.res.Host.Aliases = slices.Compact(names)
	},
})

var (
	backendProtocol = Enum("backend-protocol", "HTTP", []string{"HTTP", "HTTPS", "AUTO_HTTP", "GRPC", "GRPCS", "FCGI"},
		"What is spoken to endpoints. HTTPS and GRPCS do not check their certificate. GRPC and GRPCS are HTTP/2, where request bodies are passed on as they come; a client that speaks gRPC gets errors of Pierhead as grpc-status, with HTTP status 200. Without it, HTTP/2 without TLS is spoken to a Service port whose appProtocol is kubernetes.io/h2c, unless an Ingress for that port says HTTP; WebSockets go there by HTTP/1.1. The others are not there yet: HTTP/1.1 is spoken.")
	secureBackends  = Bool("secure-backends", false, "Of 2017: backend-protocol: HTTPS.")
	grpcBackend     = Bool("grpc-backend", false, "Of 2018: backend-protocol: GRPC.")
	serviceUpstream = Bool("service-upstream", false, "Send requests to the address of the Service instead of those of its pods.", global)
	defaultBackend  = Text("default-backend", "", "[a-z]([a-z0-9-]*[a-z0-9])?", "Service name", "Not yet: the Service that answers for rules without ready endpoints, by its first port. They answer 503.", bad(Reject))
)

var _ = Register(Unit{
	Name: "upstream", Doc: "How the Services of an Ingress are talked to.", Follows: "ingress-nginx",
	Keys: []Key{backendProtocol, secureBackends, grpcBackend, serviceUpstream, defaultBackend},
	Apply: func(d *Draft) {
		u := &d.res.Upstream
		protocol, set := backendProtocol.Lookup(d)
		if !set && secureBackends.Get(d) {
			protocol = "HTTPS"
			d.Warn(secureBackends, "it is of 2017 and read as backend-protocol: HTTPS", "write backend-protocol: HTTPS")
		}
		if !set && grpcBackend.Get(d) {
			protocol = "GRPC"
			d.Warn(grpcBackend, "it is of 2018 and read as backend-protocol: GRPC", "write backend-protocol: GRPC")
		}
		u.Protocol, u.Told, u.ServiceIP = protocol, set, serviceUpstream.Get(d)
		if protocol == "AUTO_HTTP" || protocol == "FCGI" {
			d.Warn(backendProtocol, notYetWords+": HTTP/1.1 is spoken to endpoints", "")
		}
		d.res.DefaultBackend = defaultBackend.Get(d)
	},
})

var accessLog = Bool("enable-access-log", true, "Write requests of the Ingress to the access log.")

var _ = Register(Unit{
	Name: "access-log", Doc: "Leaves requests of an Ingress out of the access log; metrics count them still.", Follows: "nginx access_log",
	Keys: []Key{accessLog},
	Apply: func(d *Draft) {
		if !accessLog.Get(d) {
			d.Use(&AccessLog{})
		}
	},
})

// AccessLog leaves requests of a route out of the access log.
type AccessLog struct{ Used }

// PolicyName returns "no-access-log".
func (*AccessLog) PolicyName() string { return "no-access-log" }

// Phase returns Respond; there is no step.
func (*AccessLog) Phase() exchange.Phase { return exchange.Respond }

// Build marks the route.
func (*AccessLog) Build(env *Env) (any, error) {
	env.Route.NoLog = true
	return nil, nil
}
