package http2

import (
	"testing"

	"github.com/pierhead/pierhead/internal/message"
	xhttp2 "golang.org/x/net/http2"
)

// TestConnectionErrors sends what must end the connection, and holds with which
// code. H2spec holds many more.
func TestConnectionErrors(t *testing.T) {
	raw := func(kind xhttp2.FrameType, flags xhttp2.Flags, id uint32, n int) func(*client) {
		return func(c *client) { c.ok(c.fr.WriteRawFrame(kind, flags, id, make([]byte, n))) }
	}
	for _, tt := range []struct {
		name string
		send func(c *client)
		code ErrCode
	}{
		{"frame too large", raw(99, 0, 0, maxFrame+1), CodeFrameSize},
		{"PUSH_PROMISE", raw(xhttp2.FramePushPromise, 4, 1, 20), CodeProtocol},
		{"CONTINUATION alone", raw(xhttp2.FrameContinuation, 4, 1, 20), CodeProtocol},
		{"HEADERS on stream 0", raw(xhttp2.FrameHeaders, 5, 0, 20), CodeProtocol},
		{"HEADERS on stream 2", raw(xhttp2.FrameHeaders, 5, 2, 20), CodeProtocol},
		{"HEADERS with no room for padding", raw(xhttp2.FrameHeaders, 0xd, 1, 0), CodeFrameSize},
		{"HEADERS with no room for priority", raw(xhttp2.FrameHeaders, 0x25, 1, 4), CodeFrameSize},
		{"HEADERS with too much padding", func(c *client) {
			c.ok(c.fr.WriteRawFrame(xhttp2.FrameHeaders, 0xd, 1, []byte{2, 0x82}))
		}, CodeProtocol},
		{"not HPACK", raw(xhttp2.FrameHeaders, 5, 1, 1), CodeCompression},
		{"DATA on stream 0", raw(xhttp2.FrameData, 1, 0, 1), CodeProtocol},
		{"DATA on an idle stream", raw(xhttp2.FrameData, 1, 5, 1), CodeProtocol},
		{"PRIORITY on stream 0", raw(xhttp2.FramePriority, 0, 0, 5), CodeProtocol},
		{"PRIORITY too short", raw(xhttp2.FramePriority, 0, 1, 4), CodeFrameSize},
		{"RST_STREAM on stream 0", raw(xhttp2.FrameRSTStream, 0, 0, 4), CodeProtocol},
		{"RST_STREAM on an idle stream", raw(xhttp2.FrameRSTStream, 0, 1, 4), CodeProtocol},
		{"RST_STREAM too long", raw(xhttp2.FrameRSTStream, 0, 1, 5), CodeFrameSize},
		{"SETTINGS on a stream", raw(xhttp2.FrameSettings, 0, 1, 6), CodeProtocol},
		{"SETTINGS of 5 bytes", raw(xhttp2.FrameSettings, 0, 0, 5), CodeFrameSize},
		{"SETTINGS with ACK and bytes", raw(xhttp2.FrameSettings, 1, 0, 6), CodeFrameSize},
		{"ENABLE_PUSH 2", func(c *client) { c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: 2, Val: 2})) }, CodeProtocol},
		{"MAX_FRAME_SIZE 1", func(c *client) { c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: 5, Val: 1})) }, CodeProtocol},
		{"INITIAL_WINDOW_SIZE 2^31", func(c *client) { c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: 4, Val: 1 << 31})) },
			CodeFlowControl},
		{"PING on a stream", raw(xhttp2.FramePing, 0, 1, 8), CodeProtocol},
		{"PING of 7 bytes", raw(xhttp2.FramePing, 0, 0, 7), CodeFrameSize},
		{"GOAWAY on a stream", raw(xhttp2.FrameGoAway, 0, 1, 8), CodeProtocol},
		{"GOAWAY of 7 bytes", raw(xhttp2.FrameGoAway, 0, 0, 7), CodeFrameSize},
		{"WINDOW_UPDATE of 0", raw(xhttp2.FrameWindowUpdate, 0, 0, 4), CodeProtocol},
		{"WINDOW_UPDATE of 3 bytes", raw(xhttp2.FrameWindowUpdate, 0, 0, 3), CodeFrameSize},
		{"WINDOW_UPDATE on an idle stream", raw(xhttp2.FrameWindowUpdate, 0, 1, 4), CodeProtocol},
		{"window too large", func(c *client) { c.ok(c.fr.WriteWindowUpdate(0, maxWindow)) }, CodeFlowControl},
		{"block interrupted", func(c *client) {
			c.ok(c.fr.WriteRawFrame(xhttp2.FrameHeaders, 0, 1, c.encode(request("GET")...)))
			c.ok(c.fr.WritePing(false, [8]byte{}))
		}, CodeProtocol},
		{"lower stream ID", func(c *client) { c.get(5); c.get(3) }, CodeProtocol},
		{"stream used twice", func(c *client) { c.get(1); c.get(1) }, CodeStreamClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			closed := make(chan error, 1)
			cfg := &ServerConfig{Handler: handlerFunc(echo), Closed: func(c *ServerConn) { closed <- c.Err() }}
			c := dialPipe(t, cfg)
			c.until(xhttp2.FrameSettings, 0)
			c.loose = true
			done := make(chan struct{})
			go func() { tt.send(c); close(done) }() // a pipe has no memory
			code, said := c.end()
			<-done
			if !said || ErrCode(code) != tt.code {
				t.Errorf("GOAWAY said %v (%v), want %v", code, said, tt.code)
			}
			if err, ok := (<-closed).(*ConnError); !ok || err.Code != tt.code {
				t.Errorf("Err is %v, want %v", err, tt.code)
			}
		})
	}
}

