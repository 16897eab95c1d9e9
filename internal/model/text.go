package model

import "unicode/utf8"

// Shorten cuts a text to n bytes, between letters, and says so: values come from
// objects of any size.
func Shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const more = "…"
	n -= len(more)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + more
}
