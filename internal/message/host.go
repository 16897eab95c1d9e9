package message

import "strings"

// hostChar marks what a host name may hold: RFC 3986's reg-name but for the comma,
// which is how two Host fields look when someone has joined them. literalChar marks
// what may stand between the brackets of an IP literal.
var hostChar, literalChar = func() (host, literal [256]bool) {
	for c := range host {
		b := byte(c)
		literal[c] = 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("-:.%", b) >= 0
		host[c] = literal[c] && b != ':' && b != '%' || strings.IndexByte("._~!$&'()*+;=", b) >= 0
	}
	return host, literal
}()

// ValidHost reports whether h is a host with an optional port (RFC 3986, sections
// 3.2.2 and 3.2.3), without user information and without octets in percent-encoding, which
// one server would decode and another one not. All versions of HTTP ask it, so that
// none takes a host that another refuses.
func ValidHost(h string) bool {
	i := 0
	if h != "" && h[0] == '[' {
		for i = 1; i < len(h) && h[i] != ']'; i++ {
			if !literalChar[h[i]] {
				return false
			}
		}
		if i == len(h) || i == 1 {
			return false
		}
		i++
	} else {
		for i < len(h) && h[i] != ':' {
			if !hostChar[h[i]] || h[i] == '.' && (i == 0 || h[i-1] == '.') { // no label is empty
				return false
			}
			i++
		}
	}
	return i > 0 && (i == len(h) || h[i] == ':' && validPort(h[i+1:]))
}

func validPort(p string) bool {
	n := 0
	for i := 0; i < len(p); i++ {
		if p[i] < '0' || p[i] > '9' {
			return false
		}
		if n = n*10 + int(p[i]-'0'); n > 65535 {
			return false
		}
	}
	return true
}
