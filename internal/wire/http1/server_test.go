package http1

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// handlerFunc makes a Handler of a function.
type handlerFunc func(*message.Request, message.Writer)

func (f handlerFunc) Handle(r *message.Request, w message.Writer) { f(r, w) }

// script is a server whose answers follow from the path of the request; it notes
// what it saw.
type script struct {
	cfg     ServerConfig
	lim     Limits
	seen    []string
	refused []Fault
	closed  int
	taken   string // what a tunnel or HTTP/2 read
}

func newScript() *script {
	s := &script{lim: DefaultLimits}
	s.cfg = ServerConfig{
		Handler: handlerFunc(s.answer),
		Limits:  func() *Limits { return &s.lim },
		Closed:  func() { s.closed++ },
		Refuse: func(r *Refusal, resp *message.Response) []byte {
			s.refused = append(s.refused, r.Fault)
			resp.Header.Add("Content-Type", "text/html")
			return []byte("<" + string(r.Line) + ">")
		},
		HTTP2: func(st loop.Stream) {
			b, _ := io.ReadAll(st)
			s.taken = string(b)
			st.Close()
		},
	}
	return s
}

// dump shows a request in one line.
func dump(r *message.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s host=%q", r.Method, r.Target, r.Version, r.Host)
	for i := range r.Header.Len() {
		f := r.Header.At(i)
		fmt.Fprintf(&b, " %s=%q", f.Name, f.Value)
	}
	if r.Upgrade != "" {
		fmt.Fprintf(&b, " upgrade=%q", r.Upgrade)
	}
	if r.Body != nil {
		fmt.Fprintf(&b, " length=%d", r.Length)
	}
	return b.String()
}

func (s *script) answer(r *message.Request, w message.Writer) {
	line := dump(r)
	defer func() { s.seen = append(s.seen, line) }()
	path, _, _ := strings.Cut(r.Target, "?")
	resp := &message.Response{Status: 200, Length: 2}
	if r.Body != nil && path != "/unread" && path != "/early" {
		b, err := io.ReadAll(r.Body)
		line += fmt.Sprintf(" body=%q", b)
		if err != nil {
			line += fmt.Sprintf(" error=%v", err)
			resp.Status = 400
			if errors.Is(err, loop.ErrTimeout) {
				resp.Status = 408
			}
		}
		for i := range r.Trailer.Len() {
			line += fmt.Sprintf(" trailer %s=%q", r.Trailer.At(i).Name, r.Trailer.At(i).Value)
		}
	}
	var trailer *message.Header
	body := []string{"ok"}
	switch path {
	case "/stream":
		resp.Length, body = message.Unknown, []string{"one", "", "twelve bytes"}
	case "/trailer":
		resp.Length, trailer = message.Unknown, new(message.Header)
		trailer.Add("X-Sum", "7")
		trailer.Add("Content-Length", "9")
	case "/204", "/304":
		fmt.Sscan(path[1:], &resp.Status)
	case "/head-unknown":
		resp.Length = message.Unknown
	case "/short":
		resp.Length = 3
	case "/long":
		resp.Length = 1
	case "/abort":
		resp.Length = message.Unknown
	case "/silent":
		return
	case "/hints":
		w.WriteHead(&message.Response{Status: 100})
		early := &message.Response{Status: 103}
		early.Header.Add("Link", "</x>")
		w.WriteHead(early)
	case "/fields":
		for _, f := range []string{"Connection", "Keep-Alive", "Transfer-Encoding", "content-length", "Upgrade", "X-Own"} {
			resp.Header.Add(f, "v")
		}
	case "/close":
		resp.Header.Add("Connection", "close")
	case "/inject":
		bad := &message.Response{Status: 302}
		bad.Header.Add("Location", "/x\r\nSet-Cookie: a=b")
		line += fmt.Sprintf(" head=%v", w.WriteHead(bad))
	case "/upgrade":
		line += s.tunnel(w)
		return
	}
	if err := w.WriteHead(resp); err != nil {
		line += fmt.Sprintf(" head=%v", err)
		return
	}
	if path == "/early" {
		b, err := io.ReadAll(r.Body)
		line += fmt.Sprintf(" body=%q error=%v", b, err)
	}
	for _, p := range body {
		if _, err := w.Write([]byte(p)); err != nil {
			line += fmt.Sprintf(" write=%v", err)
		}
	}
	if path == "/abort" {
		w.Abort(errors.New("upstream gone"))
		return
	}
	if err := w.Finish(trailer); err != nil {
		line += fmt.Sprintf(" finish=%v", err)
	}
}

