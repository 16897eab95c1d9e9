package http2

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// memStream is a stream whose client has sent what is in it, and takes everything.
type memStream struct {
	l    *loop.Loop
	in   []byte
	sent int
	last []byte // what was written last
}

func (s *memStream) Read(p []byte) (int, error) {
	n := copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *memStream) Write(p []byte) (int, error) {
	s.sent += len(p)
	s.last = append(s.last[:0], p...)
	return len(p), nil
}

func (s *memStream) WriteTwo(a, b []byte) error    { return nil }
func (s *memStream) Ready() bool                   { return len(s.in) > 0 }
func (s *memStream) WaitRead() error               { return nil }
func (s *memStream) Quiet() bool                   { return len(s.in) == 0 }
func (s *memStream) OnReadable(func(any), any)     {}
func (s *memStream) SetReadDeadline(time.Time)     {}
func (s *memStream) SetWriteDeadline(time.Time)    {}
func (s *memStream) SetWriteTimeout(time.Duration) {}
func (s *memStream) CloseWrite() error             { return nil }
func (s *memStream) Close() error                  { return nil }
func (s *memStream) LocalAddr() netip.AddrPort     { return netip.AddrPort{} }
func (s *memStream) RemoteAddr() netip.AddrPort    { return netip.AddrPort{} }
func (s *memStream) Loop() *loop.Loop              { return s.l }
func (s *memStream) feed(c *conn, p []byte)        { s.in = p; readable(c) }

// onLoop runs f in a coroutine of a loop.
func onLoop(t testing.TB, f func(l *loop.Loop)) {
	t.Helper()
	l := newEngine(t, loop.DefaultKind(), 1).Next()
	done := make(chan struct{})
	l.Post(func() { defer close(done); f(l) })
	<-done
}

// fixedAnswer is an answer as a proxy gives it, without work of its own.
type fixedAnswer struct {
	resp message.Response
	body []byte
	buf  []byte
}

func newFixedAnswer() *fixedAnswer {
	a := &fixedAnswer{body: make([]byte, 1000), buf: make([]byte, 4096)}
	a.resp.Status, a.resp.Length = 200, 1000
	for _, f := range [][2]string{
		{"Content-Type", "text/html; charset=utf-8"}, {"Date", "Sun, 23 Nov 2025 08:00:00 GMT"},
		{"Vary", "Accept-Encoding"}, {"X-Frame-Options", "DENY"}, {"Set-Cookie", "session=1; Path=/; HttpOnly"},
	} {
		a.resp.Header.Add(f[0], f[1])
	}
	return a
}

func (a *fixedAnswer) Handle(r *message.Request, w message.Writer) {
	for r.Body != nil {
		if _, err := r.Body.Read(a.buf); err != nil {
			break
		}
	}
	if w.WriteHead(&a.resp) == nil {
		w.(message.LastWriter).WriteLast(a.body, nil)
	}
}

// TestAllocations holds what a request costs the heap.
func TestAllocations(t *testing.T) {
	for _, tt := range []struct {
		name string
		path []byte // how :path is encoded
		body bool
		want float64
	}{
		{"everything from the table", []byte{0x84}, false, 0},
		{"path as a literal", []byte{0x04, 6, '/', 'h', 'e', 'l', 'l', 'o'}, false, 1},
		{"path in Huffman code", hpack.AppendHuffmanString([]byte{0x04, 0x80 | byte(hpack.HuffmanEncodeLength("/hello"))}, "/hello"), false, 1},
		{"body that arrives with the head", []byte{0x84}, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onLoop(t, func(l *loop.Loop) {
				c, s := serveMemory(l, newFixedAnswer())
				next := makeRequests(tt.path, tt.body)
				run := func() {
					s.feed(&c.conn, next())
					s.feed(&c.conn, c0WindowUpdate)
					l.Sleep(0) // to the end of the turn
				}
				for range 100 {
					run()
				}
				before := s.sent
				if got := testing.AllocsPerRun(500, run); got != tt.want && !raceDetector {
					t.Errorf("%v allocations, want %v", got, tt.want)
				}
				if n := s.sent - before; n < 500*1000 {
					t.Errorf("%d bytes were answered", n)
				}
				c.teardown(ErrClosed)
			})
		})
	}
}

// c0WindowUpdate lets the connection send as many bytes as one answer has.
var c0WindowUpdate = []byte{0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 3, 0xe8}

// serveMemory greets and sends a first request that fills HPACK's table.
func serveMemory(l *loop.Loop, h message.Handler) (*ServerConn, *memStream) {
	lim := DefaultLimits
	lim.Requests = 0
	s := &memStream{l: l}
	c := Serve(s, &ServerConfig{Handler: h, Limits: func() *Limits { return &lim }})
	s.feed(&c.conn, append([]byte(preface), conversation(false, func(fr *xhttp2.Framer, block func(...string) []byte) {
		fr.WriteSettings()
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: block(
			":method", "GET", ":scheme", "https", ":path", "/", ":authority", "www.example.com", "user-agent", long(110),
			"accept", "text/html,application/xhtml+xml", "cookie", long(60), "accept-encoding", "gzip, deflate, br")})
	})...))
	l.Sleep(0)
	return c, s
}

// makeRequests returns a function that makes the next request, in memory of its own.
func makeRequests(path []byte, body bool) func() []byte {
	block := append([]byte{0x82, 0x87}, path...) // GET, https
	block = append(block, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe)
	flags, id := uint8(flagEndHeaders|flagEndStream), uint32(1)
	if body {
		flags = flagEndHeaders
	}
	var p []byte
	return func() []byte {
		id += 2
		p = appendFrame(p[:0], len(block), frameHeaders, flags, id)
		p = append(p, block...)
		if body {
			p = appendFrame(p, 4, frameData, flagEndStream, id)
			p = append(p, "body"...)
		}
		return p
	}
}

// TestIdleMemory holds what a connection without streams keeps.
func TestIdleMemory(t *testing.T) {
	const n = 2000
	onLoop(t, func(l *loop.Loop) {
		h, conns := newFixedAnswer(), make([]*ServerConn, n)
		serveMemory(l, h)
		before := heap()
		for i := range conns {
			c, s := serveMemory(l, h)
			s.last = nil
			conns[i] = c
		}
		per := int(heap()-before) / n
		t.Logf("%d bytes per idle connection, its stream and its part of HPACK's table included", per)
		if per > 3000 {
			t.Errorf("%d bytes per idle connection", per)
		}
		runtime.KeepAlive(conns)
	})
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkRequest is the cost of the codec alone, with all of one turn in one write.
func BenchmarkRequest(b *testing.B) {
	onLoop(b, func(l *loop.Loop) {
		c, s := serveMemory(l, newFixedAnswer())
		next := makeRequests([]byte{0x84}, false)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			s.feed(&c.conn, next())
			s.feed(&c.conn, c0WindowUpdate)
			if i%10 == 9 {
				l.Sleep(0)
			}
		}
	})
}
