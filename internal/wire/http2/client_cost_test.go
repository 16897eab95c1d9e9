//go:build !race

package http2

import (
	"io"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// clientRound returns a function that sends a request and reads its answer, of which the
// server has sent all.
func clientRound(l *loop.Loop) (round func() int, end func()) {
	s := &memStream{l: l}
	never := func() time.Duration { return 0 }
	c := NewClient(s, &ClientConfig{Idle: never, Rested: func(any) {}, Closed: func(any) {}}, nil)
	s.feed(&c.conn, appendFrame(nil, 0, frameSettings, 0, 0))
	req := message.Request{Method: "GET", Target: "/path", Host: "a.test"}
	req.Header.Add("User-Agent", "test")
	head := []byte{0x88, 0x40, 1, 'x', 1, 'y'} // 200, and a field that the table then has
	body := make([]byte, 1000)
	var p []byte
	var resp message.Response
	round = func() (n int) {
		st := c.NewStream()
		st.SetReadDeadline(l.Now().Add(time.Minute))
		if st.WriteHead(&req) != nil || st.Finish(nil) != nil {
			return 0
		}
		p = append(appendFrame(p[:0], len(head), frameHeaders, flagEndHeaders, st.id), head...)
		p = append(appendFrame(p, len(body), frameData, flagEndStream, st.id), body...)
		head = append(head[:0], 0x88, 0xbe)
		s.feed(&c.conn, p)
		if st.ReadHead(&resp, "GET", 64<<10) == nil {
			for err := error(nil); err != io.EOF; {
				var k int
				if k, err = resp.Body.Read(body); err != nil && err != io.EOF {
					break
				}
				n += k
			}
		}
		st.Free()
		l.Sleep(0) // to the end of the turn
		return n
	}
	return round, func() { c.teardown(ErrClosed) }
}

// TestClientAllocations holds that a request to a server costs the heap nothing.
func TestClientAllocations(t *testing.T) {
	onLoop(t, func(l *loop.Loop) {
		round, end := clientRound(l)
		defer end()
		for range 100 {
			if n := round(); n != 1000 {
				t.Fatalf("%d bytes were answered", n)
			}
		}
		if got := testing.AllocsPerRun(500, func() { round() }); got != 0 {
			t.Errorf("%v allocations, want none", got)
		}
	})
}

// BenchmarkClient is the cost of the client's codec alone.
func BenchmarkClient(b *testing.B) {
	onLoop(b, func(l *loop.Loop) {
		round, end := clientRound(l)
		defer end()
		b.ReportAllocs()
		for b.Loop() {
			round()
		}
	})
}
