package http2

import (
	"bytes"
	"errors"
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

// script is a server made of bare frames.
type script struct {
	*xhttp2.Framer
	nc  net.Conn
	enc bytes.Buffer
}

// head returns a field block without a dynamic table.
func (s *script) head(fields ...string) []byte {
	s.enc.Reset()
	e := hpack.NewEncoder(&s.enc)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true})
	}
	return bytes.Clone(s.enc.Bytes())
}

func (s *script) answer(end bool, fields ...string) { s.answerOn(1, end, fields...) }

func (s *script) answerOn(id uint32, end bool, fields ...string) {
	s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: s.head(fields...), EndHeaders: true, EndStream: end})
}

// until reads frames up to one of a type, which it returns.
func (s *script) until(kind xhttp2.FrameType) xhttp2.Frame {
	for {
		f, err := s.ReadFrame()
		if err != nil {
			return nil
		}
		if f.Header().Type == kind {
			return f
		}
	}
}

// asked is what came of a request.
type asked struct {
	status  int
	body    string
	trailer string
	err     error // of the request
	over    error // of the connection; nil while it is open
	free    bool  // it takes another request
}

// askServer sends one request with a body to a server that does what it is told.
func askServer(t *testing.T, body string, serve func(*script)) (a asked) {
	t.Helper()
	talk(t, serve, func(cc *ClientConn) {
		st := cc.NewStream()
		a = converse(st, body)
		cc.l.Sleep(0)
		a.over, a.free = cc.Err(), cc.Free()
		st.Free()
	})
	return a
}