func (s *script) tunnel(w message.Writer) string {
	if _, err := w.(Tunneler).Tunnel(); err == nil {
		return " tunnel before the 101"
	}
	if err := w.WriteHead(&message.Response{Status: 101, Upgrade: "websocket"}); err != nil {
		w.WriteHead(&message.Response{Status: 502})
		w.Finish(nil)
		return fmt.Sprintf(" head=%v", err)
	}
	st, err := w.(Tunneler).Tunnel()
	if err != nil {
		return fmt.Sprintf(" tunnel=%v", err)
	}
	b, err := io.ReadAll(st)
	fmt.Fprintf(st, "[%s %v]", b, err)
	return ""
}

// converse serves what a client says, cut into pieces of n bytes.
func converse(t *testing.T, l *loop.Loop, s *script, in string, n int, eof bool) *memStream {
	st := &memStream{l: l, in: pieces(in, n), eof: eof}
	onLoop(t, l, func() {
		c := Serve(st, &s.cfg)
		for range 3 { // a parked connection goes on, and learns that there is no more
			if !st.closed && st.idle != nil {
				st.wake()
			}
		}
		if c.work != nil {
			t.Error("a connection without request holds a buffer")
		}
	})
	if !st.closed || s.closed != 1 {
		t.Errorf("closed %v, told %d times", st.closed, s.closed)
	}
	return st
}

// lines makes the text of a message easy to compare.
func lines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

const ok = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"
const okClose = "HTTP/1.1 200 OK\nContent-Length: 2\nConnection: close\n\nok"

func TestConversations(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{0, 1, 7} {
				s := newScript()
				if tt.limits != nil {
					tt.limits(&s.lim)
				}
				st := converse(t, l, s, strings.ReplaceAll(tt.in, "\n", "\r\n"), n, true)
				if got := lines(string(st.out)); got != tt.out {
					t.Errorf("pieces of %d: answered\n%s\nwant\n%s", n, got, tt.out)
				}
				if got := strings.Join(s.seen, "\n"); got != tt.seen {
					t.Errorf("pieces of %d: saw\n%s\nwant\n%s", n, got, tt.seen)
				}
				if s.taken != tt.taken {
					t.Errorf("pieces of %d: HTTP2 read %q, want %q", n, s.taken, tt.taken)
				}
			}
		})
	}
}

