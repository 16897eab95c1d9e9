package http2

import (
	"bytes"
	"crypto/sha256"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	xhttp2 "golang.org/x/net/http2"
)

// pattern returns n bytes in which every mistake in order shows.
func pattern(n int) []byte {
	p := make([]byte, 0, n+32)
	for sum := sha256.Sum256(nil); len(p) < n; sum = sha256.Sum256(sum[:]) {
		p = append(p, sum[:]...)
	}
	return p[:n]
}

// answerPattern answers with n bytes, in writes of the given size.
func answerPattern(n, step int) handlerFunc {
	all := pattern(n)
	return func(r *message.Request, w message.Writer) {
		if w.WriteHead(&message.Response{Status: 200, Length: int64(n)}) != nil {
			return
		}
		for p := all; len(p) > 0; p = p[min(step, len(p)):] {
			if _, err := w.Write(p[:min(step, len(p))]); err != nil {
				return
			}
		}
		w.Finish(nil)
	}
}

// TestSendTinyWindow holds that an answer fits windows of a few bytes.
func TestSendTinyWindow(t *testing.T) {
	c := dialPipe(t, &ServerConfig{Handler: answerPattern(300, 77)})
	c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: 3}))
	c.get(1)
	var got []byte
	for {
		e := c.next()
		if e.Type == xhttp2.FrameData {
			if len(e.data) > 3 {
				t.Fatalf("a frame of %d bytes exceeds the window", len(e.data))
			}
			got = append(got, e.data...)
			if e.ends() {
				break
			}
			c.ok(c.fr.WriteWindowUpdate(1, uint32(len(e.data))))
		}
	}
	if !bytes.Equal(got, pattern(300)) {
		t.Error("the body is not what was sent")
	}
}

// TestSendWindows holds that neither window is exceeded by a byte, and that each is
// waited for.
func TestSendWindows(t *testing.T) {
	const size = 1 << 20
	c := dialPipe(t, &ServerConfig{Handler: answerPattern(size, 50_000)})
	stream, conn := 65535, 65535
	var got []byte
	c.get(1)
	receive := func() {
		for stream > 0 && conn > 0 && len(got) < size {
			if e := c.next(); e.Type == xhttp2.FrameData {
				stream, conn = stream-len(e.data), conn-len(e.data)
				got = append(got, e.data...)
			}
		}
		if stream < 0 || conn < 0 {
			t.Fatalf("windows exceeded: stream %d, connection %d", stream, conn)
		}
		c.ok(c.fr.WritePing(false, [8]byte{1})) // nothing comes while a window is closed
		if e := c.next(); len(got) < size && e.Type == xhttp2.FrameData {
			t.Fatalf("%d bytes came with a closed window", len(e.data))
		}
	}
	for len(got) < size {
		receive()
		if stream == 0 && conn == 0 {
			conn += 10_000
			c.ok(c.fr.WriteWindowUpdate(0, 10_000))
			c.ok(c.fr.WritePing(false, [8]byte{2}))
			if e := c.until(xhttp2.FramePing, 0); e.data[0] != 2 {
				t.Fatalf("got %v", e)
			}
		}
		if stream == 0 {
			stream += 100_000
			c.ok(c.fr.WriteWindowUpdate(1, 100_000))
		}
		if conn == 0 {
			conn += 100_000
			c.ok(c.fr.WriteWindowUpdate(0, 100_000))
		}
	}
	if !bytes.Equal(got, pattern(size)) {
		t.Error("the body is not what was sent")
	}
}

// TestSettingsChangeWindows holds RFC 9113, section 6.9.2: a smaller initial window
// may make a window negative.
func TestSettingsChangeWindows(t *testing.T) {
	c := dialPipe(t, &ServerConfig{Handler: answerPattern(1000, 1000)})
	c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: 300}))
	c.get(1)
	if e := c.until(xhttp2.FrameData, 1); len(e.data) != 300 {
		t.Fatalf("%d bytes came, want 300", len(e.data))
	}
	c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: 100})) // the window is -200
	c.ok(c.fr.WriteWindowUpdate(1, 200))                                             // and 0
	c.ok(c.fr.WriteWindowUpdate(1, 1))
	if e := c.until(xhttp2.FrameData, 1); len(e.data) != 1 {
		t.Errorf("%d bytes came, want 1", len(e.data))
	}
	c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: 5000}))
	if e := c.until(xhttp2.FrameData, 1); len(e.data) != 699 || !e.ends() {
		t.Errorf("%v came, want the last 699 bytes", e)
	}
}

