package admin

import "github.com/pierhead/pierhead/internal/model"

// Info is a process at a glance: the answer of /api/v1/info.
type Info struct {
	Version      string       `json:"version"`
	Generation   uint64       `json:"generation"`
	Engine       string       `json:"engine"`
	Ready        bool         `json:"ready"`
	Reason       string       `json:"reason,omitempty"` // why it is not ready
	Leader       *bool        `json:"leader,omitempty"` // it writes status and Events; nil: nobody is elected here
	Controllers  []Controller `json:"controllers"`
	Ingresses    int          `json:"ingresses"`
	Routes       int          `json:"routes"`
	Upstreams    int          `json:"upstreams"`
	Certificates int          `json:"certificates"`
	Errors       int          `json:"errors"`
	Warnings     int          `json:"warnings"`
	Infos        int          `json:"infos"`
}

// Page is a part of a list, and how to ask for the next one.
type Page[T any] struct {
	Generation uint64 `json:"generation"`
	Items      []T    `json:"items"`
	Continue   string `json:"continue,omitempty"`
}

// Config is what the controllers of a process serve, as values: the answer of
// /api/v1/config.
type Config struct {
	Generation  uint64             `json:"generation"`
	Controllers []ControllerConfig `json:"controllers"`
}

// ControllerConfig is what one controller serves.
type ControllerConfig struct {
	Name      string      `json:"name"`
	Listeners []Listener  `json:"listeners"`
	Settings  []Setting   `json:"settings"`
	Hosts     int         `json:"hosts"`
	Host      *HostConfig `json:"host,omitempty"` // the one that was asked for
}

// Listener is a port of a controller.
type Listener struct {
	Name          string `json:"name"`
	Port          uint16 `json:"port"`
	ProxyProtocol bool   `json:"proxyProtocol"`
}

// Setting is a key of a controller's ConfigMap with the value that counts.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	From  string `json:"from,omitempty"` // empty: the default
}

// HostConfig is one host entry.
type HostConfig struct {
	Name        string        `json:"name"` // empty: the catch-all
	Why         string        `json:"why"`  // that entry takes the host
	Aliases     []string      `json:"aliases"`
	Certificate string        `json:"certificate"` // empty: the default one
	Routes      []RouteConfig `json:"routes"`
	Omitted     int           `json:"omitted,omitempty"` // routes beyond the limit
}

// RouteConfig is one path of a host and all that it does.
type RouteConfig struct {
	Path     string `json:"path"`
	PathType string `json:"pathType"`
	Upstream string `json:"upstream"`
	Closed   string `json:"closed,omitempty"`
	Origin   string `json:"origin"`
	Place    string `json:"place,omitempty"`
	Steps    []Step `json:"steps"`
}

// ServedCertificate is what a controller shows clients that name a host. It holds no
// key.
type ServedCertificate struct {
	Controller string   `json:"controller"`
	Host       string   `json:"host"`    // that was asked for
	Secrets    []string `json:"secrets"` // namespace/name of those that hold it
	SelfMade   bool     `json:"selfMade"`
	Names      []string `json:"names"`
	Subject    string   `json:"subject"`
	Issuer     string   `json:"issuer"`
	Serial     string   `json:"serial"`
	NotBefore  string   `json:"notBefore"`
	NotAfter   string   `json:"notAfter"`
	Covers     bool     `json:"covers"` // the host is among its names
	Chain      string   `json:"chain"`  // PEM
}

// Views are the answers that need more than the state.
type Views struct {
	Leading     func() bool // nil: nobody is elected
	Config      func(ConfigQuery) Config
	Certificate func(host string) []ServedCertificate
	Explain     func(controller string, req *Request) []Explanation
}

// ConfigQuery says which part of the configuration is asked for.
type ConfigQuery struct {
	Controller string // "" is all
	Host       string // as a client names it
	HasHost    bool   // Host counts
	Path       string // only this route's; "" is all
	Limit      int    // of routes
}

// info makes the Info of a state.
func info(s *State, leading func() bool, unready error) Info {
	i := Info{
		Version: s.Version, Generation: s.Generation, Engine: s.Engine, Ready: unready == nil, Controllers: s.Controllers,
		Ingresses: ingressesOf(s), Routes: len(s.Routes), Upstreams: len(s.Upstreams), Certificates: len(s.Certificates),
	}
	if unready != nil {
		i.Reason = unready.Error()
	}
	if leading != nil {
		leads := leading()
		i.Leader = &leads
	}
	for _, p := range s.Problems {
		switch p.Severity {
		case model.Error:
			i.Errors++
		case model.Warning:
			i.Warnings++
		default:
			i.Infos++
		}
	}
	return i
}

// ingressesOf counts the Ingresses that routes come from.
func ingressesOf(s *State) int {
	seen := map[string]bool{}
	for i := range s.Routes {
		if s.Routes[i].Namespace != "" {
			seen[s.Routes[i].Namespace+"/"+s.Routes[i].Ingress] = true
		}
	}
	return len(seen)
}
