package translate

import "cmp"

// byAge orders Ingresses as ingress-nginx does: by age, and of the same age by
// namespace/name, the last first.
func byAge(a, b *entry[ingress]) int {
	return cmp.Or(
		a.value.CreationTimestamp.Compare(b.value.CreationTimestamp.Time),
		cmp.Compare(b.id.String(), a.id.String()),
	)
}