// TestStreamsShare holds that a large answer does not keep a small one waiting, and
// that several large ones advance together.
func TestStreamsShare(t *testing.T) {
	c := dialPipe(t, &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		if r.Target == "/large" {
			answerPattern(4<<20, 128<<10)(r, w)
			return
		}
		echo(r, w)
	})})
	c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: maxWindow}))
	c.ok(c.fr.WriteWindowUpdate(0, maxWindow-65535))
	for id := uint32(1); id < 9; id += 2 {
		c.headers(id, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/large")
	}
	c.get(9)
	got := map[uint32]int{}
	for ended := 0; ended < 5; {
		e := c.next()
		got[e.StreamID] += len(e.data)
		if e.Type == xhttp2.FrameData && e.ends() {
			if ended++; ended == 1 && e.StreamID != 9 {
				t.Errorf("stream %d ended before the small one", e.StreamID)
			}
			if e.StreamID != 9 {
				for id := uint32(1); id < 9; id += 2 {
					if got[id] < 3<<20 {
						t.Errorf("stream %d had %d bytes when stream %d had all", id, got[id], e.StreamID)
					}
				}
			}
		}
	}
}

// TestSlowReader holds that a client that does not read makes the Handler wait, and
// that what is queued for it stays bounded, whatever it sends.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written int
		var conn *ServerConn
		nc := servePipe(t, &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
			conn = w.(*stream).c
			w.WriteHead(&message.Response{Status: 200, Length: message.Unknown})
			for {
				n, err := w.Write(make([]byte, 10_000))
				if written += n; err != nil {
					return
				}
			}
		})})
		c := newClientReading(t, nc, 1)
		c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: maxWindow}))
		c.ok(c.fr.WriteWindowUpdate(0, maxWindow-65535))
		c.get(1)
		synctest.Wait()
		if most, least := 2*loop.BigSize, loop.BigSize/2; written > most || written < least {
			t.Errorf("%d bytes were taken from the handler, want between %d and %d", written, least, most)
		}
		c.ok(nc.SetWriteDeadline(time.Now().Add(time.Second)))
		sent := 0
		for ; sent < 50_000 && c.fr.WritePing(false, [8]byte{}) == nil; sent++ {
		}
		synctest.Wait()
		if n := cap(conn.out); n > 2*loop.BigSize {
			t.Errorf("the queue has grown to %d bytes for %d PINGs", n, sent)
		}
	})
}

// TestReceiveBackpressure holds that a client may send one window, and no more until
// the Handler has read.
func TestReceiveBackpressure(t *testing.T) {
	read := make(chan int)
	c := dialTCP(t, loop.DefaultKind(), &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		buf := make([]byte, 64<<10)
		l := w.(*stream).c.l
		for {
			n := 0
			l.Await(func() { n = <-read })
			if n == 0 {
				break
			}
			if _, err := io.ReadFull(r.Body, buf[:n]); err != nil {
				t.Errorf("reading: %v", err)
			}
		}
		w.WriteHead(&message.Response{Status: 200})
		w.Finish(nil)
	})})
	c.headers(1, false, request("POST")...)
	piece := strings.Repeat("x", maxFrame)
	for range streamWindow / maxFrame {
		c.data(1, false, piece)
	}
	c.ok(c.fr.WritePing(false, [8]byte{}))
	for {
		e := c.next()
		if e.Type == xhttp2.FrameWindowUpdate && e.StreamID == 1 {
			t.Fatalf("the window was opened by %d before anything was read", e.number)
		}
		if e.Type == xhttp2.FramePing {
			break
		}
	}
	read <- 64 << 10
	if e := c.until(xhttp2.FrameWindowUpdate, 1); e.number != 64<<10 {
		t.Errorf("the window was opened by %d, want %d", e.number, 64<<10)
	}
	for range 5 { // four fit
		c.data(1, false, piece)
	}
	if e := c.until(xhttp2.FrameRSTStream, 1); ErrCode(e.code) != CodeFlowControl {
		t.Errorf("reset with %v", e.code)
	}
	close(read)
}

