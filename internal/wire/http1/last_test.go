package http1

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// lastStream notes how many bytes were written before it was told of the last write, and
// how many writes followed.
type lastStream struct {
	memStream
	told, after int
}

func (s *lastStream) Last() { s.told++ }

func (s *lastStream) Write(p []byte) (int, error) {
	if s.told > 0 {
		s.after++
	}
	return s.memStream.Write(p)
}

func (s *lastStream) WriteTwo(a, b []byte) error {
	if s.told > 0 {
		s.after++
	}
	return s.memStream.WriteTwo(a, b)
}

// TestLastWrite: a stream is told of the last write where the connection ends with the
// answer, whatever its size and framing, and one write follows. Where the connection goes
// on it is not.
func TestLastWrite(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	for _, c := range []struct {
		size    int
		chunked bool
		close   bool
	}{{0, false, true}, {2, false, true}, {9000, false, true}, {2, true, true}, {9000, true, true}, {2, false, false}} {
		cfg := ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
			resp := &message.Response{Status: 200, Length: int64(c.size)}
			if c.chunked {
				resp.Length = message.Unknown
			}
			if err := w.WriteHead(resp); err != nil {
				t.Error(err)
			}
			if err := w.(*answer).WriteLast(make([]byte, c.size), nil); err != nil {
				t.Error(err)
			}
		})}
		in := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		if c.close {
			in = strings.Replace(in, "Host", "Connection: close\r\nHost", 1)
		}
		st := &lastStream{memStream: memStream{l: l, in: pieces(in, 0), eof: true}}
		onLoop(t, l, func() { Serve(st, &cfg) })
		want := "0 0"
		if c.close {
			want = "1 1"
		}
		if got := fmt.Sprint(st.told, st.after); got != want {
			t.Errorf("%+v: told %d times, %d writes after that, want %s", c, st.told, st.after, want)
		}
	}
}
