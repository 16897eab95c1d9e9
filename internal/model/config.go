// Package model is what should be served, as plain values: no Kubernetes types, no
// pointers into anything that runs. The same objects give the same Config, byte for
// byte when printed, whatever order they were read in.
//
// Endpoints are not part of it: they change at another pace and go to the upstreams
// directly (EndpointSet).
package model

import (
	"net/netip"
	"time"
)

// Config is all that one process serves.
type Config struct {
	Controllers   []Controller   // sorted by Name
	Upstreams     []Upstream     // sorted by Name
	Certificates  []Certificate  // sorted by Name
	LoadBalancers []LoadBalancer // sorted by Namespace, Name
	Names         []NameClaim    // sorted by Name, then by age of the claim: the first one wins
}

// Controller is one ingress controller: listeners, and the hosts served on them.
// A cluster pod has one; a folder of manifests may hold several.
type Controller struct {
	Name      string // namespace/name of its Deployment, or "default"
	Labels    map[string]string
	Namespace string
	Class     string `json:"-"` // spec.controller of the IngressClasses that are its own
	Listeners []Listener
	Hosts     []*Host  // sorted by Name; Name "" is the catch-all and always there. One that has not changed is the same
	HandedOn  []*Host  `json:"-"`          // those of Hosts with Passthrough
	Streams   []Stream `json:",omitempty"` // sorted by Protocol, Port
	Settings  Settings
	Given     []Given `json:"-"` // what its ConfigMap says and is read, sorted by Key
	Publish   string  // namespace/name of the Service whose addresses go to the Ingresses' status
	// PublishAddresses go to the Ingresses' status instead of those of Publish.
	PublishAddresses []string `json:",omitempty"`
	Ingresses        []Origin // served, the oldest first
	Origin           Origin
}

// Listener is one port of a controller.
type Listener struct {
	Name          string // "http" or "https"
	Port          uint16 // the port it stands for, which clients see in redirects and X-Forwarded-Port
	Bind          string // address to bind, or "" for one the process chooses
	TLS           bool
	ProxyProtocol bool
}

// Given is a key of a controller's ConfigMap as somebody wrote it.
type Given struct {
	Key, Value string
	Field      string
	Origin     Origin
}

// Stream is one port whose connections or datagrams go to an upstream as they are.
type Stream struct {
	Protocol  string // "TCP" or "UDP"
	Port      uint16
	Upstream  string // name in Config.Upstreams
	Namespace string // of the Service
	Service   string
	ProxyIn   bool `json:",omitempty"` // clients begin with a PROXY header
	ProxyOut  bool `json:",omitempty"` // endpoints get one
	Origin    Origin
}

// StreamSettings are how a controller treats its Streams.
type StreamSettings struct {
	Idle            time.Duration // no byte or datagram for so long ends one; 0: never
	Tries           int           // endpoints tried for a TCP connection; 0: all
	TryFor          time.Duration // no further try starts after it; 0: no bound
	Responses       int           // datagrams that answer each one, after which a UDP session ends; 0: none
	AccessLog       bool
	AccessLogFormat string // nginx log_format text
	AccessLogPath   string
}

// Settings are the values of a controller's ConfigMap that belong to no route.
type Settings struct {
	DefaultCertificate string         // name in Config.Certificates, or "" for one made at start
	TLSMin, TLSMax     uint16         // crypto/tls versions
	CipherSuites       []uint16       // of TLS 1.2; empty: Go's choice
	SessionTickets     bool           // TLS sessions may be resumed
	HTTP2              bool           // offered by ALPN
	HTTP3              bool           // served on the UDP port of the same number, and told of by Alt-Svc
	EarlyData          bool           // HTTP/3 takes safe requests before the handshake is over
	MaxStreams         uint32         // per HTTP/2 or HTTP/3 connection
	KeepAlive          time.Duration  // idle time of a client connection; 0 closes after each request
	KeepAliveRequests  int            // requests per client connection
	HeaderTimeout      time.Duration  // to receive a head
	BodyTimeout        time.Duration  // between two reads of a body
	BodyRate           int            // bytes a second that a body must come with; 0: none
	WorkerConnections  int            // client connections per worker; 0: any number
	Workers            int            // 0: one for each event loop
	ClientConnections  int            // of one client address; 0: any number
	MaxLine            int            // longest request line or field
	MaxHead            int            // longest head
	Underscores        bool           // pass fields whose names hold "_"
	InvalidHeaders     bool           // pass fields with invalid names instead of dropping them
	TrustedProxies     []netip.Prefix // whose PROXY headers and X-Forwarded-* count
	ForwardedHeaders   bool           // X-Forwarded-* are believed
	RealIP             bool           // only the address is believed
	ForwardedForHeader string
	AppendForwardedFor bool // compute-full-forwarded-for
	OriginalURI        bool // send X-Original-URI
	GenerateRequestID  bool
	ServerTokens       bool // Server: and the version in error pages
	AccessLog          bool
	AccessLogFormat    string // nginx log_format text
	AccessLogEscape    string // "default", "json" or "none"
	AccessLogPath      string
	LogDefaultBackend  bool
	SkipLogURIs        []string
	KeepUpstream       int           // idle upstream connections per loop; 0 keeps none
	UpstreamIdle       time.Duration // idle time of an upstream connection
	UpstreamLife       time.Duration // age after which it is not used again
	UpstreamRequests   int           // requests per upstream connection
	DrainTimeout       time.Duration // worker-shutdown-timeout
	Streams            StreamSettings
}

