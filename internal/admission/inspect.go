package admission

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/pierhead/pierhead/internal/translate"
)

// defaultPrefix begins the annotations of ingress-nginx.
var defaultPrefix = translate.DefaultFlags().AnnotationsPrefix

// ownPrefixes begin annotations that are read whatever the flags say.
var ownPrefixes = []string{"pierhead.dev", "ingress.kubernetes.io"}

// annotations lists the names of an Ingress's annotations in order, so that of several
// reasons to refuse always the same is told.
func annotations(in *networkingv1.Ingress) []string {
	return slices.Sorted(maps.Keys(in.Annotations))
}

// annotationName returns the name of an annotation that the controller reads, without
// its prefix.
func annotationName(key string, t translate.Taker) (string, bool) {
	prefix, name, ok := strings.Cut(key, "/")
	return name, ok && (prefix == t.Flags.AnnotationsPrefix || slices.Contains(ownPrefixes, prefix))
}

// The texts that make a directive, or name what must not be read, in an nginx.conf.
// Nothing here would do anything with them. They are refused since what is stored may be
// read by an ingress-nginx too, now or after a way back.
var (
	directives = []string{"alias", "root"} // with a semicolon anywhere behind
	places     = []string{
		"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/nginx", "/etc/ingress-controller", "/var/run/secrets", "_by_lua",
	}
)

// harmful returns what is harmful in a text, or "".
func harmful(text string) string {
	for _, d := range directives {
		if _, rest, ok := strings.Cut(text, d); ok && strings.Contains(rest, ";") {
			return d + " … ;"
		}
	}
	for _, p := range places {
		if strings.Contains(text, p) {
			return p
		}
	}
	return ""
}

// inspect returns why an Ingress could do harm in a configuration file, or "".
func inspect(in *networkingv1.Ingress) string {
	said := ""
	look := func(text, field string, at ...any) {
		if what := harmful(text); what != "" && said == "" {
			said = fmt.Sprintf("invalid object: %s %q contains %q", fmt.Sprintf(field, at...), shortened(text), what)
		}
	}
	for i, rule := range in.Spec.Rules {
		look(rule.Host, "spec.rules[%d].host", i)
		if rule.HTTP == nil {
			continue
		}
		for j := range rule.HTTP.Paths {
			look(rule.HTTP.Paths[j].Path, "spec.rules[%d].http.paths[%d].path", i, j)
		}
	}
	for i, t := range in.Spec.TLS {
		for j, host := range t.Hosts {
			look(host, "spec.tls[%d].hosts[%d]", i, j)
		}
		look(t.SecretName, "spec.tls[%d].secretName", i)
	}
	return said
}

// plainPath is what Exact and Prefix paths look like.
var plainPath = regexp.MustCompile(`\A/[A-Za-z0-9._/-]*\z`)

// badPaths lists the paths that do not fit their path type.
func badPaths(in *networkingv1.Ingress) []string {
	var bad []string
	for _, rule := range in.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, p := range rule.HTTP.Paths {
			if p.Path == "" || p.PathType == nil || *p.PathType == networkingv1.PathTypeImplementationSpecific || plainPath.MatchString(p.Path) {
				continue
			}
			bad = append(bad, fmt.Sprintf("path %s cannot be used with pathType %s", shortened(p.Path), shortened(string(*p.PathType))))
		}
	}
	return bad
}
