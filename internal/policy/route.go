package policy

import (
	"errors"
	"sync"

	"github.com/pierhead/pierhead/internal/model"
)

// Input is one Ingress as far as its annotations go. No annotations at all give
// what every route has, for hosts and catch-alls that no Ingress owns.
type Input struct {
	Origin      model.Origin
	Namespace   string
	Annotations map[string]string
	Prefix      string                                                  // of the annotations; "": DefaultPrefix
	Line        func(field string) int                                  // line of a field; nil or 0: unknown
	Settings    *Global                                                 // of the controller; nil: defaults
	Secret      func(namespace, name string) (map[string][]byte, error) // nil: there are none
	ConfigMap   func(namespace, name string) (map[string]string, error) // nil: there are none
}

// Result is what the annotations of an Ingress come to.
type Result struct {
	Policies []model.Policy  // in the order of their steps; for every route of the Ingress
	Closed   string          // why every path of the Ingress answers 503, or ""
	Reject   bool            // the Ingress is left out; a Problem says why
	Refused  []model.Problem // those of Problems that say so of a value; such an Ingress is not worth storing
	Problems []model.Problem

	Upstream       Upstream
	Host           Host
	DefaultBackend string // service in the namespace that answers for routes without endpoint, or ""
}

// Upstream is how the services of an Ingress are talked to.
type Upstream struct {
	Protocol string // "HTTP", "HTTPS", …
	Told     bool   // the Ingress says so
	model.Balancing
	Sticky    *model.Sticky // nil: none
	ServiceIP bool          // one endpoint, the service's address, instead of those of its pods
}

// Host is what an Ingress does to the hosts it names.
type Host struct {
	Aliases       []string       // further names
	Regex         bool           // use-regex: every path of the host is a regular expression
	RewriteTarget string         // as Regex, when it is set and differs from the route's path
	Passthrough   bool           // TLS connections for the hosts are handed on unopened
	FromToWWW     bool           // the name with or without "www." redirects to the host
	Policies      []model.Policy // for every route of the host, of whatever Ingress
}

// Route reads the annotations of one Ingress. It is a pure function of its input.
func Route(in Input) Result {
	if in.Settings == nil {
		in.Settings = defaultGlobal()
	}
	d := newDraft(&in)
	d.collect()
	for _, u := range unitsInOrder() {
		d.apply(u)
	}
	if reason := in.Settings.closed[guards]; reason != "" {
		d.close(reason)
	}
	if d.res.Closed != "" {
		d.res.Policies = append(d.res.Policies, &Closed{Reason: d.res.Closed})
	}
	Sort(d.res.Policies)
	d.res.Problems = model.SortProblems(d.res.Problems)
	return d.res
}

func newDraft(in *Input) *Draft {
	return &Draft{in: in, global: in.Settings, own: map[*Decl]Written{}, dropped: map[string]bool{}}
}

func (in *Input) prefix() string {
	if in.Prefix == "" {
		return DefaultPrefix
	}
	return in.Prefix
}

var errNotThere = errors.New("there is no such object")

// secret returns the data of a Secret that an annotation names.
func (d *Draft) secret(r Ref) (map[string][]byte, error) {
	if d.in.Secret == nil {
		return nil, errNotThere
	}
	return d.in.Secret(r.Namespace, r.Name)
}

// configMap returns the data of a ConfigMap that an annotation names.
func (d *Draft) configMap(r Ref) (map[string]string, error) {
	if d.in.ConfigMap == nil {
		return nil, errNotThere
	}
	return d.in.ConfigMap(r.Namespace, r.Name)
}

// unitsInOrder is Units, made once: Route runs for every Ingress.
var unitsInOrder = sync.OnceValue(Units)
