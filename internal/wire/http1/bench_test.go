package http1

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// typical is a request of ten fields, as a browser sends it.
var typical = strings.ReplaceAll(`GET /assets/app-4f9d2c.js?v=12 HTTP/1.1
Host: www.example.com
Connection: keep-alive
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
Accept-Encoding: gzip, deflate, br
Accept-Language: en-US,en;q=0.9
Referer: https://www.example.com/index.html
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark
Cache-Control: no-cache
Sec-Fetch-Mode: no-cors

`, "\n", "\r\n")

var typicalAnswer = strings.ReplaceAll(`HTTP/1.1 200 OK
Date: Mon, 23 Nov 2026 06:00:00 GMT
Content-Type: application/javascript
Content-Length: 13
ETag: "4f9d2c"
Cache-Control: max-age=31536000

Hello, world!`, "\n", "\r\n")

// loopStream is a memStream that never ends: whatever is written, it says the same
// again.
type loopStream struct {
	memStream
	say []byte
}

func (s *loopStream) Read(p []byte) (int, error) {
	n := copy(p, s.say)
	s.say = s.say[n:]
	return n, nil
}
func (s *loopStream) Write(p []byte) (int, error) { return len(p), nil }
func (s *loopStream) WriteTwo(a, b []byte) error  { return nil }
func (s *loopStream) Ready() bool                 { return len(s.say) > 0 }
func (s *loopStream) WaitRead() error             { return nil }

// fixed answers every request with the same.
type fixed struct {
	resp message.Response
	body []byte
}

func (f *fixed) Handle(_ *message.Request, w message.Writer) {
	w.WriteHead(&f.resp)
	w.Write(f.body)
	w.Finish(nil)
}

func newFixed() *fixed {
	f := &fixed{body: []byte("Hello, world!")}
	f.resp.Status, f.resp.Length = 200, int64(len(f.body))
	f.resp.Header.Add("Date", "Mon, 23 Nov 2026 06:00:00 GMT")
	f.resp.Header.Add("Content-Type", "text/plain")
	f.resp.Header.Add("X-Request-ID", "0123456789abcdef")
	return f
}

func parseOne(p *requestHead, r *message.Request, b []byte, lim *Limits) bool {
	p.reset()
	r.Reset()
	n, fault := p.parse(b, r, lim)
	return n == len(b) && fault == NoFault
}

func BenchmarkParseRequest(b *testing.B) {
	var p requestHead
	var r message.Request
	in, lim := []byte(typical), DefaultLimits
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if !parseOne(&p, &r, in, &lim) {
			b.Fatal("not parsed")
		}
	}
}

// cycle returns a function that lets a server answer one kept-alive request.
func cycle(l *loop.Loop, in string) func() {
	st := &loopStream{memStream: memStream{l: l}}
	lim := DefaultLimits
	lim.Requests = 0
	c := NewServer(st, &ServerConfig{Handler: newFixed(), Limits: func() *Limits { return &lim }})
	c.Serve()
	said := []byte(in)
	return func() {
		st.say = said
		st.wake()
		if st.idle == nil {
			panic("the connection did not go on")
		}
	}
}

// exchange returns a function that makes one request on a kept connection.
func exchange(l *loop.Loop) func() {
	st := &loopStream{memStream: memStream{l: l}}
	c := NewClient(st)
	r := &message.Request{Method: "GET", Target: "/assets/app-4f9d2c.js?v=12", Host: "www.example.com"}
	r.Header.Add("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36")
	r.Header.Add("X-Forwarded-For", "192.0.2.1")
	r.Header.Add("X-Forwarded-Proto", "https")
	var resp message.Response
	said, buf := []byte(typicalAnswer), make([]byte, 100)
	return func() {
		st.say = said
		if c.WriteHead(r) != nil || c.Finish(nil) != nil || c.ReadHead(&resp, "GET", 4096) != nil {
			panic("no answer")
		}
		if n, _ := resp.Body.Read(buf); n != 13 || !c.Reusable() {
			panic("no body")
		}
		c.Release()
	}
}

func onLoopBench(b *testing.B, f func(l *loop.Loop)) {
	l := engine(b, loop.Goroutines).Next()
	done := make(chan struct{})
	l.Post(func() { defer close(done); f(l) })
	<-done
}

func BenchmarkServe(b *testing.B) {
	onLoopBench(b, func(l *loop.Loop) {
		b.ReportAllocs()
		one := cycle(l, typical)
		for b.Loop() {
			one()
		}
	})
}

func BenchmarkClient(b *testing.B) {
	onLoopBench(b, func(l *loop.Loop) {
		b.ReportAllocs()
		one := exchange(l)
		for b.Loop() {
			one()
		}
	})
}

// TestNoAllocation holds that the codec allocates nothing for a request.
func TestNoAllocation(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	var p requestHead
	var r message.Request
	in, lim := []byte(typical), DefaultLimits
	chunked := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
	onLoop(t, l, func() {
		for name, f := range map[string]func(){
			"parse a head":             func() { parseOne(&p, &r, in, &lim) },
			"serve a request":          cycle(l, typical),
			"serve two at once":        cycle(l, typical+typical),
			"serve a body":             cycle(l, post),
			"serve a chunked body":     cycle(l, chunked),
			"a request and its answer": exchange(l),
		} {
			if n := testing.AllocsPerRun(200, f); n != 0 && !raceEnabled {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	})
}