// talk connects a client to a server that does what it is told. It returns when both
// have ended.
func talk(t *testing.T, serve func(*script), ask func(*ClientConn)) {
	t.Helper()
	e, err := loop.New(loop.Goroutines, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	near, far := net.Pipe()
	near.SetDeadline(time.Now().Add(20 * time.Second))
	s := &script{Framer: xhttp2.NewFramer(near, near), nc: near}
	s.AllowIllegalWrites = true
	served := make(chan struct{})
	go func() {
		defer close(served)
		io.ReadFull(near, make([]byte, len(preface)))
		serve(s)
		for s.until(xhttp2.FrameType(0xee)) != nil { // until the client has ended
		}
	}()
	done := make(chan struct{})
	e.Next().Adopt(far, func(c *loop.Conn) {
		defer close(done)
		ask(NewClient(c, &ClientConfig{Idle: func() time.Duration { return time.Minute }, Rested: func(any) {}, Closed: func(any) {}}, nil))
		c.Close()
	})
	<-done
	<-served
}

func converse(s *ClientStream, body string) (a asked) {
	l := s.Loop()
	s.SetWriteTimeout(10 * time.Second)
	s.SetReadDeadline(l.Now().Add(10 * time.Second))
	req := message.Request{Method: "POST", Target: "/x", Host: "a.test", Length: message.Unknown}
	if a.err = s.WriteHead(&req); a.err != nil {
		return a
	}
	if _, a.err = s.Write([]byte(body)); a.err == nil {
		a.err = s.Finish(nil)
	}
	var resp message.Response
	for resp.Status < 200 {
		if err := s.ReadHead(&resp, "POST", 64<<10); err != nil {
			a.err = err
			return a
		}
	}
	a.status = resp.Status
	if resp.Body != nil {
		got, err := io.ReadAll(resp.Body)
		a.body, a.err = string(got), err
	}
	if f, ok := resp.Trailer.Lookup("grpc-status"); ok {
		a.trailer = f
	}
	return a
}

// TestClientAnswers holds what becomes of answers that are right.
func TestClientAnswers(t *testing.T) {
	got := askServer(t, "hello", func(s *script) {
		s.WriteSettings()
		s.answer(false, ":status", "103", "link", "x")
		s.answer(false, ":status", "200", "content-length", "5")
		s.WriteData(1, false, []byte("wor"))
		s.WriteDataPadded(1, false, []byte("ld"), make([]byte, 10))
		s.until(xhttp2.FrameData)
		s.answer(true, "grpc-status", "7")
	})
	if got != (asked{200, "world", "7", nil, nil, true}) {
		t.Errorf("%+v", got)
	}
}

// TestClientWindow holds that no more is sent than the server lets.
func TestClientWindow(t *testing.T) {
	const first, all = 65535, 70000
	var before, total int
	got := askServer(t, strings.Repeat("x", all), func(s *script) {
		s.WriteSettings()
		for total < all {
			f, ok := s.until(xhttp2.FrameData).(*xhttp2.DataFrame)
			if !ok {
				return
			}
			if total += len(f.Data()); total == first {
				before = total
				s.WriteWindowUpdate(0, 10000)
				s.WriteWindowUpdate(1, 10000)
			}
		}
		s.answer(true, ":status", "200")
	})
	if got.status != 200 || got.err != nil || before != first || total != all {
		t.Errorf("%+v: %d bytes of %d, %d of them before the window was opened", got, total, all, before)
	}
}

// TestClientRefused holds what may be sent again elsewhere.
func TestClientRefused(t *testing.T) {
	for name, serve := range map[string]func(*script){
		"reset":            func(s *script) { s.WriteRSTStream(1, xhttp2.ErrCodeRefusedStream) },
		"goaway before":    func(s *script) { s.WriteGoAway(0, xhttp2.ErrCodeNo, nil) },
		"goaway, an error": func(s *script) { s.WriteGoAway(0, xhttp2.ErrCodeEnhanceYourCalm, nil) },
	} {
		if got := askServer(t, "x", func(s *script) { s.WriteSettings(); s.until(xhttp2.FrameHeaders); serve(s) }); !errors.Is(got.err, ErrRefused) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	got := askServer(t, "x", func(s *script) {
		s.WriteSettings()
		s.until(xhttp2.FrameHeaders)
		s.WriteGoAway(1, xhttp2.ErrCodeNo, nil)
		s.answer(true, ":status", "200")
	})
	if got.status != 200 || got.err != nil || got.free {
		t.Errorf("a request that GOAWAY lets pass: %+v", got)
	}
	got = askServer(t, "x", func(s *script) {
		s.WriteSettings()
		s.until(xhttp2.FrameHeaders)
		s.WriteRSTStream(1, xhttp2.ErrCodeInternal)
	})
	var reset *ResetError
	if !errors.As(got.err, &reset) || reset.Code != CodeInternal || !got.free {
		t.Errorf("a reset: %+v", got)
	}
}

// TestClientStreamErrors holds which answers end the request and not the connection.
func TestClientStreamErrors(t *testing.T) {
	for name, serve := range map[string]func(*script){
		"no status":           func(s *script) { s.answer(true, "x", "y") },
		"status twice":        func(s *script) { s.answer(true, ":status", "200", ":status", "200") },
		"status of one digit": func(s *script) { s.answer(true, ":status", "2") },
		"101":                 func(s *script) { s.answer(false, ":status", "101") },
		"interim that ends":   func(s *script) { s.answer(true, ":status", "103") },
		"field in upper case": func(s *script) { s.answer(true, ":status", "200", "X-Up", "y") },
		"line end in a value": func(s *script) { s.answer(true, ":status", "200", "x", "a\r\nb") },
		"connection field":    func(s *script) { s.answer(true, ":status", "200", "connection", "close") },
		"transfer coding":     func(s *script) { s.answer(true, ":status", "200", "transfer-encoding", "chunked") },
		"two lengths":         func(s *script) { s.answer(true, ":status", "200", "content-length", "1", "content-length", "2") },
		"body too long": func(s *script) {
			s.answer(false, ":status", "200", "content-length", "1")
			s.WriteData(1, true, []byte("ab"))
		},
		"body too short": func(s *script) {
			s.answer(false, ":status", "200", "content-length", "9")
			s.WriteData(1, true, []byte("ab"))
		},
		"trailers that go on":   func(s *script) { s.answer(false, ":status", "200"); s.answer(false, "x", "y") },
		"window update of 0":    func(s *script) { s.WriteRawFrame(xhttp2.FrameWindowUpdate, 0, 1, make([]byte, 4)) },
		"window that overflows": func(s *script) { s.WriteWindowUpdate(1, 1<<31-1) },
	} {
		got := askServer(t, "x", func(s *script) { s.WriteSettings(); s.until(xhttp2.FrameHeaders); serve(s) })
		if !errors.Is(got.err, ErrInvalid) || got.over != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	got := askServer(t, "x", func(s *script) {
		s.WriteSettings()
		s.until(xhttp2.FrameHeaders)
		p := s.head(":status", "200", "a", strings.Repeat("x", 30000), "b", strings.Repeat("x", 30000), "c", strings.Repeat("x", 30000))
		for first := true; len(p) > 0; first = false {
			n := min(len(p), 16000)
			if first {
				s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: p[:n]})
			} else {
				s.WriteContinuation(1, n == len(p), p[:n])
			}
			p = p[n:]
		}
	})
	if !errors.Is(got.err, ErrHeadTooLarge) || got.over != nil {
		t.Errorf("a head that is too large: %+v", got)
	}
}

// TestClientConnErrors holds what ends the connection.
func TestClientConnErrors(t *testing.T) {
	raw := func(kind xhttp2.FrameType, flags xhttp2.Flags, id uint32, n int) func(*script) {
		return func(s *script) { s.WriteRawFrame(kind, flags, id, make([]byte, n)) }
	}
	flood := func(f func(*script)) func(*script) {
		return func(s *script) {
			for range 3 * clientGlitches {
				f(s)
			}
		}
	}
	for name, serve := range map[string]func(*script){
		"push promise":         raw(xhttp2.FramePushPromise, xhttp2.FlagPushPromiseEndHeaders, 1, 8),
		"frame too large":      raw(xhttp2.FrameData, 0, 1, maxFrame+1),
		"data on an idle one":  raw(xhttp2.FrameData, 0, 3, 1),
		"data on stream 0":     raw(xhttp2.FrameData, 0, 0, 1),
		"even stream":          raw(xhttp2.FrameHeaders, xhttp2.FlagHeadersEndHeaders, 2, 1),
		"continuation of none": raw(xhttp2.FrameContinuation, 0, 1, 1),
		"ping of 7 bytes":      raw(xhttp2.FramePing, 0, 0, 7),
		"settings of 5 bytes":  raw(xhttp2.FrameSettings, 0, 0, 5),
		"goaway of 4 bytes":    raw(xhttp2.FrameGoAway, 0, 0, 4),
		"padding beyond":       func(s *script) { s.WriteRawFrame(xhttp2.FrameData, xhttp2.FlagDataPadded, 1, []byte{9, 1}) },
		"push enabled":         func(s *script) { s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingEnablePush, Val: 1}) },
		"field block of rubbish": func(s *script) {
			s.WriteRawFrame(xhttp2.FrameHeaders, xhttp2.FlagHeadersEndHeaders, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		},
		"window that overflows": func(s *script) { s.WriteWindowUpdate(0, 1<<31-1) },
		"pings":                 flood(func(s *script) { s.WritePing(false, [8]byte{}) }),
		"settings":              flood(func(s *script) { s.WriteSettings() }),
		"empty data": func(s *script) {
			s.answer(false, ":status", "200")
			flood(func(s *script) { s.WriteRawFrame(xhttp2.FrameData, 0, 1, nil) })(s)
		},
		"unknown frames": flood(func(s *script) { s.WriteRawFrame(0xbb, 0, 0, nil) }),
	} {
		got := askServer(t, "x", func(s *script) { s.WriteSettings(); s.until(xhttp2.FrameHeaders); serve(s) })
		if got.err == nil || got.free {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := askServer(t, "x", func(s *script) { s.WritePing(false, [8]byte{}) }); !errors.Is(got.err, ErrInvalid) || got.over == nil {
		t.Errorf("a server that does not begin with SETTINGS: %+v", got)
	}
}
