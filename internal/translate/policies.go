package translate

import (
	"errors"
	"maps"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/policy"
)

// readGlobal reads the controller's ConfigMap. One that is named and missing is told,
// and the defaults are used.
func (c *controller) readGlobal(o *Objects, r *report) {
	at, field := c.at("configmap")
	i, err := parseID(c.ConfigMap)
	if c.ConfigMap == "" || err != nil {
		c.global, _ = policy.ReadGlobal(nil, c.origin, nil)
		return
	}
	o.note(ofConfigMap, i)
	cm := o.configMaps[i]
	if cm == nil {
		r.add(model.Warning, at, field, c.ConfigMap, o.missing("ConfigMap", i)+"; the defaults are used", "add the ConfigMap")
		c.global, _ = policy.ReadGlobal(nil, c.origin, nil)
		return
	}
	global, problems := policy.ReadGlobal(cm.value.Data, cm.origin, cm.lines.At)
	c.global = global
	r.problems = append(r.problems, problems...)
}

// readRoute reads the annotations of an Ingress for the routes of one controller.
func (c *controller) readRoute(o *Objects, e *entry[ingress], annotations map[string]string) policy.Result {
	return policy.Route(policy.Input{
		Origin:      e.origin,
		Namespace:   e.id.namespace,
		Annotations: annotations,
		Prefix:      c.AnnotationsPrefix,
		Line:        e.lines.At,
		Settings:    c.global,
		Secret:      o.secretData,
		ConfigMap:   o.configMapData,
	})
}

// readPlain reads what a route has that no Ingress owns.
func (c *controller) readPlain() {
	plain := policy.Route(policy.Input{Origin: c.origin, Namespace: c.ns, Prefix: c.AnnotationsPrefix, Settings: c.global})
	c.plain = &plain
}

// secretData returns what a Secret holds, stringData included.
func (o *Objects) secretData(namespace, name string) (map[string][]byte, error) {
	o.note(ofSecret, id{namespace, name})
	e := o.secrets[id{namespace, name}]
	if e == nil {
		return nil, errors.New(o.missing("Secret", id{namespace, name}))
	}
	return merged(e), nil
}

// configMapData returns what a ConfigMap holds.
func (o *Objects) configMapData(namespace, name string) (map[string]string, error) {
	o.note(ofConfigMap, id{namespace, name})
	e := o.configMaps[id{namespace, name}]
	if e == nil {
		return nil, errors.New(o.missing("ConfigMap", id{namespace, name}))
	}
	return e.value.Data, nil
}

// notOnCatchAll are the annotations that do not count where an Ingress without rules
// becomes the catch-all.
var notOnCatchAll = map[string]bool{
	"rewrite-target": true, "ssl-redirect": true, "force-ssl-redirect": true, "app-root": true, "use-regex": true,
	"permanent-redirect": true, "permanent-redirect-code": true, "temporal-redirect": true, "temporal-redirect-code": true,
	"from-to-www-redirect": true, "preserve-trailing-slash": true,
}

// forCatchAll returns the annotations without those of redirects and rewriting.
func forCatchAll(annotations map[string]string) map[string]string {
	out := maps.Clone(annotations)
	maps.DeleteFunc(out, func(key, _ string) bool {
		_, name, ok := strings.Cut(key, "/")
		return ok && notOnCatchAll[name]
	})
	return out
}
