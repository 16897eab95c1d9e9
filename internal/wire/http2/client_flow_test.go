package http2

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/message"
	xhttp2 "golang.org/x/net/http2"
)

// get opens a stream with a request without a body.
func get(t *testing.T, cc *ClientConn) *ClientStream {
	t.Helper()
	s := cc.NewStream()
	s.SetWriteTimeout(10 * time.Second)
	s.SetReadDeadline(cc.l.Now().Add(10 * time.Second))
	if err := errors.Join(s.WriteHead(&message.Request{Method: "GET", Target: "/x", Host: "a.test"}), s.Finish(nil)); err != nil {
		t.Error(err)
	}
	return s
}

// answered reads the answer of a stream and frees it.
func answered(s *ClientStream) (status int, body string, err error) {
	defer s.Free()
	var resp message.Response
	if err := s.ReadHead(&resp, "GET", 64<<10); err != nil || resp.Body == nil {
		return resp.Status, "", err
	}
	got, err := io.ReadAll(resp.Body)
	return resp.Status, string(got), err
}

// TestClientShrinkingWindow holds that a smaller initial window may make the window of a
// request negative (RFC 9113, section 6.9.2).
func TestClientShrinkingWindow(t *testing.T) {
	var pieces []int
	talk(t, func(s *script) {
		next := func() {
			if f, ok := s.until(xhttp2.FrameData).(*xhttp2.DataFrame); ok {
				pieces = append(pieces, len(f.Data()))
			}
		}
		s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 300})
		s.until(xhttp2.FrameHeaders)
		s.answerOn(1, true, ":status", "204")
		s.until(xhttp2.FrameHeaders)
		next()
		s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 100}) // the window is -200
		s.WriteWindowUpdate(3, 200)                                                    // and 0
		s.WriteWindowUpdate(3, 1)
		next()
		s.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 5000})
		next()
		s.answerOn(3, true, ":status", "204")
	}, func(cc *ClientConn) {
		if status, _, err := answered(get(t, cc)); status != 204 || err != nil {
			t.Error(status, err)
		}
		s := cc.NewStream()
		defer s.Free()
		if got := converse(s, long(1000)); got.status != 204 || got.err != nil {
			t.Errorf("%+v", got)
		}
	})
	if len(pieces) != 3 || pieces[0] != 300 || pieces[1] != 1 || pieces[2] != 699 {
		t.Errorf("the body came in pieces of %v bytes, want 300, 1 and 699", pieces)
	}
}

// TestClientHeadFlood holds that heads which never end end the connection.
func TestClientHeadFlood(t *testing.T) {
	for name, size := range map[string]int{"small": 1, "empty": 0, "large": maxFrame} {
		got := askServer(t, "x", func(s *script) {
			s.WriteSettings()
			s.until(xhttp2.FrameHeaders)
			s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: s.head(":status", "200")})
			for range 1000 {
				s.WriteContinuation(1, false, make([]byte, size))
			}
		})
		var broken *ConnError
		if !errors.As(got.over, &broken) || broken.Code != CodeEnhanceYourCalm || !errors.Is(got.err, ErrInvalid) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestClientSlowReader holds that an answer that nobody reads takes its window, and does
// not stop another one of the same connection.
func TestClientSlowReader(t *testing.T) {
	const all = 2 << 20
	piece := make([]byte, maxFrame)
	talk(t, func(s *script) {
		s.WriteSettings()
		s.until(xhttp2.FrameHeaders)
		s.until(xhttp2.FrameHeaders)
		s.answerOn(1, false, ":status", "200")
		for n := 0; n < clientWindow; n += maxFrame {
			s.WriteData(1, false, piece)
		}
		s.answerOn(3, false, ":status", "200")
		window := clientWindow
		for n := 0; n < all; n += maxFrame {
			for window < maxFrame {
				f, ok := s.until(xhttp2.FrameWindowUpdate).(*xhttp2.WindowUpdateFrame)
				if !ok {
					return
				}
				if f.StreamID == 1 {
					t.Error("the window opens of an answer that was not read")
				}
				if f.StreamID == 3 {
					window += int(f.Increment)
				}
			}
			window -= maxFrame
			s.WriteData(3, n+maxFrame == all, piece)
		}
		s.WriteData(1, true, nil)
	}, func(cc *ClientConn) {
		slow, quick := get(t, cc), get(t, cc)
		if _, body, err := answered(quick); len(body) != all || err != nil {
			t.Errorf("%d bytes of the second answer came, %v", len(body), err)
		}
		if n := slow.Buffered(); n != clientWindow {
			t.Errorf("%d bytes of the first answer wait, want %d", n, clientWindow)
		}
		if _, body, err := answered(slow); len(body) != clientWindow || err != nil {
			t.Errorf("%d bytes of the first answer came, %v", len(body), err)
		}
	})
}

