package http2

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// client is a client made of bare frames: it can do what it should not.
type client struct {
	t      testing.TB
	nc     net.Conn
	fr     *xhttp2.Framer
	enc    *hpack.Encoder
	block  bytes.Buffer
	events chan event
	loose  bool // the server may end the connection while the client sends

	patience time.Duration // for a frame; of the bubble, in one of synctest
}

// event is one frame from the server, or the end of the connection.
type event struct {
	xhttp2.FrameHeader
	fields []hpack.HeaderField
	data   []byte
	code   xhttp2.ErrCode
	number uint32 // increment, or last stream
	err    error
}

func (e event) String() string {
	if e.err != nil {
		return e.err.Error()
	}
	return fmt.Sprintf("%v code %v number %d fields %v data %.40q", e.FrameHeader, e.code, e.number, e.fields, e.data)
}

// field returns the values of a field, joined.
func (e event) field(name string) string {
	var all []string
	for _, f := range e.fields {
		if f.Name == name {
			all = append(all, f.Value)
		}
	}
	return strings.Join(all, "|")
}

func (e event) ends() bool { return e.Flags.Has(xhttp2.FlagHeadersEndStream) && e.err == nil }

// dialTCP connects to a server and greets it.
func dialTCP(t testing.TB, kind loop.Kind, cfg *ServerConfig) *client {
	t.Helper()
	nc, err := net.Dial("tcp", listen(t, kind, cfg).String())
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, nc)
}

// dialPipe serves one end of a pipe and greets it from the other.
func dialPipe(t testing.TB, cfg *ServerConfig) *client {
	t.Helper()
	return newClient(t, servePipe(t, cfg))
}

// dialBubble is dialPipe for a bubble of synctest.
func dialBubble(t testing.TB, cfg *ServerConfig) *client {
	t.Helper()
	c := dialPipe(t, cfg)
	c.patience = 24 * time.Hour
	return c
}

// servePipe serves one end of a pipe and returns the other.
func servePipe(t testing.TB, cfg *ServerConfig) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	newEngine(t, loop.Goroutines, 1).Next().Adopt(far, func(c *loop.Conn) { Serve(c, cfg) })
	return near
}

// newClient greets a server.
func newClient(t testing.TB, nc net.Conn) *client {
	t.Helper()
	return newClientReading(t, nc, 4096)
}

// newClientReading greets a server and reads up to n frames that nobody has looked
// at.
func newClientReading(t testing.TB, nc net.Conn, n int) *client {
	t.Helper()
	c := &client{t: t, nc: nc, fr: xhttp2.NewFramer(nc, nc), events: make(chan event, n), patience: 10 * time.Second}
	c.enc = hpack.NewEncoder(&c.block)
	c.fr.AllowIllegalWrites = true
	c.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.readAll()
	}()
	t.Cleanup(func() {
		nc.Close()
		for range c.events {
		}
		<-done
	})
	if _, err := nc.Write([]byte(preface)); err != nil {
		t.Fatal(err)
	}
	c.ok(c.fr.WriteSettings())
	return c
}

func (c *client) readAll() {
	defer close(c.events)
	for {
		f, err := c.fr.ReadFrame()
		if err != nil {
			c.events <- event{err: err}
			return
		}
		e := event{FrameHeader: f.Header()}
		switch f := f.(type) {
		case *xhttp2.MetaHeadersFrame:
			e.fields = f.Fields
		case *xhttp2.DataFrame:
			e.data = bytes.Clone(f.Data())
		case *xhttp2.RSTStreamFrame:
			e.code = f.ErrCode
		case *xhttp2.GoAwayFrame:
			e.code, e.number = f.ErrCode, f.LastStreamID
		case *xhttp2.WindowUpdateFrame:
			e.number = f.Increment
		case *xhttp2.PingFrame:
			e.data = bytes.Clone(f.Data[:])
		}
		c.events <- e
	}
}

func (c *client) ok(err error) {
	c.t.Helper()
	if err != nil && !c.loose {
		c.t.Fatalf("client: %v; %v", err, c.rest())
	}
}

// next returns the next frame.
func (c *client) next() event {
	c.t.Helper()
	select {
	case e, ok := <-c.events:
		if !ok {
			c.t.Fatal("the connection has ended already")
		}
		return e
	case <-time.After(c.patience):
		c.t.Fatal("no frame came")
		panic("unreachable")
	}
}

