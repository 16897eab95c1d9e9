package translate

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// Options are what the manifests do not say.
type Options struct {
	// Standalone: the objects come from files. There is no API server that would
	// fill in defaults or refuse what is wrong.
	Standalone bool
	// ForeignBalancers: somebody else gives Services of type LoadBalancer their
	// addresses. Neither they nor the names that Services ask for are read.
	ForeignBalancers bool
	// Default is the controller that runs when the objects hold none; nil: none.
	Default *Default
	// Memo remembers what the last translation made of each object, for a caller who
	// translates again and again; nil: nobody remembers.
	Memo *Memo
}

// Default is a controller that no manifest describes.
type Default struct {
	Name      string // "default" unless given
	Namespace string // for what it refers to; "default" unless given
	Listen    string // address to bind, "" for all
	Flags     Flags
}

// controller is an ingress controller while it is translated.
type controller struct {
	Flags
	name     string
	origin   model.Origin
	at       func(flag string) (model.Origin, string) // where a flag was written, and its field
	labels   map[string]string
	ns       string
	listen   string
	ports    []corev1.ContainerPort
	index    int // among the controllers
	global   *policy.Global
	plain    *policy.Result  // of a route that no Ingress owns
	selector labels.Selector // of namespaces; nil: none
	streams  []model.Stream
}

// workload is a Deployment or DaemonSet.
type workload struct {
	entry *entry[appsv1.Deployment]
	r     *report
}

// controllers finds the ingress controllers among the objects. When there are none,
// also none that is scaled to zero, the default one runs.
func controllers(o *Objects, opt Options, r *report) []*controller {
	var cs []*controller
	found := false
	names := map[string]model.Origin{}
	for _, kind := range []string{"Deployment", "DaemonSet"} {
		for _, e := range o.workloads[kind].sorted() {
			w := &workload{entry: e, r: r}
			index, args := commandOf(&e.value.Spec.Template.Spec)
			if index < 0 {
				continue
			}
			found = true
			if n := e.value.Spec.Replicas; n != nil && *n == 0 {
				r.add(model.Info, e.at("spec.replicas"), "spec.replicas", "0", "the controller is not running", "")
				continue
			}
			if other, twice := names[e.id.String()]; twice {
				r.add(model.Error, e.origin, "metadata.name", e.id.name,
					fmt.Sprintf("the controller is not running: %s is a controller of the same name", other), "give it another name")
				continue
			}
			names[e.id.String()] = e.origin
			cs = append(cs, w.controller(o, index, args, opt))
		}
	}
	if !found && opt.Default != nil {
		cs = append(cs, defaultController(opt.Default))
	}
	slices.SortFunc(cs, func(a, b *controller) int { return strings.Compare(a.name, b.name) })
	for i, c := range cs {
		c.index = i
		c.parseSelector(r)
	}
	return cs
}

// defaultController returns the controller that no manifest describes.
func defaultController(d *Default) *controller {
	c := &controller{Flags: d.Flags, name: d.Name, ns: d.Namespace, listen: d.Listen}
	if c.name == "" {
		c.name = "default"
	}
	if c.ns == "" {
		c.ns = "default"
	}
	c.origin = model.Origin{Kind: "Controller", Name: c.name}
	c.at = func(flag string) (model.Origin, string) { return c.origin, "--" + flag }
	c.ports = []corev1.ContainerPort{
		{Name: "http", ContainerPort: int32(c.HTTPPort)}, {Name: "https", ContainerPort: int32(c.HTTPSPort)},
	}
	return c
}

// ControllerIn returns which container of a pod is an ingress controller, and its flags
// as they are written; or -1.
func ControllerIn(pod *corev1.PodSpec) (int, []string) {
	index, args := commandOf(pod)
	var words []string
	for _, a := range args {
		words = append(words, a.text)
	}
	return index, words
}

// commandOf returns which container of a pod is an ingress controller and the words
// after the controller's name, or -1.
func commandOf(pod *corev1.PodSpec) (int, []arg) {
	for i, c := range pod.Containers {
		field := fmt.Sprintf("spec.template.spec.containers[%d]", i)
		var words []arg
		for j, s := range c.Command {
			words = append(words, arg{s, fmt.Sprintf("%s.command[%d]", field, j)})
		}
		for j, s := range c.Args {
			words = append(words, arg{s, fmt.Sprintf("%s.args[%d]", field, j)})
		}
		if len(c.Command) == 0 && len(words) > 0 && words[0].text == "controller" && imageName(c.Image) == "pierhead" {
			return i, words[1:]
		}
		for j, word := range words {
			switch base := path.Base(word.text); {
			case base == "nginx-ingress-controller":
				return i, words[j+1:]
			case base == "pierhead" && j+1 < len(words) && words[j+1].text == "controller":
				return i, words[j+2:]
			}
		}
	}
	return -1, nil
}

// imageName returns the last part of an image's name, without tag and digest.
func imageName(image string) string {
	name, _, _ := strings.Cut(path.Base(image), "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// controller reads the controller in one container.
func (w *workload) controller(o *Objects, index int, args []arg, opt Options) *controller {
	e := w.entry
	container := &e.value.Spec.Template.Spec.Containers[index]
	env := environment(o, w, container)
	for i, a := range args {
		text, missing := expand(a.text, env)
		args[i].text = text
		for _, name := range missing {
			w.r.add(model.Warning, e.at(a.field), a.field, a.text,
				fmt.Sprintf("the variable %q is not known and stays as it is written", name), "define it under env of the container")
		}
	}
	fr := newFlagReader(func(s model.Severity, field, value, reason, remedy string) {
		w.r.add(s, e.at(field), field, value, reason, remedy)
	})
	if !opt.Standalone {
		fr.own = map[string]string{} // it is a process of its own
	}
	fr.read(args)
	return &controller{
		Flags:  fr.Flags,
		name:   e.id.String(),
		ns:     e.id.namespace,
		origin: e.origin,
		labels: maps.Clone(e.value.Spec.Template.Labels),
		ports:  container.Ports,
		at: func(flag string) (model.Origin, string) {
			field := fmt.Sprintf("spec.template.spec.containers[%d].args", index)
			if v, ok := fr.given[flag]; ok {
				field = v.field
			}
			return e.at(field), field
		},
	}
}

// parseSelector reads --watch-namespace-selector. One that cannot be read selects
// nothing.
func (c *controller) parseSelector(r *report) {
	if c.WatchNamespaceSelector == "" {
		return
	}
	at, field := c.at("watch-namespace-selector")
	s, err := labels.Parse(c.WatchNamespaceSelector)
	if err != nil {
		s = labels.Nothing()
		r.add(model.Error, at, field, c.WatchNamespaceSelector, fmt.Sprintf("the selector selects nothing: %v", err), "write it as key=value")
	}
	if c.WatchNamespace != "" {
		r.add(model.Warning, at, field, c.WatchNamespaceSelector,
			"--watch-namespace is given too, and both must hold; ingress-nginx would not start", "remove one of the two")
	}
	c.selector = s
}

// watches tells whether the controller looks at a namespace.
func (c *controller) watches(o *Objects, namespace string) bool {
	if c.WatchNamespace != "" && c.WatchNamespace != namespace {
		return false
	}
	if c.selector == nil {
		return true
	}
	var set labels.Set
	o.note(ofNamespace, id{"", namespace})
	if n := o.namespaces[id{"", namespace}]; n != nil {
		set = n.value.Labels
	}
	return c.selector.Matches(set)
}
