package http1

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestBodyRate: a body with a least rate ends when its bytes are not worth the time that
// they are waited for, to the moment, and one that comes fast enough is read to its end.
func TestBodyRate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rate  int
		piece string // each second
		want  string
		in    time.Duration
	}{
		// 5 seconds, and a tenth of one for each of the 5 bytes that come in that time.
		{"slow", 10, "x", "HTTP/1.1 408 ", 5500*time.Millisecond + 2*time.Second},
		{"fast enough", 10, strings.Repeat("x", 10), "HTTP/1.1 200 ", 30*time.Second + 20*time.Second},
		{"any", 0, "x", "HTTP/1.1 200 ", 300*time.Second + 20*time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript()
			s.lim.BodyTimeout, s.lim.BodyRate, s.lim.KeepAlive = 5*time.Second, tt.rate, 20*time.Second
			bubble(t, s, func(c net.Conn) {
				var got []byte
				said := make(chan struct{})
				io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\n")
				go func() {
					defer close(said)
					for n := 0; n < 300; n += len(tt.piece) {
						<-time.After(time.Second)
						if _, err := io.WriteString(c, tt.piece); err != nil {
							return
						}
					}
				}()
				d := after(func() { got, _ = io.ReadAll(c) })
				c.Close()
				<-said
				if !strings.HasPrefix(string(got), tt.want) || d > tt.in || tt.rate > 0 && d < tt.in-3*time.Second {
					t.Errorf("after %v: %q, want %q after %v", d, got, tt.want, tt.in)
				}
			})
		})
	}
}

// TestKeptNoLonger: a client that was told that its connection is kept, when connections
// are kept no longer by then, has a moment for its next request and not for ever.
func TestKeptNoLonger(t *testing.T) {
	s := newScript()
	asked := 0
	s.cfg.Limits = func() *Limits {
		asked++
		lim := s.lim
		if asked > 2 { // before the first request, and before its head
			lim.KeepAlive = 0
		}
		return &lim
	}
	bubble(t, s, func(c net.Conn) {
		go io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		var got []byte
		d := after(func() { got, _ = io.ReadAll(c) })
		if !strings.HasPrefix(string(got), "HTTP/1.1 200 ") || strings.Contains(string(got), "close") || d != lastMoment {
			t.Errorf("after %v: %q, want an answer that keeps the connection for %v", d, got, lastMoment)
		}
	})
}