// until returns the first frame of that kind for that stream; others are dropped.
func (c *client) until(kind xhttp2.FrameType, id uint32) event {
	c.t.Helper()
	for {
		e := c.next()
		if e.err != nil {
			c.t.Fatalf("the connection ended before %v on stream %d: %v", kind, id, e.err)
		}
		if e.Type == kind && e.StreamID == id && !(kind == xhttp2.FrameSettings && e.Flags.Has(xhttp2.FlagSettingsAck)) {
			return e
		}
	}
}

// end waits for the end of the connection and returns the code of the last GOAWAY.
func (c *client) end() (code xhttp2.ErrCode, said bool) {
	c.t.Helper()
	for {
		e := c.next()
		if e.err != nil {
			return code, said
		}
		if e.Type == xhttp2.FrameGoAway {
			code, said = e.code, true
		}
	}
}

// sentAway reports whether GOAWAY or the end has come, without waiting.
func (c *client) sentAway() bool {
	for {
		select {
		case e, ok := <-c.events:
			if !ok || e.err != nil || e.Type == xhttp2.FrameGoAway {
				return true
			}
		default:
			return false
		}
	}
}

// encode makes a field block of names and values in turn.
func (c *client) encode(fields ...string) []byte {
	c.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		c.ok(c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	return bytes.Clone(c.block.Bytes())
}

// request returns the fields of a plain request, followed by others.
func request(method string, fields ...string) []string {
	return append([]string{":method", method, ":scheme", "http", ":path", "/hello", ":authority", "example.com"}, fields...)
}

// headers sends fields in HEADERS and as many CONTINUATIONs as it takes.
func (c *client) headers(id uint32, end bool, fields ...string) {
	c.t.Helper()
	p := c.encode(fields...)
	n := min(len(p), maxFrame)
	c.ok(c.fr.WriteHeaders(xhttp2.HeadersFrameParam{
		StreamID: id, BlockFragment: p[:n], EndHeaders: n == len(p), EndStream: end,
	}))
	for p = p[n:]; len(p) > 0; p = p[n:] {
		n = min(len(p), maxFrame)
		c.ok(c.fr.WriteContinuation(id, n == len(p), p[:n]))
	}
}

func (c *client) get(id uint32) { c.t.Helper(); c.headers(id, true, request("GET")...) }

func (c *client) data(id uint32, end bool, p string) {
	c.t.Helper()
	c.ok(c.fr.WriteData(id, end, []byte(p)))
}

// reply is a whole answer.
type reply struct {
	interim []string
	head    event
	body    string
	trailer event
	reset   bool
	code    xhttp2.ErrCode
}

// reply collects the answer of a stream. It must be the only stream.
func (c *client) reply(id uint32) (r reply) {
	c.t.Helper()
	var goAway event
	for {
		e := c.next()
		if e.Type == xhttp2.FrameGoAway {
			goAway = e
		}
		switch {
		case e.err != nil:
			c.t.Fatalf("the connection ended before the answer: %v; %v", e.err, goAway)
		case e.StreamID != id:
			continue
		case e.Type == xhttp2.FrameRSTStream:
			r.reset, r.code = true, e.code
			return r
		case e.Type == xhttp2.FrameHeaders && e.field(":status") == "":
			r.trailer = e
		case e.Type == xhttp2.FrameHeaders && e.field(":status") < "200":
			r.interim = append(r.interim, e.field(":status"))
		case e.Type == xhttp2.FrameHeaders:
			r.head = e
		case e.Type == xhttp2.FrameData:
			r.body += string(e.data)
			if len(e.data) > 0 { // the server may have ended the connection: no matter
				c.fr.WriteWindowUpdate(0, uint32(len(e.data)))
				if !e.ends() {
					c.fr.WriteWindowUpdate(id, uint32(len(e.data)))
				}
			}
		}
		if e.ends() {
			return r
		}
	}
}

// rest returns what came and was not looked at.
func (c *client) rest() (all []event) {
	for {
		select {
		case e, ok := <-c.events:
			if !ok {
				return all
			}
			all = append(all, e)
		case <-time.After(100 * time.Millisecond):
			return all
		}
	}
}

// dialPipeRaw serves one end of a pipe and returns the other. What the server sends
// is dropped.
func dialPipeRaw(t testing.TB, cfg *ServerConfig) net.Conn {
	t.Helper()
	near := servePipe(t, cfg)
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(io.Discard, near)
	}()
	t.Cleanup(func() { near.Close(); <-done })
	return near
}

func long(n int) string { return strings.Repeat("x", n) }