// TestReceiveConnectionWindow holds that the connection's window bounds all bodies
// together, and that bodies nobody reads any more give back what they took.
func TestReceiveConnectionWindow(t *testing.T) {
	stop := make(chan struct{})
	c := dialTCP(t, loop.DefaultKind(), &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		w.(*stream).c.l.Await(func() { <-stop })
	})})
	piece := strings.Repeat("x", maxFrame)
	for id := uint32(1); id < 9; id += 2 {
		c.headers(id, false, request("POST")...)
		for range streamWindow / maxFrame {
			c.data(id, false, piece)
		}
	}
	close(stop)
	total := 0
	for total < connWindow-connWindow/4 {
		if e := c.until(xhttp2.FrameWindowUpdate, 0); e.number != connWindow-65535 {
			total += int(e.number)
		}
	}
	c.headers(9, false, request("POST")...)
	c.data(9, false, piece)
	c.until(xhttp2.FrameRSTStream, 9)
}

// TestConnectionWindowExceeded holds that more than the connection's window ends it.
func TestConnectionWindowExceeded(t *testing.T) {
	c := dialTCP(t, loop.DefaultKind(), &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		s := w.(*stream)
		for s.wait(&s.readWait, 0) == nil {
		}
	})})
	c.loose = true
	piece := strings.Repeat("x", maxFrame)
	for id := uint32(1); id < 11; id += 2 {
		c.headers(id, false, request("POST")...)
		for range streamWindow / maxFrame {
			c.data(id, false, piece)
		}
	}
	if code, said := c.end(); !said || ErrCode(code) != CodeFlowControl {
		t.Errorf("GOAWAY said %v (%v)", code, said)
	}
}

// TestPaddingIsGranted holds that padding, which no Handler reads, does not use up
// the windows for ever.
func TestPaddingIsGranted(t *testing.T) {
	c := dialTCP(t, loop.DefaultKind(), &ServerConfig{Handler: handlerFunc(echo2)})
	c.headers(1, false, request("POST")...)
	pad := make([]byte, 255)
	stream, conn, sent := streamWindow, connWindow, 0
	for sent < 3*connWindow/256 {
		for stream >= 257 && conn >= 257 {
			c.ok(c.fr.WriteDataPadded(1, false, []byte("x"), pad))
			stream, conn, sent = stream-257, conn-257, sent+1
		}
		e := c.next()
		switch {
		case e.Type != xhttp2.FrameWindowUpdate:
		case e.StreamID == 1:
			stream += int(e.number)
		case e.number != connWindow-65535: // what opened it at the start
			conn += int(e.number)
		}
	}
	c.data(1, true, "")
	if r := c.reply(1); len(r.body) != sent {
		t.Errorf("%d bytes arrived of %d", len(r.body), sent)
	}
}

// TestBodies sends bodies of many sizes in frames of many sizes.
func TestBodies(t *testing.T) {
	for _, kind := range kinds() {
		c := dialTCP(t, kind, &ServerConfig{Handler: handlerFunc(echo)})
		id := uint32(1)
		for _, size := range []int{0, 1, 9, 100, 16383, 16384, 16385, 60_000} {
			for _, frame := range []int{1, 7, 1000, 16384} {
				if size/frame > 5000 {
					continue
				}
				c.headers(id, false, request("POST")...)
				body := pattern(size)
				for p := body; len(p) > 0; p = p[min(frame, len(p)):] {
					c.data(id, false, string(p[:min(frame, len(p))]))
				}
				c.data(id, true, "")
				if r := c.reply(id); r.body != string(body) {
					t.Fatalf("%v: %d bytes in frames of %d came back as %d bytes", kind, size, frame, len(r.body))
				}
				id += 2
			}
		}
	}
}
