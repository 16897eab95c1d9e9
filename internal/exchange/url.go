package exchange

import (
	"fmt"
	"strconv"
	"strings"
)

// URL is a server that steps ask, in the parts that connecting needs. Path may hold
// a query.
type URL struct {
	Scheme string // "http" or "https"
	Host   string // name or address, without port
	Port   uint16
	Path   string
}

// ParseURL splits an absolute http or https URL. It is strict about what could
// change the meaning of a request that is made of it: spaces, control characters,
// user names. Its strings are parts of s.
func ParseURL(s string) (URL, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	u := URL{Scheme: scheme}
	switch {
	case !ok || scheme != "http" && scheme != "https":
		return URL{}, fmt.Errorf("url %q does not begin with http:// or https://", s)
	case scheme == "https":
		u.Port = 443
	default:
		u.Port = 80
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, path := rest[:end], rest[end:]
	path, _, _ = strings.Cut(path, "#")
	if u.Host, ok = u.authority(authority); !ok {
		return URL{}, fmt.Errorf("url %q has no valid host", s)
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c == 0x7f {
			return URL{}, fmt.Errorf("url %q holds a space or a control character", s)
		}
	}
	switch {
	case path == "":
		u.Path = "/"
	case path[0] == '?':
		u.Path = "/" + path
	default:
		u.Path = path
	}
	return u, nil
}

// authority splits off the port and checks the host.
func (u *URL) authority(s string) (host string, ok bool) {
	host = s
	after := ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", false
		}
		host, after = s[1:end], s[end+1:]
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, after = s[:i], s[i:]
	}
	if after != "" {
		n, err := strconv.ParseUint(strings.TrimPrefix(after, ":"), 10, 16)
		if err != nil || n == 0 || after[0] != ':' {
			return "", false
		}
		u.Port = uint16(n)
	}
	if host == "" || strings.Contains(host, "..") {
		return "", false
	}
	for i := range len(host) {
		c := host[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_'
		if !letter && !(c == ':' && s[0] == '[') {
			return "", false
		}
	}
	return host, true
}
