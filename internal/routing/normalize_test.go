package routing

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	for _, c := range []struct {
		target, path, query string
		err                 error
	}{
		{"/", "/", "", nil},
		{"", "/", "", nil},
		{"?a=b", "/", "a=b", nil},
		{"/foo/bar", "/foo/bar", "", nil},
		{"/foo?x=/../%zz//", "/foo", "x=/../%zz//", nil},
		{"/foo?", "/foo", "", nil},
		{"/foo#part?x", "/foo", "", nil},
		{"/foo?x#part", "/foo", "x", nil},
		{"//", "/", "", nil},
		{"//foo///bar//", "/foo/bar/", "", nil},
		{"/%66oo", "/foo", "", nil},
		{"/a%2Fb", "/a/b", "", nil},
		{"/a%2f%2Fb", "/a/b", "", nil},
		{"/a%20b%C3%A4", "/a bä", "", nil},
		{"/a+b", "/a+b", "", nil},
		{"/a%3Fb%23c%25d", "/a?b#c%d", "", nil},
		{"/%252e%252e/", "/%2e%2e/", "", nil},
		{"/.", "/", "", nil},
		{"/./", "/", "", nil},
		{"/a/.", "/a/", "", nil},
		{"/a/..", "/", "", nil},
		{"/a/../", "/", "", nil},
		{"/a/b/../c", "/a/c", "", nil},
		{"/a/b/../../c", "/c", "", nil},
		{"/a//../b", "/b", "", nil},
		{"/a/%2e%2E/b", "/b", "", nil},
		{"/a%2F..%2Fb", "/b", "", nil},
		{"/a/.b/..c/...", "/a/.b/..c/...", "", nil},
		{"/..", "", "", ErrAboveRoot},
		{"/../a", "", "", ErrAboveRoot},
		{"/a/../../b", "", "", ErrAboveRoot},
		{"//../a", "", "", ErrAboveRoot},
		{"/%2e%2e/a", "", "", ErrAboveRoot},
		{"/./..", "", "", ErrAboveRoot},
		{"/%", "", "", ErrEscape},
		{"/%4", "", "", ErrEscape},
		{"/%4g", "", "", ErrEscape},
		{"/%00", "", "", ErrEscape},
		{"/a\x00", "", "", ErrNUL},
		{"a", "", "", ErrTarget},
		{"*", "", "", ErrTarget},
		{"http://a/", "", "", ErrTarget},
	} {
		path, query, err := Normalize(c.target, nil)
		if path != c.path || query != c.query || !errors.Is(err, c.err) {
			t.Errorf("Normalize(%q) = %q, %q, %v; want %q, %q, %v", c.target, path, query, err, c.path, c.query, c.err)
		}
	}
}

// plainNormalize says in another way what a normal path is: decode, split, resolve,
// join.
func plainNormalize(raw string) (string, bool) {
	raw, _, _ = strings.Cut(raw, "?")
	raw, _, _ = strings.Cut(raw, "#")
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] != '%' {
			b.WriteByte(raw[i])
			continue
		}
		var c byte
		if i+3 > len(raw) {
			return "", false
		}
		for _, d := range []byte(strings.ToLower(raw[i+1 : i+3])) {
			v := strings.IndexByte("0123456789abcdef", d)
			if v < 0 {
				return "", false
			}
			c = c<<4 | byte(v)
		}
		b.WriteByte(c)
		i += 2
	}
	if strings.Contains(b.String(), "\x00") || !strings.HasPrefix(b.String(), "/") {
		return "", false
	}
	var kept []string
	segments := strings.Split(b.String(), "/")
	for _, s := range segments {
		switch s {
		case "", ".":
		case "..":
			if len(kept) == 0 {
				return "", false
			}
			kept = kept[:len(kept)-1]
		default:
			kept = append(kept, s)
		}
	}
	path := "/" + strings.Join(kept, "/")
	last := segments[len(segments)-1]
	if len(kept) > 0 && (last == "" || last == "." || last == "..") {
		path += "/"
	}
	return path, true
}

