package translate

import "strings"

// byAge orders Ingresses as ingress-nginx does: by age, and of the same age by
// namespace/name, the last first.
func byAge(a, b *entry[ingress]) int {
	if c := a.value.CreationTimestamp.Compare(b.value.CreationTimestamp.Time); c != 0 {
		return c
	}
	if a.id.namespace == b.id.namespace {
		return strings.Compare(b.id.name, a.id.name)
	}
	return strings.Compare(b.id.String(), a.id.String())
}
