package http1

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
)

// smuggled are requests that two readers could take for different ones, each named
// after where it was seen. All are refused and the connection is closed: what comes
// behind is never read as a request. In \n stands for CR LF, \x01 for a bare LF.
var smuggled = []struct {
	name, in string
	fault    Fault
}{
	// Length (RFC 9112, section 6.3).
	{"CL.CL conflicting", "POST / HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 6\n\nhello", ManyLengths},
	{"CL.CL equal", "POST / HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 5\n\nhello", ManyLengths},
	{"CL list equal", "POST / HTTP/1.1\nHost: a\nContent-Length: 5, 5\n\nhello", BadLength},
	{"CL list conflicting", "POST / HTTP/1.1\nHost: a\nContent-Length: 5, 6\n\nhello", BadLength},
	{"CL empty (Pingora 0.8.0)", "POST / HTTP/1.1\nHost: a\nContent-Length:\n\nhello", BadLength},
	{"CL with plus (CVE-2018-7159, HAProxy)", "POST / HTTP/1.1\nHost: a\nContent-Length: +5\n\nhello", BadLength},
	{"CL negative", "POST / HTTP/1.1\nHost: a\nContent-Length: -1\n\nhello", BadLength},
	{"CL hex", "POST / HTTP/1.1\nHost: a\nContent-Length: 0x5\n\nhello", BadLength},
	{"CL with a space inside", "POST / HTTP/1.1\nHost: a\nContent-Length: 5 5\n\nhello", BadLength},
	{"CL with underscore digits (Python int)", "POST / HTTP/1.1\nHost: a\nContent-Length: 1_0\n\nhello", BadLength},
	{"CL with vertical tab", "POST / HTTP/1.1\nHost: a\nContent-Length: \v5\n\nhello", BadValue},
	{"CL overflow (CVE-2021-40346)", "POST / HTTP/1.1\nHost: a\nContent-Length: 18446744073709551621\n\nhello", BadLength},
	{"CL with letters behind", "POST / HTTP/1.1\nHost: a\nContent-Length: 5abc\n\nhello", BadLength},
	{"CL name that is too long (CVE-2021-40346)", "POST / HTTP/1.1\nHost: a\nContent-Length" + strings.Repeat("0", 9000) + ": 5\n\nhello", FieldTooLong},

	// Transfer-Encoding (RFC 9112, section 6.1).
	{"CL.TE", "POST / HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n", LengthAndCoding},
	{"TE.CL", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nContent-Length: 5\n\n0\n\n", LengthAndCoding},
	{"TE.TE twice", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n", BadCoding},
	{"TE.TE identity", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTransfer-Encoding: identity\n\n0\n\n", BadCoding},
	{"TE list twice", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked, chunked\n\n0\n\n", BadCoding},
	{"TE chunked not last", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked, identity\n\n0\n\n", BadCoding},
	{"TE gzip, chunked", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked\n\n0\n\n", BadCoding},
	{"TE identity", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: identity\n\n0\n\n", BadCoding},
	{"TE xchunked", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: xchunked\n\n0\n\n", BadCoding},
	{"TE quoted", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: \"chunked\"\n\n0\n\n", BadCoding},
	{"TE with parameter", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked;a=b\n\n0\n\n", BadCoding},
	{"TE with comma", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: ,chunked\n\n0\n\n", BadCoding},
	{"TE with vertical tab (CVE-2019-18277)", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: \vchunked\n\n0\n\n", BadValue},
	{"TE empty", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding:\n\n0\n\n", BadCoding},
	{"TE and CL behind a fold", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding:\n chunked\nContent-Length: 5\n\n0\n\n", BadCoding},
	{"TE in HTTP/1.0 (CVE-2026-2835)", "POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n", CodingInHTTP10},
	{"TE in kept HTTP/1.0 (CVE-2026-2835)", "POST / HTTP/1.0\nHost: a\nConnection: keep-alive\nTransfer-Encoding: chunked\n\n0\n\n", CodingInHTTP10},
	{"TE in HTTP/1.0 with CL", "POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\nContent-Length: 5\n\n0\n\n", LengthAndCoding},
	{"TE name with a space before the colon (CVE-2019-16276)", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding : chunked\n\n0\n\n", BadName},
	{"TE name with a tab before the colon (CVE-2019-16276)", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding\t: chunked\n\n0\n\n", BadName},
	{"TE name with NUL (CVE-2020-11724)", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding\x00: chunked\n\n0\n\n", BadName},
	{"TE name after a space", "POST / HTTP/1.1\nHost: a\nX: y\n Transfer-Encoding: chunked\n\n0\n\n", Folded},
	{"TE name with a byte above ASCII", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding\xff: chunked\n\n0\n\n", BadName},

	// Line ends (RFC 9112, section 2.2).
	{"bare LF after the request line", "GET / HTTP/1.1\x01Host: a\n\n", BadLineEnd},
	{"bare LF after a field", "GET / HTTP/1.1\nHost: a\x01\x01", BadLineEnd},
	{"bare LF ends the head", "GET / HTTP/1.1\nHost: a\n\x01", BadLineEnd},
	{"bare LF inside the head", "GET / HTTP/1.1\nHost: a\x01X: y\n\n", BadLineEnd},
	{"bare LF before the request line", "\x01GET / HTTP/1.1\nHost: a\n\n", BadMethod},
	{"bare CR in a value (CVE-2023-30589)", "GET / HTTP/1.1\nHost: a\nX: y\rTransfer-Encoding: chunked\n\n", BadLineEnd},
	{"bare CR in a name", "GET / HTTP/1.1\nHost: a\nX\rY: y\n\n", BadLineEnd},
	{"CR CR LF", "GET / HTTP/1.1\nHost: a\nX: y\r\n\n", BadLineEnd},
	{"bare CR in the target", "GET /\rx HTTP/1.1\nHost: a\n\n", BadTarget},
	{"bare CR ends the request line", "GET / HTTP/1.1\rHost: a\n\n", BadLineEnd},
	{"bare CR ends the head", "GET / HTTP/1.1\nHost: a\n\rX", BadLineEnd},
	{"three empty lines before", "\n\n\nGET / HTTP/1.1\nHost: a\n\n", BadMethod},

	// Fields (RFC 9112, section 5).
	{"obs-fold", "GET / HTTP/1.1\nHost: a\nX: y\n z\n\n", Folded},
	{"obs-fold with a tab", "GET / HTTP/1.1\nHost: a\nX: y\n\tz\n\n", Folded},
	{"fold as the first line", "GET / HTTP/1.1\n Host: a\n\n", Folded},
	{"Connection that names many fields", "GET / HTTP/1.1\nHost: a\nConnection: " + strings.Repeat("a,", 33) + "\n\n", ManyOptions},
	{"many Connections that name a field", "GET / HTTP/1.1\nHost: a\n" + strings.Repeat("Connection: x\n", 33) + "\n", ManyOptions},
	{"empty name", "GET / HTTP/1.1\nHost: a\n: y\n\n", EmptyName},
	{"no colon", "GET / HTTP/1.1\nHost: a\nX\n\n", BadLineEnd},
	{"space in a name", "GET / HTTP/1.1\nHost: a\nX Y: z\n\n", BadName},
	{"separator in a name", "GET / HTTP/1.1\nHost: a\nX(Y: z\n\n", BadName},
	{"NUL in a value (HTTP garden)", "GET / HTTP/1.1\nHost: a\nX: y\x00z\n\n", BadValue},
	{"control character in a value", "GET / HTTP/1.1\nHost: a\nX: y\x02z\n\n", BadValue},
	{"DEL in a value", "GET / HTTP/1.1\nHost: a\nX: y\x7fz\n\n", BadValue},

	// The request line (RFC 9112, section 3).
	{"HTTP/0.9", "GET /\n\n", BadTarget},
	{"HTTP/0.9 with a space", "GET / \n\n", BadVersion},
	{"two spaces before the target", "GET  / HTTP/1.1\nHost: a\n\n", BadTarget},
	{"tab before the target", "GET\t/ HTTP/1.1\nHost: a\n\n", BadMethod},
	{"space in the target", "GET /a b HTTP/1.1\nHost: a\n\n", BadVersion},
	{"two spaces before the version", "GET /  HTTP/1.1\nHost: a\n\n", BadVersion},
	{"space after the version", "GET / HTTP/1.1 \nHost: a\n\n", BadVersion},
	{"space before the method", " GET / HTTP/1.1\nHost: a\n\n", BadMethod},
	{"method that is no token", "G(T / HTTP/1.1\nHost: a\n\n", BadMethod},
	{"NUL in the target", "GET /\x00 HTTP/1.1\nHost: a\n\n", BadTarget},
	{"DEL in the target", "GET /\x7f HTTP/1.1\nHost: a\n\n", BadTarget},
	{"fragment in the target", "GET /a#b HTTP/1.1\nHost: a\n\n", BadTarget},
	{"target without a slash", "GET a HTTP/1.1\nHost: a\n\n", BadTarget},
	{"* for GET", "GET * HTTP/1.1\nHost: a\n\n", BadTarget},
	{"other scheme", "GET ftp://a/ HTTP/1.1\nHost: a\n\n", BadTarget},
	{"user in the target", "GET http://u@a/ HTTP/1.1\nHost: a\n\n", BadTarget},
	{"no host in the target", "GET http:///x HTTP/1.1\nHost: a\n\n", BadTarget},
	{"version in lower case", "GET / http/1.1\nHost: a\n\n", BadVersion},
	{"version of two digits", "GET / HTTP/1.10\nHost: a\n\n", BadVersion},
	{"version without minor", "GET / HTTP/1\nHost: a\n\n", BadVersion},
	{"version with a plus", "GET / HTTP/+1.1\nHost: a\n\n", BadVersion},

	// Host (RFC 9112, section 3.2).
	{"no Host", "GET / HTTP/1.1\nX: y\n\n", NoHost},
	{"two Hosts", "GET / HTTP/1.1\nHost: a\nHost: b\n\n", ManyHosts},
	{"two equal Hosts", "GET / HTTP/1.0\nHost: a\nHost: a\n\n", ManyHosts},
	{"empty Host", "GET / HTTP/1.1\nHost:\n\n", BadHost},
	{"two names in Host", "GET / HTTP/1.1\nHost: a, b\n\n", BadHost},
	{"user in Host", "GET / HTTP/1.1\nHost: u@a\n\n", BadHost},
	{"path in Host", "GET / HTTP/1.1\nHost: a/b\n\n", BadHost},
	{"letters as port", "GET / HTTP/1.1\nHost: a:b\n\n", BadHost},
	{"port too large", "GET / HTTP/1.1\nHost: a:65536\n\n", BadHost},
	{"open bracket", "GET / HTTP/1.1\nHost: [::1\n\n", BadHost},
	{"something after the bracket", "GET / HTTP/1.1\nHost: [::1]x\n\n", BadHost},
	{"no host before the port", "GET / HTTP/1.1\nHost: :80\n\n", BadHost},
}

func TestSmuggling(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	for _, tt := range smuggled {
		t.Run(tt.name, func(t *testing.T) {
			in := strings.ReplaceAll(strings.ReplaceAll(tt.in, "\n", "\r\n"), "\x01", "\n")
			in += "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
			for _, n := range []int{0, 1, 5} {
				s := newScript()
				st := converse(t, l, s, in, n, true)
				if len(s.seen) != 0 {
					t.Fatalf("pieces of %d: served %q", n, s.seen)
				}
				if len(s.refused) != 1 || s.refused[0] != tt.fault {
					t.Errorf("pieces of %d: refused for %q, want %q", n, s.refused, tt.fault)
				}
				if !strings.HasPrefix(string(st.out), "HTTP/1.1 400 Bad Request\r\n") && tt.fault.Status() == 400 {
					t.Errorf("pieces of %d: answered %q", n, st.out)
				}
				if !st.closedWrite || !st.closed {
					t.Errorf("pieces of %d: the connection goes on", n)
				}
			}
		})
	}
}

// badBodies are bodies of a chunked request that cannot be told apart from the next
// request for sure. The Handler sees an error, and nothing that follows is read.
var badBodies = []struct {
	name, body string
	err        string
}{
	{"bare LF ends a size (CVE-2025-22871)", "5\x01hello\n0\n\n", BadChunkSize.Error()},
	{"bare LF ends an extension (CVE-2025-22871)", "5;a\x01hello\n0\n\n", BadChunkSize.Error()},
	{"bare CR ends a size", "5\rXhello\n0\n\n", BadChunkSize.Error()},
	{"bare CR in an extension", "5;a\rb\nhello\n0\n\n", BadChunkSize.Error()},
	{"bare LF ends a chunk", "5\nhello\x010\n\n", BadChunkEnd.Error()},
	{"chunk without end", "5\nhello0\n\n", BadChunkEnd.Error()},
	{"chunk longer than its size", "4\nhello\n0\n\n", BadChunkEnd.Error()},
	{"sign", "+5\nhello\n0\n\n", BadChunkSize.Error()},
	{"minus", "-5\nhello\n0\n\n", BadChunkSize.Error()},
	{"0x", "0x5\nhello\n0\n\n", BadChunkSize.Error()},
	{"space before a size", " 5\nhello\n0\n\n", BadChunkSize.Error()},
	{"space after a size", "5 \nhello\n0\n\n", BadChunkSize.Error()},
	{"space before an extension", "5 ;a\nhello\n0\n\n", BadChunkSize.Error()},
	{"underscore", "1_0\nhello\n0\n\n", BadChunkSize.Error()},
	{"no size", "\nhello\n0\n\n", BadChunkSize.Error()},
	{"no size but an extension", ";a\nhello\n0\n\n", BadChunkSize.Error()},
	{"overflow", "10000000000000005\nhello\n0\n\n", BadChunkSize.Error()},
	{"overflow to negative", "ffffffffffffffff\nhello\n0\n\n", BadChunkSize.Error()},
	{"many zeros", "000000000000000000005\nhello\n0\n\n", BadChunkSize.Error()},
	{"long extension (CVE-2023-39326)", "5;" + strings.Repeat("a", 300) + "\nhello\n0\n\n", ChunkExtensions.Error()},
	{"many extensions (CVE-2023-39326)", strings.Repeat("1;"+strings.Repeat("a", 200)+"\nx\n", 100) + "0\n\n", ChunkExtensions.Error()},
	{"NUL in an extension", "5;a\x00\nhello\n0\n\n", BadChunkSize.Error()},
	{"trailer without end", "0\nX: y\x01\n", BadLineEnd.Error()},
	{"trailer with a bare LF", "0\n\x01", BadLineEnd.Error()},
	{"folded trailer", "0\nX: y\n z\n\n", Folded.Error()},
	{"trailer without a name", "0\n: y\n\n", EmptyName.Error()},
	{"trailer without a colon", "0\nGET / HTTP/1.1\nHost: a\n\n", BadName.Error()},
	{"long trailer", "0\n" + strings.Repeat("X: "+strings.Repeat("y", 500)+"\n", 10) + "\n", TrailerTooLarge.Error()},
	{"one long trailer", "0\nX: " + strings.Repeat("y", 5000) + "\n\n", TrailerTooLarge.Error()},
}

func TestBadChunks(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	for _, tt := range badBodies {
		t.Run(tt.name, func(t *testing.T) {
			in := "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n" + tt.body + "GET /smuggled HTTP/1.1\nHost: a\n\n"
			in = strings.ReplaceAll(strings.ReplaceAll(in, "\n", "\r\n"), "\x01", "\n")
			for _, n := range []int{0, 1, 5} {
				s := newScript()
				st := converse(t, l, s, in, n, true)
				if len(s.seen) != 1 || !strings.HasSuffix(s.seen[0], "error="+tt.err) {
					t.Errorf("pieces of %d: saw %.200q, want error %q", n, s.seen, tt.err)
				}
				if !strings.Contains(string(st.out), "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n") {
					t.Errorf("pieces of %d: answered %q", n, st.out)
				}
			}
		})
	}
}

// TestUnreadBody is CVE-2025-4366: an answer without a look at the body must not let
// the body be read as the next request.
func TestUnreadBody(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	inner := "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, in := range []string{
		"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\n" + inner,
		"POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n25\r\n" + inner + "\r\n0\r\n\r\n",
		"POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n" + inner,
		"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + inner,
		"POST /unread HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 37\r\n\r\n",
	} {
		for _, n := range []int{0, 1, 50} {
			s := newScript()
			converse(t, l, s, in, n, true)
			if len(s.seen) != 1 {
				t.Errorf("pieces of %d of %q: saw %q", n, in, s.seen)
			}
		}
	}
}

// TestTunnelOnly101 is CVE-2026-2833: what follows a request with Upgrade is raw
// only after a 101.
func TestTunnelOnly101(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	in := "GET /refuse HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
	s := newScript()
	st := converse(t, l, s, in, 0, true)
	if got := lines(string(st.out)); len(s.seen) != 2 || got != ok+ok {
		t.Errorf("saw %q, answered %q", s.seen, got)
	}
	s = newScript()
	st = converse(t, l, s, strings.Replace(in, "/refuse HTTP/1.1", "/upgrade HTTP/1.1", 1)[:30]+"\r\n\r\n", 0, true)
	if len(s.seen) != 0 && !strings.Contains(s.seen[0], "head=") {
		t.Errorf("a 101 that nobody asked for: saw %q, answered %q", s.seen, st.out)
	}
}
