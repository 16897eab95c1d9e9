package http2

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pierhead/pierhead/internal/message"
)

// describe writes down a request as its Handler sees it.
func describe(r *message.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s://%s %s length %d", r.Version, r.Method, r.Scheme, r.Host, r.Target, r.Length)
	for i := range r.Header.Len() {
		f := r.Header.At(i)
		fmt.Fprintf(&b, "\n%s: %s", f.Name, f.Value)
	}
	if r.Body != nil {
		p, err := io.ReadAll(r.Body)
		fmt.Fprintf(&b, "\n%q %v", p, err)
	}
	for i := range r.Trailer.Len() {
		f := r.Trailer.At(i)
		fmt.Fprintf(&b, "\n+ %s: %s", f.Name, f.Value)
	}
	return b.String()
}

func answerDescription(r *message.Request, w message.Writer) {
	d := describe(r)
	resp := message.Response{Status: 200, Length: int64(len(d))}
	if w.WriteHead(&resp) == nil {
		w.(message.LastWriter).WriteLast([]byte(d), nil)
	}
}

func TestRequest(t *testing.T) {
	get := "HTTP/2.0 GET http://example.com /hello length 0"
	for _, tt := range []struct {
		name   string
		limits Limits
		scheme string
		fields []string
		body   []string // nil: the request ends with its head
		end    []string // trailer
		want   string
	}{
		{name: "plain", fields: request("GET", "accept", "*/*", "x-a", "1", "x-a", "2"),
			want: get + "\naccept: */*\nx-a: 1\nx-a: 2"},
		{name: "Host in place of :authority",
			fields: []string{":method", "GET", ":path", "/hello", ":scheme", "http", "host", "example.com"}, want: get},
		{name: "Host like :authority", fields: request("GET", "host", "EXAMPLE.com"), want: get},
		{name: "cookie in one piece", fields: request("GET", "cookie", "a=1; b=2"), want: get + "\nCookie: a=1; b=2"},
		{name: "cookie in crumbs", fields: request("GET", "cookie", "a=1", "x-a", "1", "cookie", "b=2", "cookie", "c=3"),
			want: get + "\nx-a: 1\nCookie: a=1; b=2; c=3"},
		{name: "scheme is the listener's", scheme: "https", fields: request("GET"),
			want: "HTTP/2.0 GET https://example.com /hello length 0"},
		{name: "scheme in capitals", want: "HTTP/2.0 GET https://a:8443 /?x=%20y length 0",
			fields: []string{":method", "GET", ":path", "/?x=%20y", ":scheme", "HTTPS", ":authority", "a:8443"}},
		{name: "asterisk", want: "HTTP/2.0 OPTIONS http://[::1]:80 * length 0",
			fields: []string{":method", "OPTIONS", ":path", "*", ":scheme", "http", ":authority", "[::1]:80"}},
		{name: "te", fields: request("GET", "te", "trailers"), want: get + "\nte: trailers"},
		{name: "names that are dropped", fields: request("GET", "x_a", "1", "x.a", "2", "x-a", "3"),
			want: get + "\nx-a: 3"},
		{name: "names that are let through", limits: Limits{Underscores: true, InvalidNames: true},
			fields: request("GET", "x_a", "1", "x.a", "2"), want: get + "\nx_a: 1\nx.a: 2"},
		{name: "body of known length", fields: request("POST", "content-length", "6"), body: []string{"abc", "def"},
			want: "HTTP/2.0 POST http://example.com /hello length 6\n\"abcdef\" <nil>"},
		{name: "body of unknown length", fields: request("POST"), body: []string{"abc", ""},
			want: "HTTP/2.0 POST http://example.com /hello length -1\n\"abc\" <nil>"},
		{name: "empty body", fields: request("POST", "content-length", "0"), body: []string{""},
			want: "HTTP/2.0 POST http://example.com /hello length 0\n\"\" <nil>"},
		{name: "trailer", fields: request("POST"), body: []string{"abc"},
			end:  []string{"x-sum", "1", "content-length", "7", "authorization", "secret", "x-end", "2"},
			want: "HTTP/2.0 POST http://example.com /hello length -1\n\"abc\" <nil>\n+ x-sum: 1\n+ x-end: 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dialPipe(t, &ServerConfig{
				Limits: withLimits(func(l *Limits) {
					l.Underscores, l.InvalidNames = tt.limits.Underscores, tt.limits.InvalidNames
				}), Scheme: tt.scheme, Handler: handlerFunc(answerDescription),
			})
			c.headers(1, tt.body == nil, tt.fields...)
			for i, p := range tt.body {
				c.data(1, i == len(tt.body)-1 && tt.end == nil, p)
			}
			if tt.end != nil {
				c.headers(1, true, tt.end...)
			}
			if diff := cmp.Diff(tt.want, c.reply(1).body); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMalformed holds the rules of RFC 9113, sections 8.1 to 8.3: the stream is
// reset and the Handler never sees the request; the connection goes on.
func TestMalformed(t *testing.T) {
	without := func(name string) (rest []string) {
		for f := request("GET"); len(f) > 0; f = f[2:] {
			if f[0] != name {
				rest = append(rest, f[0], f[1])
			}
		}
		return rest
	}
	for name, fields := range map[string][]string{
		"no method":                   without(":method"),
		"no scheme":                   without(":scheme"),
		"no path":                     without(":path"),
		"empty path":                  append(without(":path"), ":path", ""),
		"method twice":                append(request("GET"), ":method", "GET"),
		"authority twice":             append(request("GET"), ":authority", "example.com"),
		"pseudo-header after another": append([]string{"x-a", "1"}, request("GET")...),
		"unknown pseudo-header":       append(request("GET"), ":protocol", "websocket"),
		"pseudo-header of answers":    append(request("GET"), ":status", "200"),
		"capital letter":              request("GET", "X-a", "1"),
		"space in name":               request("GET", "x a", "1"),
		"colon in name":               request("GET", "x:a", "1"),
		"empty name":                  request("GET", "", "1"),
		"CR in value":                 request("GET", "x-a", "1\r2"),
		"LF in value":                 request("GET", "x-a", "1\n2"),
		"NUL in value":                request("GET", "x-a", "1\x002"),
		"space before value":          request("GET", "x-a", " 1"),
		"tab after value":             request("GET", "x-a", "1\t"),
		"connection":                  request("GET", "connection", "close"),
		"keep-alive":                  request("GET", "keep-alive", "1"),
		"proxy-connection":            request("GET", "proxy-connection", "close"),
		"transfer-encoding":           request("GET", "transfer-encoding", "chunked"),
		"upgrade":                     request("GET", "upgrade", "h2c"),
		"te":                          request("GET", "te", "gzip"),
		"Host is another":             request("GET", "host", "example.org"),
		"Host twice":                  request("GET", "host", "example.com", "host", "example.com"),
		"length twice":                request("GET", "content-length", "0", "content-length", "0"),
		"length is no number":         request("GET", "content-length", "+1"),
		"length without body":         request("GET", "content-length", "1"),
		"CONNECT with path":           request("CONNECT"),
	} {
		t.Run(name, func(t *testing.T) {
			c := dialPipe(t, &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
				if r.Header.Get("x-fine") == "" {
					t.Error("the handler saw the request")
				}
				echo(r, w)
			})})
			c.headers(1, true, fields...)
			if r := c.reply(1); !r.reset || ErrCode(r.code) != CodeProtocol {
				t.Errorf("got %+v, want a reset with %v", r, CodeProtocol)
			}
			c.headers(3, true, request("GET", "x-fine", "yes")...)
			if r := c.reply(3); r.head.field(":status") != "200" {
				t.Errorf("the next request got %+v", r)
			}
		})
	}
}

