package admin

import "github.com/pierhead/pierhead/internal/model"

// State is what stands at one moment: the answer of /api/v1/state. Lists are
// sorted, so that two states can be compared as text. It holds no secret.
type State struct {
	Version       string          `json:"version"`
	Generation    uint64          `json:"generation"` // grows by one with every change that was applied
	Engine        string          `json:"engine"`
	LoadBalancers []LoadBalancer  `json:"loadBalancers"`
	Records       []Record        `json:"records"`
	Controllers   []Controller    `json:"controllers"`
	Routes        []Route         `json:"routes"`
	Streams       []Stream        `json:"streams"`
	Ingresses     []Ingress       `json:"ingresses"`
	Upstreams     []Upstream      `json:"upstreams"`
	Certificates  []Certificate   `json:"certificates"`
	Problems      []model.Problem `json:"problems"`
}

// LoadBalancer is one Service of type LoadBalancer and what it got.
type LoadBalancer struct {
	Namespace string             `json:"namespace"`
	Name      string             `json:"name"`
	Internal  bool               `json:"internal"`
	Hostname  string             `json:"hostname"`
	Addresses []string           `json:"addresses"`
	Ports     []LoadBalancerPort `json:"ports"`
}

// LoadBalancerPort says where a port of the Service really listens: another number
// than the port's where low ports may not be bound.
type LoadBalancerPort struct {
	Port   uint16 `json:"port"`
	Listen string `json:"listen"`
	Error  string `json:"error,omitempty"`
}

// Record is one set of DNS records.
type Record struct {
	Zone   string   `json:"zone"`
	View   string   `json:"view"` // "public" or "private"
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Values []string `json:"values"`
	Owner  string   `json:"owner"`
}

// Controller is one ingress controller and where it listens.
type Controller struct {
	Name  string `json:"name"`
	HTTP  string `json:"http"`
	HTTPS string `json:"https"`
	Error string `json:"error,omitempty"`
}

// Route is one path of one host.
type Route struct {
	Controller string   `json:"controller"`
	Host       string   `json:"host"`
	Path       string   `json:"path"`
	PathType   string   `json:"pathType"`
	Upstream   string   `json:"upstream"`
	Policies   []string `json:"policies"`
	Closed     string   `json:"closed,omitempty"`
	Namespace  string   `json:"namespace,omitempty"` // of the Ingress; empty: no Ingress asked for the route
	Ingress    string   `json:"ingress,omitempty"`
	Origin     string   `json:"origin"`
	Place      string   `json:"place,omitempty"`
}

// Stream is a TCP or UDP port of a controller, or a server name whose TLS connections
// are handed on unopened.
type Stream struct {
	Controller string `json:"controller"`
	Protocol   string `json:"protocol"` // "TCP", "UDP", or "TLS" for a server name
	Port       uint16 `json:"port"`
	Host       string `json:"host,omitempty"` // the server name
	Listen     string `json:"listen"`         // "": closed
	Upstream   string `json:"upstream"`
	Error      string `json:"error,omitempty"` // why it is closed
	Origin     string `json:"origin"`
	Place      string `json:"place,omitempty"`
}

// Ingress is what the owner of an Ingress is told: the addresses that its
// controller is published by.
type Ingress struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
}

// Upstream is a Service port and its endpoints.
type Upstream struct {
	Name      string   `json:"name"`
	Namespace string   `json:"namespace"`
	Service   string   `json:"service"`
	Port      string   `json:"port"`
	Protocol  string   `json:"protocol"`
	Balance   string   `json:"balance"`
	HashBy    string   `json:"hashBy,omitempty"`   // the text that chooses an endpoint
	Subset    int      `json:"subset,omitempty"`   // among how many endpoints chance chooses then
	External  bool     `json:"external,omitempty"` // the endpoint is a name, resolved at run time
	Sticky    string   `json:"sticky,omitempty"`   // the cookie that keeps clients at an endpoint
	Health    string   `json:"health,omitempty"`   // what puts endpoints out of use
	Out       []string `json:"out,omitempty"`      // those that are, and why
	Endpoints []string `json:"endpoints"`
}

// Certificate is a key pair in use.
type Certificate struct {
	Name     string   `json:"name"`
	Names    []string `json:"names"`
	NotAfter string   `json:"notAfter"`
	Origin   string   `json:"origin"`
}