// conversations are requests that are served. In and out have \n for CR LF.
var conversations = []struct {
	name, in, seen, out string
	limits              func(*Limits)
	taken               string
}{
	{name: "get", in: "GET /x?y=1 HTTP/1.1\nHost: a.b:80\nAccept:  text/html \t\nX-Empty:\n\n",
		seen: `GET /x?y=1 HTTP/1.1 host="a.b:80" Accept="text/html" X-Empty=""`, out: ok},
	{name: "two requests", in: "GET /1 HTTP/1.1\nHost: a\n\nGET /2 HTTP/1.1\nHost: b\n\n",
		seen: "GET /1 HTTP/1.1 host=\"a\"\nGET /2 HTTP/1.1 host=\"b\"", out: ok + ok},
	{name: "empty lines before a request", in: "\n\nGET /1 HTTP/1.1\nHost: a\n\n\nGET /2 HTTP/1.1\nHost: b\n\n",
		seen: "GET /1 HTTP/1.1 host=\"a\"\nGET /2 HTTP/1.1 host=\"b\"", out: ok + ok},
	{name: "post", in: "POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhelloGET /2 HTTP/1.1\nHost: b\n\n",
		seen: "POST / HTTP/1.1 host=\"a\" length=5 body=\"hello\"\nGET /2 HTTP/1.1 host=\"b\"", out: ok + ok},
	{name: "chunked", in: "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked\n\n5\nhello\n00C;x=\"y\"\n, everybody!\n0\nX-Sum: 1\nContent-Length: 7\n\nGET /2 HTTP/1.1\nHost: b\n\n",
		seen: "POST / HTTP/1.1 host=\"a\" length=-1 body=\"hello, everybody!\" trailer X-Sum=\"1\"\nGET /2 HTTP/1.1 host=\"b\"", out: ok + ok},
	{name: "body that nobody reads", in: "POST /unread HTTP/1.1\nHost: a\nContent-Length: 5\n\nhelloPOST /unread HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\nGET /2 HTTP/1.1\nHost: b\n\n",
		seen: "POST /unread HTTP/1.1 host=\"a\" length=5\nPOST /unread HTTP/1.1 host=\"a\" length=-1\nGET /2 HTTP/1.1 host=\"b\"", out: ok + ok + ok},
	{name: "large body that nobody reads", in: "POST /unread HTTP/1.1\nHost: a\nContent-Length: 500000\n\nhello",
		seen: `POST /unread HTTP/1.1 host="a" length=500000`, out: okClose},
	{name: "answer before the body", in: "POST /early HTTP/1.1\nHost: a\nContent-Length: 5\n\nhelloGET /2 HTTP/1.1\nHost: b\n\n",
		seen: "POST /early HTTP/1.1 host=\"a\" length=5 body=\"hello\" error=<nil>\nGET /2 HTTP/1.1 host=\"b\"", out: ok + ok},
	{name: "http/1.0", in: "GET / HTTP/1.0\n\nGET /2 HTTP/1.0\n\n", seen: `GET / HTTP/1.0 host=""`, out: okClose},
	{name: "http/1.0 kept", in: "GET / HTTP/1.0\nHost: a\nConnection: Keep-Alive\n\nGET /2 HTTP/1.0\n\n",
		seen: "GET / HTTP/1.0 host=\"a\"\nGET /2 HTTP/1.0 host=\"\"",
		out:  "HTTP/1.1 200 OK\nContent-Length: 2\nConnection: keep-alive\n\nok" + okClose},
	{name: "http/1.0 stream ends with the connection", in: "GET /stream HTTP/1.0\nConnection: keep-alive\n\n",
		seen: `GET /stream HTTP/1.0 host=""`, out: "HTTP/1.1 200 OK\nConnection: close\n\nonetwelve bytes"},
	{name: "connection close", in: "GET / HTTP/1.1\nHost: a\nConnection: x, CLOSE\n\nGET /2 HTTP/1.1\nHost: a\n\n",
		seen: `GET / HTTP/1.1 host="a"`, out: okClose},
	{name: "connection that is no list of tokens", in: "GET / HTTP/1.1\nHost: a\nConnection: Close 0\n\nGET /2 HTTP/1.1\nHost: a\n\n",
		seen: `GET / HTTP/1.1 host="a"`, out: okClose},
	{name: "fields of the connection", in: "GET / HTTP/1.1\nHost: a\nX-Secret: 1\nA: 2\nKeep-Alive: 5\nProxy-Connection: x\nTE: gzip, trailers\nconnection: x-secret , TE, ,b\nB: 3\nB: 4\nExpect: x\n\n",
		seen: `GET / HTTP/1.1 host="a" A="2" TE="trailers"`, out: ok},
	{name: "stream", in: "GET /stream HTTP/1.1\nHost: a\n\n", seen: `GET /stream HTTP/1.1 host="a"`,
		out: "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\none\nc\ntwelve bytes\n0\n\n"},
	{name: "trailer", in: "GET /trailer HTTP/1.1\nHost: a\n\n", seen: `GET /trailer HTTP/1.1 host="a"`,
		out: "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\nX-Sum: 7\n\n"},
	{name: "head", in: "HEAD / HTTP/1.1\nHost: a\n\nHEAD /head-unknown HTTP/1.1\nHost: a\n\n",
		seen: "HEAD / HTTP/1.1 host=\"a\"\nHEAD /head-unknown HTTP/1.1 host=\"a\"",
		out:  "HTTP/1.1 200 OK\nContent-Length: 2\n\nHTTP/1.1 200 OK\n\n"},
	{name: "204 and 304", in: "GET /204 HTTP/1.1\nHost: a\n\nGET /304 HTTP/1.1\nHost: a\n\n",
		seen: "GET /204 HTTP/1.1 host=\"a\"\nGET /304 HTTP/1.1 host=\"a\"",
		out:  "HTTP/1.1 204 No Content\n\nHTTP/1.1 304 Not Modified\nContent-Length: 2\n\n"},
	{name: "early hints", in: "GET /hints HTTP/1.1\nHost: a\n\nGET /hints HTTP/1.0\n\n",
		seen: "GET /hints HTTP/1.1 host=\"a\"\nGET /hints HTTP/1.0 host=\"\"",
		out:  "HTTP/1.1 103 Early Hints\nLink: </x>\n\n" + ok + okClose},
	{name: "framing is the codec's", in: "GET /fields HTTP/1.1\nHost: a\n\n", seen: `GET /fields HTTP/1.1 host="a"`,
		out: "HTTP/1.1 200 OK\nX-Own: v\nContent-Length: 2\n\nok"},
	{name: "the answer closes", in: "GET /close HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\nHost: a\n\n",
		seen: `GET /close HTTP/1.1 host="a"`, out: okClose},
	{name: "injected field", in: "GET /inject HTTP/1.1\nHost: a\n\n",
		seen: `GET /inject HTTP/1.1 host="a" head=http1: field value holds a control character`, out: ok},
	{name: "body shorter than announced", in: "GET /short HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\nHost: a\n\n",
		seen: `GET /short HTTP/1.1 host="a" finish=http1: call out of sequence`, out: "HTTP/1.1 200 OK\nContent-Length: 3\n\nok"},
	{name: "body longer than announced", in: "GET /long HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\nHost: a\n\n",
		seen: `GET /long HTTP/1.1 host="a" write=http1: call out of sequence finish=http1: call out of sequence`},
	{name: "abort", in: "GET /abort HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\nHost: a\n\n", seen: `GET /abort HTTP/1.1 host="a"`,
		out: "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n"},
	{name: "no answer", in: "GET /silent HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\nHost: a\n\n", seen: `GET /silent HTTP/1.1 host="a"`},
	{name: "absolute-form", in: "GET http://B.c:81/x?y HTTP/1.1\nHost: a\n\nGET HTTPS://b?q HTTP/1.1\nHost: a\n\nOPTIONS http://b HTTP/1.1\nHost: a\n\nGET http://b HTTP/1.1\nHost: a\n\n",
		seen: "GET /x?y HTTP/1.1 host=\"B.c:81\"\nGET /?q HTTP/1.1 host=\"b\"\nOPTIONS * HTTP/1.1 host=\"b\"\nGET / HTTP/1.1 host=\"b\"", out: ok + ok + ok + ok},
	{name: "options *", in: "OPTIONS * HTTP/1.1\nHost: [::1]:80\n\n", seen: `OPTIONS * HTTP/1.1 host="[::1]:80"`, out: ok},
	{name: "other methods", in: "X_PURGE-A //x HTTP/1.1\nHost: a\n\n", seen: `X_PURGE-A //x HTTP/1.1 host="a"`, out: ok},
	{name: "names with underscores and odd ones", in: "GET / HTTP/1.1\nHost: a\nX_A: 1\nContent_Length: 5\nX.B: 2\nX-C: 3\n\n",
		seen: `GET / HTTP/1.1 host="a" X-C="3"`, out: ok},
	{name: "underscores passed", in: "GET / HTTP/1.1\nHost: a\nX_A: 1\nX.B: 2\nX-C: 3\n\n", limits: func(l *Limits) { l.Underscores = true },
		seen: `GET / HTTP/1.1 host="a" X_A="1" X-C="3"`, out: ok},
	{name: "invalid names passed", in: "GET / HTTP/1.1\nHost: a\nX_A: 1\nX.B: 2\nX-C: 3\n\n", limits: func(l *Limits) { l.InvalidNames = true },
		seen: `GET / HTTP/1.1 host="a" X_A="1" X.B="2" X-C="3"`, out: ok},
	{name: "number of requests", in: strings.Repeat("GET / HTTP/1.1\nHost: a\n\n", 3), limits: func(l *Limits) { l.Requests = 2 },
		seen: "GET / HTTP/1.1 host=\"a\"\nGET / HTTP/1.1 host=\"a\"", out: ok + okClose},
	{name: "no keep-alive", in: strings.Repeat("GET / HTTP/1.1\nHost: a\n\n", 2), limits: func(l *Limits) { l.KeepAlive = 0 },
		seen: "GET / HTTP/1.1 host=\"a\"", out: okClose},
	{name: "expect without need", in: "POST / HTTP/1.1\nHost: a\nContent-Length: 0\nExpect: 100-continue\n\n",
		seen: `POST / HTTP/1.1 host="a"`, out: ok},
	{name: "expect of http/1.0", in: "POST / HTTP/1.0\nHost: a\nContent-Length: 2\nExpect: 100-continue\n\nhi",
		seen: `POST / HTTP/1.0 host="a" length=2 body="hi"`, out: okClose},
	{name: "upgrade", in: "GET /upgrade HTTP/1.1\nHost: a\nConnection: keep-alive, Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: k\n\nraw \n\n bytes",
		seen: `GET /upgrade HTTP/1.1 host="a" Sec-WebSocket-Key="k" upgrade="websocket"`,
		out:  "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: websocket\n\n[raw \n\n bytes <nil>]"},
	{name: "upgrade that Connection does not name", in: "GET / HTTP/1.1\nHost: a\nUpgrade: websocket\n\n", seen: `GET / HTTP/1.1 host="a"`, out: ok},
	{name: "upgrade with a body", in: "POST / HTTP/1.1\nHost: a\nUpgrade: websocket\nConnection: upgrade\nContent-Length: 2\n\nhi",
		seen: `POST / HTTP/1.1 host="a" length=2 body="hi"`, out: ok},
	{name: "upgrade to HTTP/2 is not offered", in: "GET / HTTP/1.1\nHost: a\nUpgrade: x, h2c\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AA\n\n",
		seen: `GET / HTTP/1.1 host="a"`, out: ok},
	{name: "http/2 preface", in: preface_ + "frames", taken: strings.ReplaceAll(preface_+"frames", "\n", "\r\n")},
	{name: "larger head than a small buffer", in: "GET / HTTP/1.1\nHost: a\n" + strings.Repeat("X-A: "+strings.Repeat("b", 6000)+"\n", 4) + "Content-Length: 5\n\nhello",
		seen: `GET / HTTP/1.1 host="a"` + strings.Repeat(` X-A="`+strings.Repeat("b", 6000)+`"`, 4) + ` length=5 body="hello"`, out: ok},
	{name: "head that fills a small buffer", in: "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n" + strings.Repeat("X-A: "+strings.Repeat("b", 7950)+"\n", 2) + "\n5\nhello\n5\nworld\n0\nX-Sum: 1\n\nGET / HTTP/1.1\nHost: b\n\n",
		seen: `POST / HTTP/1.1 host="a"` + strings.Repeat(` X-A="`+strings.Repeat("b", 7950)+`"`, 2) + " length=-1 body=\"helloworld\" trailer X-Sum=\"1\"\nGET / HTTP/1.1 host=\"b\"", out: ok + ok},
}