// Host is one server name with its routes.
type Host struct {
	Name        string // lower case; "" is the catch-all, "*.x" one label below x
	Aliases     []string
	TLS         bool   // a TLS entry names it: redirects count it as a TLS host
	Certificate string // name in Config.Certificates, or "" for the default one
	Passthrough string `json:",omitempty"` // upstream that TLS connections for the name go to unopened; "": TLS ends here
	Regex       bool   // every path of the host is a regular expression
	Routes      []Route
	Origin      Origin
}

// PathType says how a route's path is compared (Ingress v1).
type PathType uint8

// The path types. ImplementationSpecific is Prefix, as ingress-nginx has it.
const (
	Prefix PathType = iota
	Exact
	Regex
)

// String returns the path type's name.
func (t PathType) String() string { return [...]string{"Prefix", "Exact", "Regex"}[t] }

// MarshalText prints the type's name.
func (t PathType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Route is one path of one host.
type Route struct {
	ID       string // controller|host|type|path: unique and stable
	Path     string
	PathType PathType
	Policies []Policy
	Upstream string // name in Config.Upstreams; "": answered by the controller itself (404)
	Implicit bool   // the "/" that a host has without a rule of its own
	Closed   string // why the route answers 503, or ""

	Namespace string // of the Ingress
	Ingress   string
	Service   string
	Port      string
	Origin    Origin
}

// Policy is a behaviour of a route, as data. The values are types of package
// policy.
type Policy interface{ PolicyName() string }

// Upstream is a Service port that requests are balanced over.
type Upstream struct {
	Name      string // namespace-service-port
	Namespace string
	Service   string
	Port      string // number or name as the backend has it
	Protocol  string // "HTTP", "HTTPS", "H2C" (HTTP/2 without TLS), …; "TCP" or "UDP" where only Streams lead
	Balancing
	External  string // name of an ExternalName Service, resolved at run time; else ""
	ExternalP uint16 // its port
	ServiceIP bool   `json:",omitempty"` // its only endpoint is the address of the Service
	Sticky    *Sticky
	Origin    Origin
}

// Balancing is how an endpoint of an upstream is chosen where no session binds the client.
type Balancing struct {
	Balance string // "round_robin", "ewma", "least_requests", or "hash"
	HashBy  string `json:",omitempty"` // of "hash": the text with variables that chooses
	Subset  int    `json:",omitempty"` // of "hash": it chooses that many endpoints, and chance one of them; 0: it chooses one

	EjectAfter int           `json:",omitempty"` // failures in a row that put an endpoint out; 0: none do
	EjectFor   time.Duration `json:",omitempty"` // how long the first time
	SlowStart  time.Duration `json:",omitempty"` // in which a newcomer gets more and more requests; 0: its share at once
	Check      Check         `json:",omitzero"`

	MaxConnections int `json:",omitempty"` // in use to one endpoint at a time; 0: any number
	MaxPending     int `json:",omitempty"` // requests that wait for one of these; 0: none does
	RetryBudget    int `json:",omitempty"` // further tries under way, in percent of requests; 0: any number
}

// Check is how endpoints are asked whether they are well; without a Path they are not.
type Check struct {
	Path      string
	Host      string `json:",omitempty"` // field sent; "": the address of the endpoint
	Interval  time.Duration
	Timeout   time.Duration
	Healthy   int // good answers in a row after which an endpoint is well again
	Unhealthy int // failures in a row after which it is not
	Low, High int // status codes of a good answer

	Service string `json:",omitempty"` // that gRPC endpoints are asked of; "": the server as a whole
}

// Sticky is cookie affinity of an upstream.
type Sticky struct {
	Cookie string
	Mode   string // "balanced" or "persistent"
}

// EndpointSet is the endpoints of one upstream at this moment.
type EndpointSet struct {
	Upstream  string
	Endpoints []netip.AddrPort // sorted, without duplicates
	Draining  []netip.AddrPort // likewise; they end, and serve the sessions that are bound to them until then
}

// Certificate is a key pair. Key material is printed nowhere: MarshalJSON leaves it
// out.
type Certificate struct {
	Name   string // namespace/name of its Secret
	Cert   []byte `json:"-"` // PEM
	Key    []byte `json:"-"` // PEM
	Digest string // SHA-256 of the PEM texts: what tells two versions apart
	Names  []string
	Origin Origin
}

// LoadBalancer is a Service of type LoadBalancer.
type LoadBalancer struct {
	Namespace, Name string
	Internal        bool
	Ports           []LoadBalancerPort
	ProxyProtocol   bool // PROXY v1 to the targets
	IdleTimeout     time.Duration
	SourceRanges    []netip.Prefix // empty: all
	ClientAffinity  time.Duration  // sessionAffinity ClientIP; 0: none
	Targets         []Target       // controllers of this process that the selector finds
	Origin          Origin
}

// LoadBalancerPort is one port of a LoadBalancer.
type LoadBalancerPort struct {
	Name     string
	Protocol string // "TCP"
	Port     uint16
	Listener string // listener of Targets it leads to ("http", "https", "tcp/9000" for a Stream), or ""
	Upstream string // name of the upstream it leads to when there are no Targets, or ""
}

// Target is a controller of this process behind a LoadBalancer.
type Target struct{ Controller string }

// NameClaim is the wish of one object for one DNS name.
type NameClaim struct {
	Name         string // lower case, without trailing dot
	LoadBalancer string // namespace/name whose addresses it stands for
	Origin       Origin
}