// TestNoPreface holds that what is no HTTP/2 is not answered as if it were.
func TestNoPreface(t *testing.T) {
	closed := make(chan error, 1)
	cfg := &ServerConfig{Handler: handlerFunc(echo), Closed: func(c *ServerConn) { closed <- c.Err() }}
	c := dialPipe(t, cfg)
	c.until(xhttp2.FrameSettings, 0)
	bad := dialPipeRaw(t, cfg)
	if _, err := bad.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := (<-closed).(*ConnError); err.Code != CodeProtocol {
		t.Errorf("Err is %v", err)
	}
	c.get(1)
	c.reply(1)
}

var streamErrors = []struct {
	name string
	send func(c *client)
	code ErrCode
}{
	{"more than Content-Length", func(c *client) {
		c.headers(1, false, request("POST", "content-length", "3")...)
		c.data(1, false, "four")
	}, CodeProtocol},
	{"less than Content-Length", func(c *client) {
		c.headers(1, false, request("POST", "content-length", "5")...)
		c.data(1, true, "four")
	}, CodeProtocol},
	{"less than Content-Length, with trailer", func(c *client) {
		c.headers(1, false, request("POST", "content-length", "5")...)
		c.data(1, false, "four")
		c.headers(1, true, "x-sum", "1")
	}, CodeProtocol},
	{"trailer that does not end", func(c *client) {
		c.headers(1, false, request("POST")...)
		c.headers(1, false, "x-sum", "1")
	}, CodeProtocol},
	{"pseudo-header in trailer", func(c *client) {
		c.headers(1, false, request("POST")...)
		c.headers(1, true, ":path", "/")
	}, CodeProtocol},
	{"large trailer", func(c *client) {
		c.headers(1, false, request("POST")...)
		c.headers(1, true, "x-a", string(make([]byte, 0)), "x-b", long(9<<10))
	}, CodeEnhanceYourCalm},
	{"DATA after END_STREAM", func(c *client) {
		c.headers(1, false, request("POST")...)
		c.data(1, true, "x")
		c.data(1, true, "x")
	}, CodeStreamClosed},
	{"WINDOW_UPDATE of 0", func(c *client) {
		c.headers(1, false, request("POST")...)
		c.ok(c.fr.WriteRawFrame(xhttp2.FrameWindowUpdate, 0, 1, make([]byte, 4)))
	}, CodeProtocol},
	{"window too large", func(c *client) {
		c.headers(1, false, request("POST")...)
		c.ok(c.fr.WriteWindowUpdate(1, maxWindow))
	}, CodeFlowControl},
	{"self dependency", func(c *client) {
		c.headers(1, false, request("POST")...)
		c.ok(c.fr.WritePriority(1, xhttp2.PriorityParam{StreamDep: 1}))
	}, CodeProtocol},
}

// TestStreamErrors holds that errors on one stream leave the others alone.
func TestStreamErrors(t *testing.T) {
	for _, tt := range streamErrors {
		t.Run(tt.name, func(t *testing.T) {
			seen, quit := make(chan error, 2), make(chan struct{})
			cfg := &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
				if r.Body == nil {
					echo(r, w)
					return
				}
				w.(Goner).OnGone(func(any) { close(quit) }, nil)
				buf := make([]byte, 10)
				for {
					if _, err := r.Body.Read(buf); err != nil {
						seen <- err
						if tt.code == CodeStreamClosed { // the request itself was whole
							w.(*stream).wait(&w.(*stream).readWait, 0)
						}
						return
					}
				}
			})}
			c := dialPipe(t, cfg)
			tt.send(c)
			if e := c.until(xhttp2.FrameRSTStream, 1); ErrCode(e.code) != tt.code {
				t.Errorf("reset with %v, want %v", e.code, tt.code)
			}
			<-quit
			if err := <-seen; err != ErrInvalid && tt.code != CodeStreamClosed {
				t.Errorf("the Handler read %v, want %v", err, ErrInvalid)
			}
			c.get(3)
			if r := c.reply(3); r.head.field(":status") != "200" {
				t.Errorf("the next request got %+v", r)
			}
		})
	}
}
