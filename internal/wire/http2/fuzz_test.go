package http2

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// conversation returns the frames that f writes, after the client's greeting or not.
func conversation(greet bool, f func(fr *xhttp2.Framer, block func(...string) []byte)) []byte {
	var b, h bytes.Buffer
	enc := hpack.NewEncoder(&h)
	fr := xhttp2.NewFramer(&b, nil)
	fr.AllowIllegalWrites = true
	if greet {
		fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: 100})
	}
	f(fr, func(fields ...string) []byte {
		h.Reset()
		for i := 0; i < len(fields); i += 2 {
			enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		return bytes.Clone(h.Bytes())
	})
	return b.Bytes()
}

// FuzzServer has a client send any bytes after the preface: the server must not
// panic, and must have closed the connection soon after the client has ended it.
func FuzzServer(f *testing.F) {
	f.Add(conversation(false, func(fr *xhttp2.Framer, _ func(...string) []byte) { fr.WriteSettingsAck() }))
	f.Add(conversation(true, func(fr *xhttp2.Framer, block func(...string) []byte) {
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block(request("GET")...), EndStream: true, EndHeaders: true})
		fr.WriteWindowUpdate(1, 1000)
		fr.WriteWindowUpdate(0, 1000)
		fr.WritePing(false, [8]byte{})
		fr.WriteGoAway(0, 0, nil)
	}))
	f.Add(conversation(true, func(fr *xhttp2.Framer, block func(...string) []byte) {
		p := block(request("POST", "content-length", "3", "cookie", "a", "cookie", "b", "expect", "100-continue")...)
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: p[:5], PadLength: 3, Priority: xhttp2.PriorityParam{StreamDep: 3}})
		fr.WriteContinuation(1, true, p[5:])
		fr.WriteDataPadded(1, false, []byte("abc"), make([]byte, 4))
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block("x-sum", "1"), EndStream: true, EndHeaders: true})
		fr.WriteRSTStream(1, 8)
		fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: 0}, xhttp2.Setting{ID: settingMaxFrameSize, Val: 1 << 20})
		fr.WritePriority(5, xhttp2.PriorityParam{StreamDep: 1})
	}))
	fuzzConn(f, preface, func(c *loop.Conn, closed func()) {
		Serve(c, &ServerConfig{Handler: handlerFunc(echo), Closed: func(*ServerConn) { closed() }})
	})
}

// fuzzConn has any bytes sent after a greeting to what serves one end of a pipe: it must
// not panic, and must have closed the connection soon after the other end did.
func fuzzConn(f *testing.F, greeting string, serve func(c *loop.Conn, closed func())) {
	e, err := loop.New(loop.Goroutines, 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { e.Close() })
	panicked := make(chan any, 1)
	loop.OnPanic(func(v any, stack []byte) {
		select {
		case panicked <- v:
			println(string(stack))
		default:
		}
	})
	f.Fuzz(func(t *testing.T, p []byte) {
		closed := make(chan struct{})
		near, far := net.Pipe()
		e.Next().Adopt(far, func(c *loop.Conn) { serve(c, func() { close(closed) }) })
		go io.Copy(io.Discard, near)
		near.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if greeting != "" { // a pipe passes on that nothing was written
			io.WriteString(near, greeting)
		}
		for step := len(p)/3 + 1; len(p) > 0; p = p[min(step, len(p)):] {
			near.Write(p[:min(step, len(p))])
		}
		near.Close()
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Fatal("the connection is still open")
		}
		select {
		case v := <-panicked:
			t.Fatal(v)
		default:
		}
	})
}

// FuzzHead has a client send any field block: what the Handler gets must be such
// that HTTP/1.1 can carry it without being read in another way.
func FuzzHead(f *testing.F) {
	seed := func(fields ...string) {
		f.Add(conversation(false, func(fr *xhttp2.Framer, block func(...string) []byte) {
			fr.WriteRawFrame(0, 0, 0, block(fields...))
		})[headerSize:])
	}
	seed(request("GET")...)
	seed(request("POST", "content-length", "3", "cookie", "a", "cookie", "b", "te", "trailers", "x_y", "1", "host", "example.com")...)
	seed(request("GET", "connection", "x", "X", "\r\n")...)
	f.Fuzz(func(t *testing.T, p []byte) {
		c := &ServerConn{cfg: &ServerConfig{}}
		c.side = c
		lim := DefaultLimits
		lim.Underscores, lim.InvalidNames = true, true
		c.dec = hpack.NewDecoder(4096, c.field)
		s := &stream{c: c}
		c.head.Begin(&lim, &s.req, &s.cookie, false)
		if c.decode(p, true) != nil {
			return
		}
		c.head.Finish((*requestBody)(s), "")
		if c.head.Bad != "" || c.head.Fault != NoFault {
			return
		}
		r := &s.req
		if !isMethod(r.Method) || !(validPath(r.Target) || r.Target == "*") || !message.ValidHost(r.Host) || r.Scheme != "http" && r.Scheme != "https" {
			t.Errorf("%q %q %q %q", r.Method, r.Target, r.Host, r.Scheme)
		}
		for i := range r.Header.Len() {
			f := r.Header.At(i)
			if f.Name == "" || strings.ContainsAny(f.Name, " :\t\r\n\x00") || bytes.ContainsAny([]byte(f.Value), "\r\n\x00") {
				t.Errorf("field %q: %q", f.Name, f.Value)
			}
		}
		for _, name := range []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade"} {
			if v, ok := r.Header.Lookup(name); ok {
				t.Errorf("%s is %q", name, v)
			}
		}
	})
}
