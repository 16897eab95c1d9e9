package translate

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// Review looks at one Ingress as if it stood among the objects in place of the one of
// its name. It changes nothing, and it translates only those other Ingresses that can
// make a difference to this one; what it says is what Translate would say.
type Review struct {
	o     *Objects
	e     *entry[ingress]
	opt   Options
	cs    []*controller // that take the Ingress
	added *Objects      // o, with what is known of further objects
}

// Taker is a controller that takes an Ingress by its class and namespace.
type Taker struct {
	Name   string
	Flags  Flags
	Review policy.Review
}

// Review begins to look at an Ingress. What it refers to may not be among the objects
// yet, and is in further then. The objects must not change as long as the Review is in
// use.
func (o *Objects) Review(in *networkingv1.Ingress, opt Options, further Further) *Review {
	v := &Review{o: o, opt: opt, added: o.with(further)}
	v.e = &entry[ingress]{
		id: id{in.Namespace, in.Name}, value: in, origin: model.Origin{Kind: "Ingress", Namespace: in.Namespace, Name: in.Name},
	}
	r := &report{}
	for _, c := range controllers(o, opt, r) {
		if c.judge(o, v.e, opt).taken {
			c.readGlobal(o, r)
			v.cs = append(v.cs, c)
		}
	}
	return v
}

// Further is what is known of Secrets and ConfigMaps besides the objects.
type Further struct {
	Objects []runtime.Object // Secrets and ConfigMaps
	Refused []model.Origin   // those that could not be read
}

// with returns the objects with further ones in place of what is known of them.
func (o *Objects) with(f Further) *Objects {
	if len(f.Objects) == 0 && len(f.Refused) == 0 {
		return o
	}
	with := *o
	with.journal = journal{} // that of o is its own
	with.secrets, with.configMaps, with.refused = maps.Clone(o.secrets), maps.Clone(o.configMaps), maps.Clone(o.refused)
	for _, obj := range f.Objects {
		switch v := obj.(type) {
		case *corev1.Secret:
			with.Remove("Secret", v.Namespace, v.Name)
			put(&with, with.secrets, "Secret", v, &v.ObjectMeta, Place{})
		case *corev1.ConfigMap:
			with.Remove("ConfigMap", v.Namespace, v.Name)
			put(&with, with.configMaps, "ConfigMap", v, &v.ObjectMeta, Place{})
		}
	}
	for _, origin := range f.Refused {
		with.Refuse(origin)
	}
	return &with
}

// Takers lists the controllers that take the Ingress; there may be none.
func (v *Review) Takers() []Taker {
	var all []Taker
	for _, c := range v.cs {
		all = append(all, Taker{Name: c.name, Flags: c.Flags, Review: c.global.Review})
	}
	return all
}

// Refused lists the values that keep the Ingress from being served at all.
func (v *Review) Refused() []model.Problem {
	var all []model.Problem
	for _, c := range v.cs {
		all = append(all, c.readRoute(v.added, v.e, v.e.value.Annotations).Refused...)
	}
	return model.SortProblems(all)
}

// Others lists the other Ingresses that are served and have a rule with a Service for a
// host and path, whatever the path type, the oldest first. It lists none when the
// Ingress itself, as it is stored, comes before them.
func (v *Review) Others(host, path string) []*networkingv1.Ingress {
	var others []*networkingv1.Ingress
	for _, m := range v.o.index.paths[hostPath{host, path}] {
		if !leadsOn(m.value, host, path) || !slices.ContainsFunc(v.cs, func(c *controller) bool { return c.stands(v.o, m.entry, v.opt) }) {
			continue
		}
		if m.id == v.e.id && len(others) == 0 {
			return nil
		}
		if m.id != v.e.id {
			others = append(others, m.value)
		}
	}
	return others
}

// leadsOn tells whether an Ingress has a rule with a Service for a host and path.
func leadsOn(in *networkingv1.Ingress, host, path string) bool {
	for at, b := range backendsOf(in) {
		if at == (hostPath{host, path}) && b.Service != nil {
			return true
		}
	}
	return false
}

// stands tells whether the controller takes an Ingress as it is stored and no value
// keeps it from being served.
func (c *controller) stands(o *Objects, e *entry[ingress], opt Options) bool {
	return c.judge(o, e, opt).taken && (!c.DisableCatchAll || !catchAll(e.value)) && len(c.readRoute(o, e, e.value.Annotations).Refused) == 0
}

// serves tells whether the controller serves an Ingress, and returns what its
// annotations come to.
func (c *controller) serves(o *Objects, e *entry[ingress], opt Options) (policy.Result, bool) {
	if !c.judge(o, e, opt).taken || c.DisableCatchAll && catchAll(e.value) {
		return policy.Result{}, false
	}
	result := c.readRoute(o, e, e.value.Annotations)
	return result, !result.Reject
}

// Nearby is what comes of an Ingress and of those that decide what is said of it.
type Nearby struct {
	Problems  []model.Problem // of the Ingress, as Translate of all objects would tell them
	Config    *model.Config   // of these Ingresses alone
	Ingresses int             // how many there are
}

// Problems looks at the Ingress as it would be served.
func (v *Review) Problems() Nearby {
	near := *v.added
	near.ingresses = v.near()
	opt := v.opt
	opt.Memo = nil // that is for all objects
	cfg, problems := Translate(&near, opt)
	return Nearby{Problems: v.Own(problems), Config: cfg, Ingresses: len(near.ingresses)}
}

// Own leaves the problems of the Ingress.
func (v *Review) Own(problems []model.Problem) []model.Problem {
	var own []model.Problem
	for _, p := range problems {
		if p.Origin.Kind == "Ingress" && p.Origin.Namespace == v.e.id.namespace && p.Origin.Name == v.e.id.name {
			own = append(own, p)
		}
	}
	return own
}

// Stored tells whether an Ingress of the name is among the objects.
func (o *Objects) Stored(namespace, name string) bool { return o.ingresses[id{namespace, name}] != nil }
