package exchange

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// DefaultStreamFormat is the line that ingress-nginx writes of a TCP or UDP session.
const DefaultStreamFormat = `[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time`

// Session is one TCP connection or UDP exchange that was handed on as it is, when it
// has ended.
type Session struct {
	Protocol       string // "TCP" or "UDP"
	Client, Server netip.AddrPort
	Told           netip.AddrPort // the client as a PROXY header told it; zero: none did
	Endpoint       netip.AddrPort // zero: none was reached
	Status         int            // as nginx has it: 200, 400, 403, 500, 502
	Begin, End     time.Time
	In, Out        int64 // bytes from and to the client
}

// StreamFormat is a compiled line for Sessions.
type StreamFormat struct {
	parts []streamPart
}

type streamPart struct {
	text  string
	value func([]byte, *Session) []byte // nil: the text itself
}

// streamVariables are nginx's that have a meaning for a Session.
var streamVariables = map[string]func([]byte, *Session) []byte{
	"remote_addr":             func(b []byte, s *Session) []byte { return appendAddr(b, s.Client.Addr()) },
	"remote_port":             func(b []byte, s *Session) []byte { return appendPort(b, s.Client.Port()) },
	"server_addr":             func(b []byte, s *Session) []byte { return appendAddr(b, s.Server.Addr()) },
	"server_port":             func(b []byte, s *Session) []byte { return appendPort(b, s.Server.Port()) },
	"proxy_protocol_addr":     func(b []byte, s *Session) []byte { return appendAddr(b, s.Told.Addr()) },
	"proxy_protocol_port":     func(b []byte, s *Session) []byte { return appendPort(b, s.Told.Port()) },
	"protocol":                func(b []byte, s *Session) []byte { return append(b, s.Protocol...) },
	"status":                  func(b []byte, s *Session) []byte { return strconv.AppendInt(b, int64(s.Status), 10) },
	"bytes_sent":              func(b []byte, s *Session) []byte { return strconv.AppendInt(b, s.Out, 10) },
	"bytes_received":          func(b []byte, s *Session) []byte { return strconv.AppendInt(b, s.In, 10) },
	"upstream_bytes_sent":     func(b []byte, s *Session) []byte { return appendMoved(b, s, s.In) },
	"upstream_bytes_received": func(b []byte, s *Session) []byte { return appendMoved(b, s, s.Out) },
	"session_time":            func(b []byte, s *Session) []byte { return appendSeconds(b, s.End.Sub(s.Begin)) },
	"time_local":              func(b []byte, s *Session) []byte { return s.End.AppendFormat(b, "02/Jan/2006:15:04:05 -0700") },
	"time_iso8601":            func(b []byte, s *Session) []byte { return s.End.AppendFormat(b, "2006-01-02T15:04:05-07:00") },
	"msec": func(b []byte, s *Session) []byte {
		return appendSeconds(b, time.Duration(s.End.UnixMilli())*time.Millisecond)
	},
	"pid": func(b []byte, _ *Session) []byte { return strconv.AppendInt(b, int64(os.Getpid()), 10) },
	"upstream_addr": func(b []byte, s *Session) []byte {
		if !s.Endpoint.IsValid() {
			return b
		}
		return s.Endpoint.AppendTo(b)
	},
}

// ParseStreamFormat compiles a text in the form of nginx's log_format.
func ParseStreamFormat(text string) (*StreamFormat, error) {
	f := &StreamFormat{}
	for rest := text; rest != ""; {
		lit, after, found := strings.Cut(rest, "$")
		if lit != "" {
			f.parts = append(f.parts, streamPart{text: lit})
		}
		if !found {
			break
		}
		name, tail, err := variableName(after)
		if err != nil {
			return nil, fmt.Errorf("template %q: %w", text, err)
		}
		value := streamVariables[name]
		if value == nil {
			return nil, fmt.Errorf("template %q: unknown variable %q of TCP and UDP sessions", text, "$"+name)
		}
		f.parts = append(f.parts, streamPart{name, value})
		rest = tail
	}
	return f, nil
}

// Append appends the line of s, with its end. A variable without a value is "-".
func (f *StreamFormat) Append(dst []byte, s *Session) []byte {
	for i := range f.parts {
		p := &f.parts[i]
		if p.value == nil {
			dst = append(dst, p.text...)
			continue
		}
		n := len(dst)
		if dst = p.value(dst, s); len(dst) == n {
			dst = append(dst, '-')
		}
	}
	return append(dst, '\n')
}

func appendMoved(b []byte, s *Session, n int64) []byte {
	if !s.Endpoint.IsValid() {
		return b
	}
	return strconv.AppendInt(b, n, 10)
}
