package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/pace"
)

// taken is a request as a Handler saw it.
type taken struct {
	req  message.Request // with strings of its own
	text string          // dump, but for the version
	body string
	err  error
}

// takeFirst serves in, cut into pieces of n bytes, and returns the first request, or
// nil when it was refused.
func takeFirst(t *testing.T, l *loop.Loop, in []byte, n int) (got *taken) {
	cfg := ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		got = &taken{}
		if r.Body != nil {
			b, err := io.ReadAll(r.Body)
			got.body, got.err = string(b), err
		}
		got.text = strings.Replace(dump(r), " "+r.Version.String(), "", 1)
		got.req = message.Request{
			Version: r.Version, Method: strings.Clone(r.Method), Target: strings.Clone(r.Target), Host: strings.Clone(r.Host),
			Upgrade: strings.Clone(r.Upgrade), Length: r.Length, Size: r.Size,
		}
		for i := range r.Header.Len() {
			f := r.Header.At(i)
			got.req.Header.Add(strings.Clone(f.Name), strings.Clone(f.Value))
		}
		w.Abort(nil)
	})}
	st := &memStream{l: l, in: pieces(string(in), n), eof: true}
	onLoop(t, l, func() { Serve(st, &cfg) })
	if !st.closed {
		t.Fatal("the connection goes on")
	}
	return got
}

func FuzzRequest(f *testing.F) {
	crlf := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "\n", "\r\n"), "\x01", "\n") }
	for _, c := range conversations {
		if len(c.in) < 1000 {
			f.Add([]byte(crlf(c.in)), 3)
		}
	}
	for _, s := range smuggled {
		if len(s.in) < 1000 {
			f.Add([]byte(crlf(s.in)), 0)
		}
	}
	f.Add([]byte(typical), 100)
	l := engine(f, loop.Goroutines).Next()
	f.Fuzz(func(t *testing.T, in []byte, n int) {
		got := takeFirst(t, l, in, 0)
		cut := takeFirst(t, l, in, 1+max(0, n%64))
		switch {
		case (got == nil) != (cut == nil):
			t.Fatalf("whole: taken %v, in pieces: taken %v", got != nil, cut != nil)
		case got == nil:
			return
		case got.text != cut.text || got.body != cut.body || (got.err == nil) != (cut.err == nil):
			t.Fatalf("whole     %s %q %v\nin pieces %s %q %v", got.text, got.body, got.err, cut.text, cut.body, cut.err)
		}
		if got.err == nil {
			sameAsNetHTTP(t, in, got)
			sameAgain(t, l, got)
		}
	})
}

// sameAsNetHTTP compares what was taken with what net/http makes of the same bytes.
func sameAsNetHTTP(t *testing.T, in []byte, got *taken) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimLeft(in, "\r\n"))))
	if err != nil {
		// It parses targets and refuses some that are not our business here.
		for _, reason := range []string{"parse ", "invalid URI", "malformed Host header", "malformed MIME header line"} {
			if strings.Contains(err.Error(), reason) {
				return
			}
		}
		t.Fatalf("net/http refuses what was taken as %s: %v", got.text, err)
	}
	if r.Method != got.req.Method {
		t.Errorf("method %q, net/http %q", got.req.Method, r.Method)
	}
	if strings.HasPrefix(r.RequestURI, "/") && r.RequestURI != got.req.Target {
		t.Errorf("target %q, net/http %q", got.req.Target, r.RequestURI)
	}
	if r.Host != got.req.Host {
		t.Errorf("host %q, net/http %q", got.req.Host, r.Host)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil || string(b) != got.body {
		t.Errorf("body %q, net/http %q, %v", got.body, b, err)
	}
}

// sameAgain writes what was taken as a request of ours, which must be taken for the
// same.
func sameAgain(t *testing.T, l *loop.Loop, got *taken) {
	if got.req.Host == "" {
		return // HTTP/1.0 without Host, which we never send
	}
	st := &memStream{l: l}
	onLoop(t, l, func() {
		c := NewClient(st)
		if err := c.WriteHead(&got.req); err != nil {
			t.Error(err)
		}
		c.Write([]byte(got.body))
		if err := c.Finish(nil); err != nil {
			t.Error(err)
		}
		c.Release()
	})
	again := takeFirst(t, l, st.out, 0)
	if again == nil || again.text != got.text || again.body != got.body || again.err != nil {
		t.Errorf("%q was taken for\n%+v\nand was\n%+v", st.out, again, got)
	}
}

