package http1

import (
	"io"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// TestUnread holds that bytes that were read with a head count as not read.
func TestUnread(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	below := &memStream{l: l}
	if s := unread(below, nil); s != loop.Stream(below) {
		t.Errorf("nothing was read, but the stream is wrapped: %T", s)
	}
	scratch := []byte("first")
	s := unread(below, scratch)
	copy(scratch, "xxxxx") // the buffer goes back to the loop
	fired := make(chan struct{})
	onLoop(t, l, func() {
		if !s.Ready() || s.Quiet() || s.WaitRead() != nil {
			t.Error("not ready with bytes at hand")
		}
		s.OnReadable(func(any) { close(fired) }, nil)
	})
	<-fired
	onLoop(t, l, func() {
		p := make([]byte, 3)
		n, err := s.Read(p)
		m, err2 := s.Read(p[n:])
		if string(p[:n]) != "fir" || m != 0 || err != nil || err2 != nil {
			t.Errorf("read %q, then %d bytes, %v, %v", p[:n], m, err, err2)
		}
		s.Read(p)
		if s.Ready() || !s.Quiet() || s.WaitRead() != loop.ErrTimeout {
			t.Error("ready with nothing at hand")
		}
		below.in = pieces("second", 0)
		if b, _ := io.ReadAll(io.LimitReader(s, 6)); string(b) != "second" {
			t.Errorf("read %q", b)
		}
	})
	if s.(loop.Wrapper).Below() != loop.Stream(below) {
		t.Error("Below is another stream")
	}
}

// TestFlush holds that a head can leave before the first byte of its body, and does
// not unless told to.
func TestFlush(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	st := &memStream{l: l, in: pieces("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0), eof: true}
	cfg := ServerConfig{Handler: handlerFunc(func(_ *message.Request, w message.Writer) {
		w.WriteHead(&message.Response{Status: 200, Length: message.Unknown})
		if len(st.out) > 0 {
			t.Errorf("sent %q before Flush", st.out)
		}
		w.Flush()
		if got := string(st.out); !strings.HasSuffix(got, "\r\n\r\n") {
			t.Errorf("sent %q after Flush", got)
		}
		w.Write(make([]byte, 5000))
		before := len(st.out)
		w.Flush() // what ends the chunk
		if got := string(st.out[before:]); got != "\r\n" {
			t.Errorf("Flush after a large piece sent %q", got)
		}
		w.Finish(nil)
	})}
	onLoop(t, l, func() { Serve(st, &cfg) })

	st = &memStream{l: l}
	onLoop(t, l, func() {
		c := NewClient(st)
		c.WriteHead(&message.Request{Method: "GET", Target: "/", Host: "a", Length: 5})
		c.Flush()
		c.Release()
	})
	if got := lines(string(st.out)); got != "GET / HTTP/1.1\nHost: a\nContent-Length: 5\n\n" {
		t.Errorf("sent %q", got)
	}
}