// TestClientTornFrame holds what becomes of a request whose server closes in the middle
// of a frame.
func TestClientTornFrame(t *testing.T) {
	got := askServer(t, "x", func(s *script) {
		s.WriteSettings()
		s.until(xhttp2.FrameData)
		s.WritePing(false, [8]byte{})
		s.until(xhttp2.FramePing) // the client has nothing to say any more
		s.answer(false, ":status", "200")
		s.nc.Write(append(appendFrame(nil, 100, frameData, flagEndStream, 1), "ten bytes."...))
		s.nc.Close()
	})
	if got.status != 200 || got.body != "ten bytes." || !errors.Is(got.err, ErrClosed) || got.over == nil {
		t.Errorf("in a body: %+v", got)
	}
	got = askServer(t, "x", func(s *script) {
		s.WriteSettings()
		s.until(xhttp2.FrameData)
		s.WritePing(false, [8]byte{})
		s.until(xhttp2.FramePing) // the client has nothing to say any more
		s.nc.Write(append(appendFrame(nil, 100, frameHeaders, flagEndHeaders, 1), 0x88))
		s.nc.Close()
	})
	if got.status != 0 || !errors.Is(got.err, ErrClosed) || got.over == nil {
		t.Errorf("in a head: %+v", got)
	}
}

// TestClientGoAwaySplits holds which of several requests GOAWAY leaves to the connection.
func TestClientGoAwaySplits(t *testing.T) {
	talk(t, func(s *script) {
		s.WriteSettings()
		for range 3 {
			s.until(xhttp2.FrameHeaders)
		}
		s.WriteGoAway(3, xhttp2.ErrCodeNo, nil)
		s.answerOn(3, true, ":status", "203")
		s.answerOn(1, true, ":status", "201")
	}, func(cc *ClientConn) {
		first, second, third := get(t, cc), get(t, cc), get(t, cc)
		if _, _, err := answered(third); !errors.Is(err, ErrRefused) {
			t.Errorf("the third request ends with %v", err)
		}
		if !cc.Over() || cc.Streams() != 2 {
			t.Errorf("the connection takes more: %v, and carries %d requests", !cc.Over(), cc.Streams())
		}
		if status, _, err := answered(first); status != 201 || err != nil {
			t.Errorf("the first request is answered %d, %v", status, err)
		}
		if status, _, err := answered(second); status != 203 || err != nil {
			t.Errorf("the second request is answered %d, %v", status, err)
		}
		if cc.Err() == nil {
			t.Error("the connection stays when its last request has ended")
		}
	})
}

// TestClientGivesUp holds what a server sees of requests that are given up, and of a
// connection that is closed in order.
func TestClientGivesUp(t *testing.T) {
	var reset *xhttp2.RSTStreamFrame
	var away *xhttp2.GoAwayFrame
	talk(t, func(s *script) {
		s.WriteSettings()
		s.until(xhttp2.FrameHeaders)
		s.answerOn(1, true, ":status", "200")
		s.until(xhttp2.FrameHeaders)
		s.answerOn(3, false, ":status", "200")
		reset, _ = s.until(xhttp2.FrameRSTStream).(*xhttp2.RSTStreamFrame)
		away, _ = s.until(xhttp2.FrameGoAway).(*xhttp2.GoAwayFrame)
	}, func(cc *ClientConn) {
		answered(get(t, cc)) // whole: nothing to give up
		s := get(t, cc)
		var resp message.Response
		if err := s.ReadHead(&resp, "GET", 64<<10); err != nil {
			t.Error(err)
		}
		s.Free()
		cc.Leave()
		cc.l.Sleep(0)
		for cc.marked && !cc.dead { // until the last word was written
			cc.l.Sleep(time.Millisecond)
		}
	})
	if reset == nil || reset.StreamID != 3 || reset.ErrCode != xhttp2.ErrCodeCancel {
		t.Errorf("the server got %v, want RST_STREAM with CANCEL on stream 3", reset)
	}
	if away == nil || away.ErrCode != xhttp2.ErrCodeNo {
		t.Errorf("the server got %v, want GOAWAY with NO_ERROR", away)
	}
}

// TestClientRefusesPriorities holds that a server may not send PRIORITY_UPDATE.
func TestClientRefusesPriorities(t *testing.T) {
	got := askServer(t, "x", func(s *script) {
		s.WriteSettings()
		s.until(xhttp2.FrameHeaders)
		s.WriteRawFrame(framePriorityUpdate, 0, 0, []byte("\x00\x00\x00\x01u=0"))
	})
	if got.over == nil || !strings.Contains(got.over.Error(), "PRIORITY_UPDATE") {
		t.Errorf("%+v", got)
	}
}
