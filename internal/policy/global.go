package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pierhead/pierhead/internal/model"
)

// Global is a controller's ConfigMap, read: its own settings, and the layer under
// the annotations of its Ingresses. Nothing changes it after ReadGlobal.
type Global struct {
	Settings      model.Settings
	ProxyProtocol bool // use-proxy-protocol: its listeners expect the PROXY protocol
	Review        Review

	origin model.Origin
	values map[*Decl]Written
	closed map[*Decl]string // bad values that close the routes that need them
}

// defaultGlobal is what no ConfigMap gives.
var defaultGlobal = sync.OnceValue(func() *Global {
	g, _ := ReadGlobal(nil, model.Origin{}, nil)
	return g
})

// ReadGlobal reads the data of a controller's ConfigMap; nil is none. Line returns
// the line of a field such as data[ssl-redirect], or 0; it may be nil.
func ReadGlobal(data map[string]string, origin model.Origin, line func(field string) int) (*Global, []model.Problem) {
	g := &Global{origin: origin, values: map[*Decl]Written{}, closed: map[*Decl]string{}}
	d := newDraft(&Input{Origin: origin, Line: line, Settings: g})
	var names []string
	for name := range data {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		g.take(d, name, data[name])
	}
	for _, u := range Units() {
		if u.Settings != nil {
			u.Settings(d, g)
		}
	}
	return g, model.SortProblems(d.res.Problems)
}

// take takes in one key of the ConfigMap: a value, or a Problem.
func (g *Global) take(d *Draft, name, text string) {
	field := "data[" + name + "]"
	w := Written{Key: name, Value: trimmed(text), Field: field, Origin: d.origin(field)}
	p := model.Problem{Origin: w.Origin, Field: field, Value: w.Value, Severity: model.Warning}
	decl := keys[name]
	if decl == nil || decl.Scope&OnController == 0 {
		g.foreign(d, name, p, decl)
		return
	}
	if w.Value == "" && !decl.emptyCounts {
		return
	}
	if err := decl.check(w.Value); err != nil {
		p.Reason = err.Error() + ": the default is used"
		if decl.OnBad == Close {
			p.Severity = model.Error
			p.Reason = err.Error() + ": the paths that it is for answer 503"
			g.closed[decl] = fmt.Sprintf("%s of %s: %v", name, w.Origin, err)
		}
		d.tell(p)
		return
	}
	if prev, twice := g.values[decl]; twice {
		if name != decl.Name {
			w, prev = prev, w
		}
		d.tell(model.Problem{Origin: prev.Origin, Field: prev.Field, Value: prev.Value, Severity: model.Warning,
			Reason: "it is not read: " + w.Key + " gives the same key", Remedy: "remove one of the two"})
	}
	g.values[decl] = w
}

// foreign tells about a key that no unit reads.
func (g *Global) foreign(d *Draft, name string, p model.Problem, decl *Decl) {
	if k, ok := knownConfig[name]; ok {
		if p.Value == "" {
			return
		}
		p.Reason, p.Remedy = k.words()
		if k.state == meaningless {
			p.Severity = model.Info
		}
		if k.closes != nil && k.closes(p.Value) {
			p.Severity = model.Error
			p.Reason += ": every path of the controller answers 503, since it may guard them"
			g.closed[guards] = fmt.Sprintf("%s of %s: %s", name, p.Origin, notYetWords)
		}
		d.tell(p)
		return
	}
	if _, ok := knownAnnotations[name]; ok || decl != nil {
		p.Reason = "it is an annotation of Ingresses and has no meaning in the ConfigMap"
		p.Remedy = "set it on the Ingresses"
		d.tell(p)
		return
	}
	p.Reason = "no key of the ConfigMap has this name: it is ignored"
	if near := nearest(name, configNames()); near != "" {
		p.Remedy = fmt.Sprintf("did you mean %q?", near)
	}
	d.tell(p)
}

// guards stands for guards of the ConfigMap that we do not have.
var guards = &Decl{Name: "guards"}

// Given lists the values that were read, by key.
func (g *Global) Given() []model.Given {
	var all []model.Given
	for d, w := range g.values {
		all = append(all, model.Given{Key: d.Name, Value: w.Value, Field: w.Field, Origin: w.Origin})
	}
	slices.SortFunc(all, func(a, b model.Given) int { return strings.Compare(a.Key, b.Key) })
	return all
}
