// Package policy holds every behaviour a route can have: one file each, with its
// keys (annotations and ConfigMap keys), their words, their effect on a draft, the
// step they become, and an example that the manual shows and the tests run.
//
// Registration is over before main begins; nothing is registered later.
package policy

import (
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/model"
)

// Unit is one behaviour.
type Unit struct {
	Name    string // the word for it: "limit-requests", "basic-auth"
	Doc     string // one or two sentences for the manual
	Follows string // RFC or upstream document it follows
	Keys    []Key
	Apply   func(*Draft) // reads its keys, adds policies to the draft; nil: keys are read elsewhere
	// Settings reads its keys into what a controller has once; nil: none.
	Settings func(*Draft, *Global)
	Example  string // txtar: annotations, configmap, secrets; requests and their replies
}

// Builder is a policy that becomes a step.
type Builder interface {
	model.Policy
	// Phase is when the step's request half runs; Respond for steps that only
	// change answers.
	Phase() exchange.Phase
	// Build makes the step, or nil when the route at hand has none. An error closes
	// the route.
	Build(*Env) (any, error)
}

// Configurer is a policy that sets how requests are sent on.
type Configurer interface {
	model.Policy
	Configure(*exchange.Forward)
}

// Env is what Build may use.
type Env struct {
	Route *exchange.Route
	State *exchange.State // what outlives a table, keyed by names
	// Available is the step of phase Available, which knows the upstream; nil: none.
	Available any
}

// ingress names the Ingress of the route, which state is kept for.
func (e *Env) ingress() string { return e.Route.Namespace + "/" + e.Route.Ingress }

var units = map[string]*Unit{}

// Register adds a unit; a name or a key declared twice panics at start.
func Register(u Unit) *Unit {
	if units[u.Name] != nil {
		panic("policy: unit " + u.Name + " is registered twice")
	}
	for _, k := range u.Keys {
		declare(u.Name, k)
	}
	units[u.Name] = &u
	return &u
}

// Units lists all units by name.
func Units() []*Unit {
	var us []*Unit
	for _, u := range units {
		us = append(us, u)
	}
	slices.SortFunc(us, func(a, b *Unit) int { return strings.Compare(a.Name, b.Name) })
	return us
}
