package http1

import (
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// TestRequestsWritten compares what a ClientConn sends.
func TestRequestsWritten(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	fields := func(r *message.Request, lines ...string) *message.Request {
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Add(name, value)
		}
		return r
	}
	for _, tt := range []struct {
		name   string
		r      *message.Request
		body   []string
		want   string
		writes int
		err    error
	}{
		{"get", fields(&message.Request{Method: "GET", Target: "/x?y", Host: "a:80"}, "Accept: x"), nil,
			"GET /x?y HTTP/1.1\nHost: a:80\nAccept: x\n\n", 1, nil},
		{"post with nothing", &message.Request{Method: "POST", Target: "/", Host: "a"}, nil,
			"POST / HTTP/1.1\nHost: a\nContent-Length: 0\n\n", 1, nil},
		{"length", &message.Request{Method: "POST", Target: "/", Host: "a", Length: 5}, []string{"hello"},
			"POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello", 1, nil},
		{"two pieces", &message.Request{Method: "GET", Target: "/", Host: "a", Length: 5}, []string{"hel", "lo"},
			"GET / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello", 2, nil},
		{"chunks", &message.Request{Method: "POST", Target: "/", Host: "a", Length: message.Unknown}, []string{"hello", "", strings.Repeat("x", 5000), "y"},
			"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nhello\n1388\n" + strings.Repeat("x", 5000) + "\n1\ny\n0\n\n", 4, nil},
		{"framing is the codec's", fields(&message.Request{Method: "GET", Target: "/", Host: "a"}, "Connection: x", "Content-Length: 7", "Transfer-Encoding: x", "Upgrade: x", "TE: trailers", "Host: b", "Expect: 100-continue"), nil,
			"GET / HTTP/1.1\nHost: a\nTE: trailers\nConnection: TE\n\n", 1, nil},
		{"upgrade", &message.Request{Method: "GET", Target: "/", Host: "a", Upgrade: "websocket"}, nil,
			"GET / HTTP/1.1\nHost: a\nConnection: upgrade\nUpgrade: websocket\n\n", 1, nil},
		{"upgrade with trailers", fields(&message.Request{Method: "GET", Target: "/", Host: "a", Upgrade: "websocket"}, "TE: trailers"), nil,
			"GET / HTTP/1.1\nHost: a\nTE: trailers\nConnection: upgrade, TE\nUpgrade: websocket\n\n", 1, nil},
		{"large head", fields(&message.Request{Method: "GET", Target: "/", Host: "a"}, "X: "+strings.Repeat("y", 200000)), nil,
			"GET / HTTP/1.1\nHost: a\nX: " + strings.Repeat("y", 200000) + "\n\n", 1, nil},
		{"too little", &message.Request{Method: "POST", Target: "/", Host: "a", Length: 5}, []string{"hell"},
			"POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhell", 1, ErrSequence},
		{"too much", &message.Request{Method: "POST", Target: "/", Host: "a", Length: 5}, []string{"hell", "oo"},
			"POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhell", 1, ErrSequence},
		{"space in the target", &message.Request{Method: "GET", Target: "/ HTTP/1.1", Host: "a"}, nil, "", 0, BadTarget},
		{"line end in the target", &message.Request{Method: "GET", Target: "/\r\nX:y", Host: "a"}, nil, "", 0, BadTarget},
		{"no target", &message.Request{Method: "GET", Host: "a"}, nil, "", 0, BadTarget},
		{"line end in the host", &message.Request{Method: "GET", Target: "/", Host: "a\r\nX: y"}, nil, "", 0, BadHost},
		{"space in the method", &message.Request{Method: "GET /x", Target: "/", Host: "a"}, nil, "", 0, BadMethod},
		{"line end in a value", fields(&message.Request{Method: "GET", Target: "/", Host: "a"}, "X: y\r\nZ: z"), nil, "", 0, BadValue},
		{"line end in a name", fields(&message.Request{Method: "GET", Target: "/", Host: "a"}, "X\r\nY: y"), nil, "", 0, BadName},
		{"line end in the protocol", &message.Request{Method: "GET", Target: "/", Host: "a", Upgrade: "x\r\ny"}, nil, "", 0, BadValue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := &memStream{l: l}
			c := NewClient(st)
			onLoop(t, l, func() {
				err := c.WriteHead(tt.r)
				for i := 0; i < len(tt.body) && err == nil; i++ {
					var n int
					if n, err = c.Write([]byte(tt.body[i])); err == nil && n != len(tt.body[i]) {
						t.Errorf("wrote %d of %d", n, len(tt.body[i]))
					}
				}
				if err == nil {
					err = c.Finish(nil)
				}
				if err != tt.err {
					t.Errorf("error %v, want %v", err, tt.err)
				}
				c.Release()
			})
			if got := lines(string(st.out)); got != tt.want {
				t.Errorf("wrote %q, want %q", got, tt.want)
			}
			if tt.writes > 0 && st.writes != tt.writes {
				t.Errorf("%d writes, want %d", st.writes, tt.writes)
			}
		})
	}
}

// TestWriteLast holds that a small answer or request leaves in one write, end
// included.
func TestWriteLast(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	st := &memStream{l: l}
	c := NewClient(st)
	onLoop(t, l, func() {
		c.WriteHead(&message.Request{Method: "POST", Target: "/", Host: "a", Length: message.Unknown})
		trailer := &message.Header{}
		trailer.Add("X-Sum", "1")
		if err := c.WriteLast([]byte("hello"), trailer); err != nil {
			t.Error(err)
		}
		c.Release()
	})
	want := "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nhello\n0\nX-Sum: 1\n\n"
	if got := lines(string(st.out)); got != want || st.writes != 1 {
		t.Errorf("%d writes of %q, want %q", st.writes, got, want)
	}
}
