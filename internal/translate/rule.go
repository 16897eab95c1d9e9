package translate

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pierhead/pierhead/internal/model"
)

// ruleField is the path of a rule.
func ruleField(i int) string { return fmt.Sprintf("spec.rules[%d]", i) }

// pathField is the path of one path of a rule.
func pathField(i, j int) string { return fmt.Sprintf("spec.rules[%d].http.paths[%d]", i, j) }

// name returns the name of a field in the version that the Ingress was written in.
func (src *source) name(field string) string {
	if src.version == "" || src.version == "networking.k8s.io/v1" {
		return field
	}
	switch field {
	case "defaultBackend":
		return "backend"
	case "service.name":
		return "serviceName"
	case "service.port":
		return "servicePort"
	}
	return field
}

// backend reads a reference to a Service; ok is false when there is none.
func (src *source) backend(r *report, field string, b *networkingv1.IngressBackend) (backend, bool) {
	if b == nil {
		return backend{}, false
	}
	if b.Service == nil || b.Service.Name == "" {
		reason := "the backend names no Service and is left out"
		if b.Resource != nil {
			reason = "backends that are no Service are left out, as in ingress-nginx"
		}
		r.add(model.Warning, src.at(field), field, "", reason, "name a Service and its port")
		return backend{}, false
	}
	return backend{
		service: id{src.id.namespace, b.Service.Name}, port: portText(b.Service.Port), at: src.at,
		nameField: field + "." + src.name("service.name"), portField: field + "." + src.name("service.port"),
	}, true
}

// host returns the name of a rule's host; ok is false when it cannot be one.
func (src *source) host(r *report, i int, written string) (string, bool) {
	name := strings.ToLower(written)
	bare := strings.TrimPrefix(name, "*.")
	if name == "" || len(validation.IsDNS1123Subdomain(bare)) == 0 && !isAddress(bare) {
		return name, true
	}
	field := ruleField(i) + ".host"
	r.add(model.Error, src.at(field), field, written,
		"the rule is not served: this is no host name; Kubernetes would answer: spec.rules: Invalid value", "write a DNS name, without port")
	return "", false
}

// path returns the path and type of a rule; ok is false when it cannot be served.
func (src *source) path(r *report, field string, p *networkingv1.HTTPIngressPath) (routeKey, bool) {
	key := routeKey{path: p.Path, pathType: model.Prefix}
	if key.path == "" {
		key.path = "/"
	}
	if key.path[0] != '/' {
		r.add(model.Error, src.at(field+".path"), field+".path", p.Path,
			"the rule is not served; Kubernetes would answer: must be an absolute path", `begin the path with "/"`)
		return key, false
	}
	switch {
	case p.PathType == nil:
		if src.version == "networking.k8s.io/v1" {
			r.add(model.Warning, src.at(field), field+".pathType", "",
				"read as Prefix; Kubernetes would answer: pathType: Required value", "write pathType: Prefix")
		}
	case *p.PathType == networkingv1.PathTypeExact:
		key.pathType = model.Exact
	case *p.PathType != networkingv1.PathTypePrefix && *p.PathType != networkingv1.PathTypeImplementationSpecific:
		r.add(model.Error, src.at(field+".pathType"), field+".pathType", string(*p.PathType),
			"the rule is not served; Kubernetes would answer: pathType: Unsupported value", "write Exact, Prefix or ImplementationSpecific")
		return key, false
	}
	return key, true
}

func isAddress(s string) bool { _, err := netip.ParseAddr(s); return err == nil }

// regex tells whether a path of the Ingress makes a host match by regular
// expressions.
func (src *source) regex(path string) bool {
	return src.Host.Regex || (src.Host.RewriteTarget != "" && src.Host.RewriteTarget != path)
}

// annotation returns the field of the annotation of that name, whatever its prefix.
func (src *source) annotation(name string) string {
	for _, key := range slices.Sorted(maps.Keys(src.value.Annotations)) {
		if strings.HasSuffix(key, "/"+name) {
			return noteField(key)
		}
	}
	return "metadata.annotations"
}