// encode writes a path as a client would, so that Normalize must give the path back.
func encode(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if c := path[i]; c == '%' || c == '?' || c == '#' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "//%2e%2e/%2F", "/a%2e/./?q", "/..a/...", "/%25%3f", "/a/%2e%2e", "/a/b/../..#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		path, _, err := Normalize(target, make([]byte, 0, 8))
		if !strings.HasPrefix(target, "/") {
			return
		}
		want, ok := plainNormalize(target)
		if ok != (err == nil) {
			// A plain NUL byte is refused wherever it stands.
			if !strings.Contains(target, "\x00") {
				t.Fatalf("Normalize(%q): %v, but the plain rule says %v", target, err, ok)
			}
			return
		}
		if err != nil {
			return
		}
		if path != want {
			t.Fatalf("Normalize(%q) = %q, the plain rule gives %q", target, path, want)
		}
		again, _, err := Normalize(encode(path), nil)
		if err != nil || again != path {
			t.Fatalf("Normalize(%q) = %q, but once more gives %q, %v", target, path, again, err)
		}
	})
}

func TestNormalizeAllocations(t *testing.T) {
	buf := make([]byte, 0, 256)
	for _, target := range []string{"/", "/some/path/of/an/app?with=query", "/a/../b//%41/./x?y"} {
		if n := testing.AllocsPerRun(100, func() { Normalize(target, buf) }); n != 0 {
			t.Errorf("Normalize(%q) allocates %v times", target, n)
		}
	}
}

func TestParseHost(t *testing.T) {
	for _, c := range []struct {
		host, name, port string
		bad              bool
	}{
		{"", "", "", false},
		{"example.com", "example.com", "", false},
		{"Example.COM", "example.com", "", false},
		{"example.com:8080", "example.com", "8080", false},
		{"EXAMPLE.com.:80", "example.com", "80", false},
		{"example.com.", "example.com", "", false},
		{"example.com:", "example.com", "", false},
		{"a_b-c.example.com", "a_b-c.example.com", "", false},
		{"127.0.0.1:80", "127.0.0.1", "80", false},
		{"[::1]", "[::1]", "", false},
		{"[2001:DB8::A]:8443", "[2001:db8::a]", "8443", false},
		{".", "", "", true},
		{"..", "", "", true},
		{".example.com", "", "", true},
		{"a..b", "", "", true},
		{"example.com..", "", "", true},
		{":80", "", "", true},
		{"a b", "", "", true},
		{"a/b", "", "", true},
		{"a@b", "", "", true},
		{"a\x00", "", "", true},
		{"ä.example", "", "", true},
		{"a:80:90", "", "", true},
		{"a:x", "", "", true},
		{"a:123456", "", "", true},
		{"::1", "", "", true},
		{"[::1", "", "", true},
		{"[::1]x", "", "", true},
		{"[127.0.0.1]", "", "", true},
		{"[fe80::1%eth0]", "", "", true},
		{"[]", "", "", true},
	} {
		name, port, err := ParseHost(c.host, nil)
		if name != c.name || port != c.port || c.bad != (err != nil) {
			t.Errorf("ParseHost(%q) = %q, %q, %v; want %q, %q, error %v", c.host, name, port, err, c.name, c.port, c.bad)
		}
	}
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { ParseHost("Www.Example.COM:8080", buf) }); n != 0 {
		t.Errorf("ParseHost allocates %v times", n)
	}
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"example.com", "A.b:80", "[::1]:443", "x.", "[fe80::%25a]", ":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		name, port, err := ParseHost(host, nil)
		if err != nil {
			return
		}
		if strings.ToLower(name) != name || strings.ContainsAny(name, " /\x00@") || strings.HasSuffix(name, ".") {
			t.Fatalf("ParseHost(%q) = %q", host, name)
		}
		if strings.Trim(port, "0123456789") != "" {
			t.Fatalf("ParseHost(%q): port %q", host, port)
		}
		again, _, err := ParseHost(name, nil)
		if err != nil || again != name {
			t.Fatalf("ParseHost(%q) = %q, but once more gives %q, %v", host, name, again, err)
		}
	})
}