var preface_ = strings.ReplaceAll(preface, "\r\n", "\n")

// TestLimitsOfOpenConnections holds that new limits reach a connection that was
// open before.
func TestLimitsOfOpenConnections(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	s := newScript()
	st := &memStream{l: l}
	get := "GET /" + strings.Repeat("x", 100) + " HTTP/1.1\r\nHost: a\r\n\r\n"
	onLoop(t, l, func() {
		Serve(st, &s.cfg)
		for _, line := range []int{200, 50} {
			s.lim.MaxLine = line
			st.in = pieces(get, 0)
			st.wake()
		}
	})
	if len(s.seen) != 1 || len(s.refused) != 1 || s.refused[0] != LineTooLong || !st.closed {
		t.Errorf("saw %d, refused %v, closed %v", len(s.seen), s.refused, st.closed)
	}
}

// TestContinueOnlyWhenNeeded holds that a client that has sent its body is not told
// to.
func TestContinueOnlyWhenNeeded(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	s := newScript()
	st := converse(t, l, s, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", 0, true)
	if got := lines(string(st.out)); got != ok {
		t.Errorf("answered %q", got)
	}
}

// TestOneWrite holds how often a usual answer is written: once.
func TestOneWrite(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	for _, size := range []int{0, 10, 4096, 4097, 100000} {
		sent := int64(0)
		cfg := ServerConfig{Handler: handlerFunc(func(_ *message.Request, w message.Writer) {
			w.WriteHead(&message.Response{Status: 200, Length: int64(size)})
			w.Write(make([]byte, size))
			w.Finish(nil)
			sent = w.Sent()
		})}
		st := &memStream{l: l, in: pieces("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0), eof: true}
		onLoop(t, l, func() { Serve(st, &cfg) })
		if st.writes != 1 || len(st.out) < size || sent != int64(len(st.out)) {
			t.Errorf("%d bytes: %d writes of %d bytes, said to be %d", size, st.writes, len(st.out), sent)
		}
	}
}
