package exchange

import "fmt"

// DefaultLogFormat is the access log line of ingress-nginx.
const DefaultLogFormat = `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent ` +
	`"$http_referer" "$http_user_agent" $request_length $request_time ` +
	`[$proxy_upstream_name] [$proxy_alternative_upstream_name] ` +
	`$upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id`

// LogFormat is a compiled access log line.
type LogFormat struct {
	t      *Template
	escape escapeMode
}

type escapeMode uint8

const (
	escapeDefault escapeMode = iota // quotes, control and non-ASCII bytes as \xXX; no value is "-"
	escapeJSON                      // as inside a JSON string; no value is empty
	escapeNone                      // nothing; no value is empty
)

// ParseLogFormat compiles a text in the form of nginx's log_format; escape is
// "default" (or ""), "json" or "none".
func ParseLogFormat(text, escape string) (*LogFormat, error) {
	t, err := ParseTemplate(text)
	if err != nil {
		return nil, err
	}
	f := &LogFormat{t: t}
	switch escape {
	case "", "default":
	case "json":
		f.escape = escapeJSON
	case "none":
		f.escape = escapeNone
	default:
		return nil, fmt.Errorf("log escape %q is none of default, json, none", escape)
	}
	return f, nil
}

// Append appends the line of x, without a line end.
func (f *LogFormat) Append(dst []byte, x *Exchange) []byte {
	for i := range f.t.parts {
		p := &f.t.parts[i]
		if p.value == nil {
			dst = append(dst, p.text...)
			continue
		}
		n := len(dst)
		dst = p.value(dst, x, p.arg)
		switch {
		case f.escape == escapeNone:
		case f.escape == escapeJSON:
			dst = escapeTail(dst, n, jsonPlain, appendJSON)
		case len(dst) == n:
			dst = append(dst, '-')
		default:
			dst = escapeTail(dst, n, logPlain, appendHex)
		}
	}
	return dst
}

// escapeTail escapes what stands in dst from n on, in place.
func escapeTail(dst []byte, n int, plain func(byte) bool, escape func([]byte, byte) []byte) []byte {
	i := n
	for i < len(dst) && plain(dst[i]) {
		i++
	}
	end := len(dst)
	if i == end {
		return dst
	}
	for j := i; j < end; j++ {
		if c := dst[j]; plain(c) {
			dst = append(dst, c)
		} else {
			dst = escape(dst, c)
		}
	}
	return dst[:i+copy(dst[i:], dst[end:])]
}

func logPlain(c byte) bool  { return c >= ' ' && c < 0x7f && c != '"' && c != '\\' }
func jsonPlain(c byte) bool { return c >= ' ' && c != '"' && c != '\\' }

func appendHex(b []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(b, '\\', 'x', hex[c>>4], hex[c&15])
}

func appendJSON(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	}
	const hex = "0123456789ABCDEF"
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
