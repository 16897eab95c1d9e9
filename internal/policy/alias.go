package policy

import "github.com/pierhead/pierhead/internal/message"

// Upstreams that hand fields on as variables (CGI, WSGI, PHP: HTTP_X_REAL_IP) cannot
// tell X-Real-IP from X_Real_IP. Where the ConfigMap lets clients use such names, a
// client could pass a field of its own for one that we set. So a field whose name
// comes out the same goes the way of the one it looks like.

// alias reports whether two names come out as the same variable.
func alias(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if inVariable(a[i]) != inVariable(b[i]) {
			return false
		}
	}
	return true
}

// inVariable returns what becomes of a byte of a field name.
func inVariable(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z':
		return c &^ 0x20
	case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return c
	}
	return '_'
}

// isPlain reports whether a name has letters, digits and hyphens only: of two such
// names that are aliases both are the same.
func isPlain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '-' && inVariable(c) == '_' {
			return false
		}
	}
	return true
}

// askedBy are the fields besides ours that external authentication is told by.
var askedBy = []string{"X-Original-URL", "X-Original-Method", "X-Original-URI", "X-Auth-Request-Redirect", "X-Sent-From"}

// isAlias reports whether a field passes for one that only we may send.
func isAlias(f *message.Field) bool {
	if f.Known() != message.Other || isPlain(f.Name) {
		return false
	}
	for k, is := range ours {
		if is && alias(f.Name, message.Known(k).String()) {
			return true
		}
	}
	for _, name := range askedBy {
		if alias(f.Name, name) {
			return true
		}
	}
	return false
}