// heard reads the response to a GET out of in: its final head and body.
func heard(t *testing.T, l *loop.Loop, in []byte, n int) (status int, text string, err error) {
	st := &memStream{l: l, in: pieces(string(in), n), eof: true}
	onLoop(t, l, func() {
		c := NewClient(st)
		c.WriteHead(&message.Request{Method: "GET", Target: "/", Host: "a"})
		c.Finish(nil)
		var r message.Response
		for r.Status < 200 {
			if err = c.ReadHead(&r, "GET", 4096); err != nil {
				return
			}
		}
		status = r.Status
		var b []byte
		if r.Body != nil {
			b, err = io.ReadAll(r.Body)
		}
		r.Body = nil
		text = dumpResponse(&r) + "\x00" + string(b)
		c.Close()
	})
	return status, text, err
}

func FuzzResponse(f *testing.F) {
	for _, r := range responses {
		if len(r.in) < 1000 {
			f.Add([]byte(strings.ReplaceAll(strings.ReplaceAll(r.in, "\n", "\r\n"), "\x01", "\n")), 5)
		}
	}
	f.Add([]byte(typicalAnswer), 0)
	l := engine(f, loop.Goroutines).Next()
	f.Fuzz(func(t *testing.T, in []byte, n int) {
		status, text, err := heard(t, l, in, 0)
		status2, text2, err2 := heard(t, l, in, 1+max(0, n%64))
		if status != status2 || text != text2 || (err == nil) != (err2 == nil) {
			t.Fatalf("whole     %d %q %v\nin pieces %d %q %v", status, text, err, status2, text2, err2)
		}
		if err != nil {
			return
		}
		br := bufio.NewReader(bytes.NewReader(in))
		var r *http.Response
		for r == nil || r.StatusCode < 200 {
			if r, err = http.ReadResponse(br, nil); err != nil {
				if strings.Contains(err.Error(), "malformed MIME header") {
					return
				}
				t.Fatalf("net/http refuses what was heard as %q: %v", text, err)
			}
		}
		b, err := io.ReadAll(r.Body)
		_, body, _ := strings.Cut(text, "\x00")
		if r.StatusCode != status || string(b) != body || err != nil {
			t.Errorf("heard %d %q, net/http %d %q, %v", status, body, r.StatusCode, b, err)
		}
	})
}

// unchunk reads in as a chunked body with a Read of the given size.
func unchunk(t *testing.T, l *loop.Loop, in []byte, piece, size int) (out []byte, trailer string, rest int, err error) {
	st := &memStream{l: l, in: pieces(string(in), piece), eof: true}
	onLoop(t, l, func() {
		var b body
		var h message.Header
		conn := input{s: st}
		b.begin(&conn, byChunks, 0, &h, pace.Pace{})
		p := make([]byte, size)
		for err == nil {
			var n int
			if n, err = b.Read(p); n == 0 && err == nil {
				t.Error("a Read of nothing")
				break
			}
			out = append(out, p[:n]...)
		}
		for i := range h.Len() {
			trailer += h.At(i).Name + ":" + h.At(i).Value + "\n"
		}
		rest = len(conn.buffered())
		for _, p := range st.in {
			rest += len(p)
		}
		trailer = strings.Clone(trailer)
		conn.release()
	})
	return out, trailer, rest, err
}

func FuzzChunked(f *testing.F) {
	for _, b := range badBodies {
		if len(b.body) < 1000 {
			f.Add([]byte(strings.ReplaceAll(strings.ReplaceAll(b.body, "\n", "\r\n"), "\x01", "\n")), 3, 4)
		}
	}
	f.Add([]byte("5\r\nhello\r\nA;b=\"c\"\r\n0123456789\r\n0\r\nX: y\r\n\r\nrest"), 1, 1)
	l := engine(f, loop.Goroutines).Next()
	f.Fuzz(func(t *testing.T, in []byte, piece, size int) {
		out, trailer, rest, err := unchunk(t, l, in, 0, 4096)
		out2, trailer2, rest2, err2 := unchunk(t, l, in, 1+max(0, piece%32), 1+max(0, size%32))
		if (err == io.EOF) != (err2 == io.EOF) || err == io.EOF && (string(out) != string(out2) || trailer != trailer2 || rest != rest2) {
			t.Fatalf("whole     %q %q %d %v\nin pieces %q %q %d %v", out, trailer, rest, err, out2, trailer2, rest2, err2)
		}
		if err != io.EOF {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrHeadTooLarge) && err != io.ErrUnexpectedEOF {
				t.Errorf("error %v", err)
			}
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		if err != nil || string(theirs) != string(out) {
			t.Errorf("read %q, net/http %q, %v", out, theirs, err)
		}
	})
}
