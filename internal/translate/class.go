package translate

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pierhead/pierhead/internal/model"
)

type ingress = networkingv1.Ingress

// The annotations that name a class.
const (
	classAnnotation   = "kubernetes.io/ingress.class"
	defaultAnnotation = "ingressclass.kubernetes.io/is-default-class"
)

// verdict is whether a controller takes an Ingress, and why not.
type verdict struct {
	taken    bool
	severity model.Severity
	field    string
	value    string
	reason   string
	remedy   string
}

// judge tells whether the controller takes an Ingress. A class field counts before
// the annotation, and the annotation before the rule for Ingresses without a class.
func (c *controller) judge(o *Objects, e *entry[ingress], opt Options) verdict {
	if !c.watches(o, e.id.namespace) {
		return verdict{field: "metadata.namespace", value: e.id.namespace,
			reason: "no controller here watches the namespace, so the Ingress is not served"}
	}
	if name := e.value.Spec.IngressClassName; name != nil {
		return c.judgeClass(o, *name)
	}
	if name := e.value.Annotations[classAnnotation]; name != "" {
		if name == c.IngressClass {
			return verdict{taken: true}
		}
		return verdict{field: "metadata.annotations[" + classAnnotation + "]", value: name,
			reason: "no controller here serves the class, so the Ingress is not served"}
	}
	if opt.Standalone {
		if class := defaultClass(o); class != "" {
			return c.judgeClass(o, class)
		}
	}
	if c.WatchWithoutClass {
		return verdict{taken: true}
	}
	return verdict{severity: model.Warning, field: "spec.ingressClassName",
		reason: "the Ingress names no class and is not served: only controllers with --watch-ingress-without-class take it",
		remedy: fmt.Sprintf("set the annotation %s: %s, or spec.ingressClassName", classAnnotation, c.IngressClass)}
}

// judgeClass decides by the IngressClass of that name.
func (c *controller) judgeClass(o *Objects, name string) verdict {
	v := verdict{field: "spec.ingressClassName", value: name}
	o.note(ofClass, id{"", name})
	class := o.classes[id{"", name}]
	switch {
	case class == nil:
		v.severity = model.Warning // perhaps of another controller, whose class is elsewhere
		if name == c.IngressClass {
			v.severity = model.Error
		}
		v.reason = o.missing("IngressClass", id{"", name}) + ", so the Ingress is not served"
		v.remedy = fmt.Sprintf("add an IngressClass %q with spec.controller: %s", name, c.ControllerClass)
	case class.value.Spec.Controller == c.ControllerClass, c.IngressClassByName && name == c.IngressClass:
		v.taken = true
	default:
		v.reason = fmt.Sprintf("the class belongs to the controller %q, which does not run here, so the Ingress is not served", class.value.Spec.Controller)
	}
	return v
}

// defaultClass returns the name of the class that the API server would fill in: of
// several the newest one.
func defaultClass(o *Objects) string {
	var best *entry[networkingv1.IngressClass]
	for _, e := range o.classes.sorted() {
		if e.value.Annotations[defaultAnnotation] != "true" {
			continue
		}
		if best == nil || best.value.CreationTimestamp.Before(&e.value.CreationTimestamp) {
			best = e
		}
	}
	if best == nil {
		return ""
	}
	return best.id.name
}
