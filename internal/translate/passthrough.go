package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/model"
)

// passThrough decides whether TLS connections for the host are handed on unopened: when
// the Ingress that has its path "/" asks for it. That path's Service gets them.
func (b *hostBuilder) passThrough() {
	var slash *routeBuilder
	for _, t := range []model.PathType{model.Prefix, model.Exact} {
		if rb := b.routes[routeKey{"/", t}]; rb != nil && (slash == nil || slash.to.upstream == nil) {
			slash = rb
		}
	}
	var told []*source
	for _, p := range b.parts {
		if src := p.src; src.Host.Passthrough && !slices.Contains(told, src) {
			told = append(told, src)
			if why, remedy := b.opened(src, slash); why != "" {
				field := src.annotation("ssl-passthrough")
				b.r.add(model.Warning, src.at(field), field, "true", fmt.Sprintf("TLS for the host %q ends here: %s", b.name, why), remedy)
			} else if slash.Closed == "" {
				b.Passthrough = slash.to.name()
				b.unseen(src)
			}
		}
	}
}

// opened returns why TLS for the host ends here although an Ingress asks for something
// else, or "".
func (b *hostBuilder) opened(src *source, slash *routeBuilder) (why, remedy string) {
	switch {
	case !b.s.c.SSLPassthrough:
		return "the controller has not the flag --enable-ssl-passthrough", "give the controller the flag"
	case b.name == "" || strings.HasPrefix(b.name, "*."):
		return "only a whole name is handed on", "write a rule for each name"
	case slash == nil || slash.to.upstream == nil:
		return "it has no rule for the path /, whose Service gets the connections", "add a rule for the path /"
	case slash.Namespace != src.id.namespace || slash.Ingress != src.id.name:
		return fmt.Sprintf("the path / of the host is that of Ingress %s/%s, which does not ask for it", slash.Namespace, slash.Ingress), "set the annotation there"
	}
	return "", ""
}

// seenByNobody are annotations that go well with ssl-passthrough: they are about it, or
// about http.
var seenByNobody = []string{"ssl-passthrough", "ssl-redirect", "force-ssl-redirect", "backend-protocol"}

// unseen tells which annotations have no effect on https, since nobody here sees its
// requests.
func (b *hostBuilder) unseen(src *source) {
	var names []string
	for key := range src.value.Annotations {
		prefix, name, _ := strings.Cut(key, "/")
		if (prefix == b.s.c.AnnotationsPrefix || prefix == "pierhead.dev") && !slices.Contains(seenByNobody, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	field := src.annotation("ssl-passthrough")
	b.r.add(model.Warning, src.at(field), field, "true",
		fmt.Sprintf("requests for https://%s are not seen here: %s have no effect on them", b.name, strings.Join(names, ", ")), "let the Service do what they are for")
}