// TestRefused holds that requests which are valid HTTP/2 and cannot be served get an
// answer that says so.
func TestRefused(t *testing.T) {
	with := func(name, value string) (all []string) {
		for f := request("GET"); len(f) > 0; f = f[2:] {
			if f[0] == name {
				f[1] = value
			}
			all = append(all, f[0], f[1])
		}
		return all
	}
	big := strings.Repeat("x", 9<<10)
	for _, tt := range []struct {
		name   string
		fields []string
		fault  Fault
	}{
		{"no host", with(":authority", ""), NoHost},
		{"user in authority", with(":authority", "me@example.com"), BadHost},
		{"comma in authority", with(":authority", "a.com,b.com"), BadHost},
		{"port", with(":authority", "a.com:70000"), BadHost},
		{"path", with(":path", "hello"), BadPath},
		{"asterisk", with(":path", "*"), BadPath},
		{"space in path", with(":path", "/a b"), BadPath},
		{"fragment", with(":path", "/a#b"), BadPath},
		{"long path", with(":path", "/"+big), PathTooLong},
		{"scheme", with(":scheme", "ftp"), BadScheme},
		{"long field", request("GET", "x-a", big), FieldTooLong},
		{"large head", request("GET", "x-a", big[:8000], "x-b", big[:8000], "x-c", big[:8000], "x-d", big[:8000], "x-e", big[:8000]),
			HeadTooLarge},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "example.com:443"}, MethodConnect},
		{"TRACE", with(":method", "TRACE"), MethodTrace},
		{"method with a space", with(":method", "G T"), BadMethod},
		{"method in lower case", with(":method", "get"), BadMethod},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var fault Fault
			cfg := &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
				t.Error("the handler saw the request")
			})}
			c := dialPipe(t, cfg)
			c.headers(1, true, tt.fields...)
			if r := c.reply(1); r.head.field(":status") != fmt.Sprint(tt.fault.Status()) || r.body != "" {
				t.Errorf("got %+v, want status %d", r, tt.fault.Status())
			}
			cfg.Refuse = func(r *message.Request, w message.Writer, f Fault) {
				fault = f
				resp := message.Response{Status: 418, Length: message.Unknown}
				w.WriteHead(&resp)
				w.Write([]byte(f.String()))
				w.Finish(nil)
			}
			c.headers(3, false, tt.fields...)
			r := c.reply(3)
			if fault != tt.fault || r.head.field(":status") != "418" || r.body != tt.fault.String() {
				t.Errorf("Refuse was called with %v and %+v arrived, want %v", fault, r, tt.fault)
			}
		})
	}
}
