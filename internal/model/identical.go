package model

// Identical tells whether two lists are one and the same: a cheap way to see that
// nothing in them has changed, where nobody changes lists. Lists that are only equal are
// not identical.
func Identical[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
