package http2

import (
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	xhttp2 "golang.org/x/net/http2"
)

// askAny sends two requests at once, one of them with a body, and reads what comes, as the
// proxy does. It returns when both are over.
func askAny(c *loop.Conn, closed func()) {
	cfg := &ClientConfig{Idle: func() time.Duration { return time.Minute }, Rested: func(any) {}, Closed: func(any) { closed() }}
	cc := NewClient(c, cfg, nil)
	l := c.Loop()
	for i, method := range []string{"POST", "GET"} {
		s := cc.NewStream()
		s.SetWriteTimeout(5 * time.Second)
		s.SetReadDeadline(l.Now().Add(5 * time.Second))
		req := message.Request{Version: message.HTTP11, Method: method, Target: "/x", Host: "a.test", Length: message.Unknown}
		if method == "GET" {
			req.Length = 0
		}
		req.Header.Add("x-number", string(rune('0'+i)))
		if s.WriteHead(&req) != nil {
			s.Free()
			continue
		}
		l.Go(func(any) {
			defer s.Free()
			if method == "POST" {
				s.Write(make([]byte, 100<<10))
			}
			s.Finish(nil)
			var resp message.Response
			for s.ReadHead(&resp, method, 64<<10) == nil {
				if resp.Status >= 200 {
					break
				}
			}
			if resp.Body != nil {
				buf := make([]byte, 4096)
				for {
					if _, err := resp.Body.Read(buf); err != nil {
						break
					}
				}
			}
		}, nil)
	}
}

// FuzzClient has a server send any bytes: the client must not panic, the requests must end,
// and the connection must be closed soon after the server has ended it.
func FuzzClient(f *testing.F) {
	f.Add(conversation(true, func(fr *xhttp2.Framer, block func(...string) []byte) {
		fr.WriteSettingsAck()
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block(":status", "100"), EndHeaders: true})
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block(":status", "200", "content-length", "3"), EndHeaders: true})
		fr.WriteDataPadded(1, false, []byte("abc"), make([]byte, 4))
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block("grpc-status", "0"), EndHeaders: true, EndStream: true})
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 3, BlockFragment: block(":status", "204", "x", "y"), EndHeaders: true, EndStream: true})
		fr.WriteWindowUpdate(0, 1000)
		fr.WritePing(false, [8]byte{})
	}))
	f.Add(conversation(true, func(fr *xhttp2.Framer, block func(...string) []byte) {
		p := block(":status", "200", "a", "b", "set-cookie", "c")
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 3, BlockFragment: p[:2], PadLength: 3})
		fr.WriteContinuation(3, true, p[2:])
		fr.WriteRSTStream(1, 7)
		fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: 0}, xhttp2.Setting{ID: settingMaxFrameSize, Val: 1 << 20})
		fr.WriteData(3, true, []byte("end"))
		fr.WriteGoAway(1, 0, nil)
	}))
	fuzzConn(f, "", askAny)
}
