package http2

// What a byte may be in a field name (RFC 9110, section 5.6.2). Field names are
// lower case in HTTP/2, so an upper-case letter is no name character.
const (
	classPlain      = 1 << iota // letter, digit or "-": what nginx calls valid
	classUnderscore             // "_"
	classOdd                    // any other token character
)

// nameClass holds the class of each byte; 0 is no name character.
var nameClass = func() (t [256]uint8) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = classPlain
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c] = classPlain
	}
	for _, c := range []byte("!#$%&'*+.^`|~") {
		t[c] = classOdd
	}
	t['-'], t['_'] = classPlain, classUnderscore
	return t
}()

// lower holds each byte of a field name in lower case; 0 is no name character.
var lower = func() (t [256]byte) {
	for c := range t {
		if nameClass[c] != 0 {
			t[c] = byte(c)
		}
	}
	for c := byte('A'); c <= 'Z'; c++ {
		t[c] = c | 0x20
	}
	return t
}()

// classify returns the classes of the bytes of a name, or 0 when it is none.
func classify(name string) (class uint8) {
	for i := 0; i < len(name); i++ {
		c := nameClass[name[i]]
		if c == 0 {
			return 0
		}
		class |= c
	}
	return class
}

// isMethod reports whether s can be a method: of the tokens, those that nginx takes.
func isMethod(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return false
		}
	}
	return s != ""
}

// validValue reports whether v can be a field's value: no control characters but
// the tab, and no white space at its ends (RFC 9113, section 8.2.1).
func validValue(v string) bool {
	if v == "" {
		return true
	}
	if isSpace(v[0]) || isSpace(v[len(v)-1]) {
		return false
	}
	for i := 0; i < len(v); i++ {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// validPath reports whether p can be the path and query of a request: no white
// space, no control characters, no fragment.
func validPath(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	for i := 0; i < len(p); i++ {
		if c := p[i]; c <= ' ' || c == 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// parseLength reads a Content-Length: digits only.
func parseLength(v string) (n int64, ok bool) {
	if v == "" || len(v) > 18 {
		return 0, false
	}
	for i := 0; i < len(v); i++ {
		if v[i] < '0' || v[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(v[i]-'0')
	}
	return n, true
}
