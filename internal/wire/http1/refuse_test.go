package http1

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// refusals are requests that are well-formed enough to be told what is wrong.
var refusals = []struct {
	name, in string
	eof      bool
	out      string
	fault    Fault
}{
	{"version 1.2", "GET / HTTP/1.2\nHost: a\n\n", false,
		"HTTP/1.1 505 HTTP Version Not Supported\nContent-Type: text/html\nContent-Length: 16\nConnection: close\n\n<GET / HTTP/1.2>", UnsupportedVersion},
	{"version 2.0", "GET / HTTP/2.0\nHost: a\n\n", false,
		"HTTP/1.1 505 HTTP Version Not Supported\nContent-Type: text/html\nContent-Length: 16\nConnection: close\n\n<GET / HTTP/2.0>", UnsupportedVersion},
	{"CONNECT", "CONNECT a:443 HTTP/1.1\nHost: a\n\n", false,
		"HTTP/1.1 405 Not Allowed\nContent-Type: text/html\nContent-Length: 24\nConnection: close\n\n<CONNECT a:443 HTTP/1.1>", MethodConnect},
	{"TRACE", "TRACE / HTTP/1.1\nHost: a\n\n", false,
		"HTTP/1.1 405 Not Allowed\nContent-Type: text/html\nContent-Length: 18\nConnection: close\n\n<TRACE / HTTP/1.1>", MethodTrace},
	{"HEAD has no page", "HEAD / HTTP/1.1\n\n", false,
		"HTTP/1.1 400 Bad Request\nContent-Type: text/html\nContent-Length: 17\nConnection: close\n\n", NoHost},
	{"a head that does not come", "GET / HTTP/1.1\nHos", false,
		"HTTP/1.1 408 Request Time-out\nContent-Type: text/html\nContent-Length: 16\nConnection: close\n\n<GET / HTTP/1.1>", HeadTimeout},
	{"a request line that does not come", "GE", false,
		"HTTP/1.1 408 Request Time-out\nContent-Type: text/html\nContent-Length: 4\nConnection: close\n\n<GE>", HeadTimeout},
	{"nothing but empty lines", "\n\n", false, "", NoFault},
	{"nothing", "", false, "", NoFault},
	{"end at once", "", true, "", NoFault},
	{"end inside the head", "GET / HTTP/1.1\nHost: a\n", true, "", NoFault},
	{"TLS on a plain port", "\x16\x03\x01\x02\x00\x01", false,
		"HTTP/1.1 400 Bad Request\nContent-Type: text/html\nContent-Length: 8\nConnection: close\n\n<\x16\x03\x01\x02\x00\x01>", BadMethod},
}

func TestRefusals(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript()
			st := converse(t, l, s, strings.ReplaceAll(tt.in, "\n", "\r\n"), 0, tt.eof)
			if got := lines(string(st.out)); got != tt.out {
				t.Errorf("answered\n%s\nwant\n%s", got, tt.out)
			}
			if len(s.seen) > 0 {
				t.Errorf("saw %q", s.seen)
			}
			if tt.fault == NoFault && len(s.refused) > 0 || tt.fault != NoFault && (len(s.refused) != 1 || s.refused[0] != tt.fault) {
				t.Errorf("refused for %v, want %v", s.refused, tt.fault)
			}
		})
	}
}

// TestLengths holds where the limits of a head begin: what is just short enough is
// served, one byte more is refused.
func TestLengths(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	line := func(n int) string { // of n bytes, without its end
		return "GET /" + strings.Repeat("x", n-len("GET / HTTP/1.1")) + " HTTP/1.1"
	}
	field := func(n int) string { return "X: " + strings.Repeat("y", n-3) }
	head := func(n int) string { // of n bytes
		h := "GET / HTTP/1.1\r\nHost: a\r\n"
		for len(h)+2 < n {
			k := n - 2 - len(h)
			if k > 600 {
				k = 500
			}
			h += field(k-2) + "\r\n"
		}
		return h + "\r\n"
	}
	fields := func(n int) string {
		return "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", n) + "\r\n"
	}
	limits := Limits{MaxLine: 1000, MaxHead: 20000, KeepAlive: 1}
	for _, tt := range []struct {
		name, in string
		fault    Fault
	}{
		{"request line", line(1000) + "\r\nHost: a\r\n\r\n", NoFault},
		{"long request line", line(1001) + "\r\nHost: a\r\n\r\n", LineTooLong},
		{"endless request line", "GET /" + strings.Repeat("x", 40000), LineTooLong},
		{"endless method", strings.Repeat("x", 40000), LineTooLong},
		{"field", "GET / HTTP/1.1\r\nHost: a\r\n" + field(1000) + "\r\n\r\n", NoFault},
		{"long field", "GET / HTTP/1.1\r\nHost: a\r\n" + field(1001) + "\r\n\r\n", FieldTooLong},
		{"endless field", "GET / HTTP/1.1\r\nHost: a\r\n" + field(40000), FieldTooLong},
		{"endless name", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("x", 40000), FieldTooLong},
		{"head", head(20000), NoFault},
		{"large head", head(20001), HeadTooLarge},
		{"endless head", strings.TrimSuffix(head(50000), "\r\n"), HeadTooLarge},
		{"fields", fields(1000), NoFault},
		{"many fields", fields(1001), TooManyFields},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{0, 13, 500} {
				s := newScript()
				s.lim = limits
				st := converse(t, l, s, tt.in, n, true)
				switch {
				case tt.fault == NoFault && (len(s.seen) != 1 || len(s.refused) > 0):
					t.Errorf("pieces of %d: saw %d requests, refused %v", n, len(s.seen), s.refused)
				case tt.fault != NoFault && (len(s.refused) != 1 || s.refused[0] != tt.fault):
					t.Errorf("pieces of %d: refused %v, want %v", n, s.refused, tt.fault)
				case tt.fault == LineTooLong && !strings.HasPrefix(string(st.out), "HTTP/1.1 414 Request-URI Too Large\r\n"):
					t.Errorf("answered %q", st.out)
				}
			}
		})
	}
}

// TestRefusalTellsTheRequest holds what the log gets.
func TestRefusalTellsTheRequest(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	s := newScript()
	var got string
	s.cfg.Refuse = func(r *Refusal, resp *message.Response) []byte {
		got = string(r.Line) + "|" + r.Request.Method + "|" + r.Request.Host + "|" + r.Fault.String()
		if r.Start.IsZero() || resp.Status != 400 {
			t.Errorf("start %v, status %d", r.Start, resp.Status)
		}
		return nil
	}
	st := converse(t, l, s, "\r\nGET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 0, true)
	if want := "GET /x HTTP/1.1|GET|a|request has several Host fields"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := lines(string(st.out)), "HTTP/1.1 400 Bad Request\nContent-Length: 0\nConnection: close\n\n"; got != want {
		t.Errorf("answered %q, want %q", got, want)
	}
	s.cfg.Refuse, s.closed = nil, 0
	st = converse(t, l, s, "GET\r\n\r\n", 0, true)
	if got, want := lines(string(st.out)), "HTTP/1.1 400 Bad Request\nContent-Length: 0\nConnection: close\n\n"; got != want {
		t.Errorf("without a callback: answered %q, want %q", got, want)
	}
}

func TestFaults(t *testing.T) {
	for f := NoFault; f < numFaults; f++ {
		if f.String() == "" || f.Status() < 200 || f.Error() != "http1: "+f.String() {
			t.Errorf("fault %d: %q, status %d", f, f, f.Status())
		}
	}
}
