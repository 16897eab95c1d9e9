package http3

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
)

// TestAnswers looks at what arrives of answers of every kind.
func TestAnswers(t *testing.T) {
	head := func(status int, length int64, fields ...string) *message.Response {
		r := &message.Response{Status: status, Length: length}
		for i := 0; i < len(fields); i += 2 {
			r.Header.Add(fields[i], fields[i+1])
		}
		return r
	}
	for name, tt := range map[string]struct {
		method string
		answer func(w message.Writer)
		heads  []string // status and fields, of 1xx, head and trailer
		body   string
	}{
		"length": {"GET", func(w message.Writer) {
			w.WriteHead(head(200, 3, "X-Field", "Value"))
			w.Write([]byte("abc"))
			w.Finish(nil)
		}, []string{":status=200 content-length=3 x-field=Value"}, "abc"},
		"no length": {"GET", func(w message.Writer) {
			w.WriteHead(head(418, message.Unknown))
			w.Write([]byte("abc"))
			w.Flush()
			w.(message.LastWriter).WriteLast([]byte("def"), nil)
		}, []string{":status=418"}, "abcdef"},
		"HEAD": {"HEAD", func(w message.Writer) {
			w.WriteHead(head(200, 3))
			w.Write([]byte("abc"))
			w.Finish(nil)
		}, []string{":status=200 content-length=3"}, ""},
		"204": {"GET", func(w message.Writer) {
			w.WriteHead(head(204, 0))
			w.Finish(nil)
		}, []string{":status=204"}, ""},
		"304": {"GET", func(w message.Writer) {
			w.WriteHead(head(304, 7))
			w.Finish(nil)
		}, []string{":status=304 content-length=7"}, ""},
		"1xx": {"GET", func(w message.Writer) {
			w.WriteHead(head(103, message.Unknown, "Link", "</a>"))
			w.WriteHead(head(110, message.Unknown))
			w.WriteHead(head(503, 0))
			w.Finish(nil)
		}, []string{":status=103 link=</a>", ":status=110", ":status=503 content-length=0"}, ""},
		"trailer": {"GET", func(w message.Writer) {
			w.WriteHead(head(404, message.Unknown))
			w.Write([]byte("abc"))
			var h message.Header
			h.Add("X-Sum", "1")
			w.Finish(&h)
		}, []string{":status=404", "x-sum=1"}, "abc"},
		"fields of a connection": {"GET", func(w message.Writer) {
			w.WriteHead(head(200, 0, "Connection", "close", "Transfer-Encoding", "chunked", "Upgrade", "x", "Set-Cookie", "a=b", "X-Long-Name-Of-A-Field", strings.Repeat("v", 300)))
			w.Finish(nil)
		}, []string{":status=200 content-length=0 set-cookie=a=b x-long-name-of-a-field=" + strings.Repeat("v", 300)}, ""},
		"nothing": {"GET", func(w message.Writer) {}, []string{":status=500 content-length=0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, loop.DefaultKind(), ServerConfig{Handler: handlerFunc(func(_ *message.Request, w message.Writer) { tt.answer(w) })})
			c := s.dial(t)
			r, err := c.read(c.send(request(tt.method)))
			var heads []string
			for _, h := range r.heads {
				heads = append(heads, text(h))
			}
			if err != nil || strings.Join(heads, "\n") != strings.Join(tt.heads, "\n") || string(r.body) != tt.body {
				t.Errorf("answer is %q %q, %v; want %q %q", heads, r.body, err, tt.heads, tt.body)
			}
		})
	}
}

// text writes fields in a fixed order.
func text(h map[string]string) string {
	var b []string
	for _, name := range []string{":status", "content-length", "link", "set-cookie", "x-field", "x-long-name-of-a-field", "x-sum"} {
		if v, ok := h[name]; ok {
			b = append(b, name+"="+v)
			delete(h, name)
		}
	}
	for name := range h {
		b = append(b, name)
	}
	return strings.Join(b, " ")
}

// TestWrongAnswers has handlers answer what cannot be sent.
func TestWrongAnswers(t *testing.T) {
	errs := make(chan error, 1)
	bad := func(r *message.Request, w message.Writer) {
		switch r.Target {
		case "/name":
			h := &message.Response{Status: 200}
			h.Header.Add("a b", "1")
			errs <- w.WriteHead(h)
		case "/value":
			h := &message.Response{Status: 200}
			h.Header.Add("a", "1\n")
			errs <- w.WriteHead(h)
		case "/status":
			errs <- w.WriteHead(&message.Response{Status: 101})
		case "/before":
			_, err := w.Write([]byte("x"))
			errs <- err
		case "/more":
			w.WriteHead(&message.Response{Status: 200, Length: 1})
			_, err := w.Write([]byte("xx"))
			errs <- err
		case "/less":
			w.WriteHead(&message.Response{Status: 200, Length: 9})
			w.Write([]byte("xx"))
			errs <- w.Finish(nil)
		case "/abort":
			w.WriteHead(&message.Response{Status: 200, Length: 9})
			w.Write([]byte("xx"))
			w.Abort(nil)
			errs <- w.Flush()
		}
	}
	s := start(t, loop.DefaultKind(), ServerConfig{Handler: handlerFunc(bad)})
	c := s.dial(t)
	get := func(path string) []byte {
		return headers(":method", "GET", ":scheme", "https", ":authority", "h.test", ":path", path)
	}
	for _, path := range []string{"/name", "/value", "/status", "/before"} {
		str := c.send(get(path))
		if err := <-errs; err == nil {
			t.Errorf("%s: no error", path)
		}
		c.want(str, "500", "")
	}
	for _, path := range []string{"/more", "/less", "/abort"} {
		str := c.send(get(path))
		if err := <-errs; !errors.Is(err, http2.ErrSequence) && !errors.Is(err, http2.ErrAborted) {
			t.Errorf("%s: error %v", path, err)
		}
		c.wantReset(str, codeInternal)
	}
}

// TestLargeBodies echoes more than any window or queue holds.
func TestLargeBodies(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := start(t, kind, ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
			w.WriteHead(&message.Response{Status: 200, Length: message.Unknown})
			buf := make([]byte, 30000)
			for {
				n, err := r.Body.Read(buf)
				if n > 0 {
					if _, err := w.Write(buf[:n]); err != nil {
						return
					}
				}
				if err != nil {
					w.Finish(nil)
					return
				}
			}
		})})
		c := s.dial(t)
		body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		str := c.stream(request("POST"))
		go func() {
			for p := body; len(p) > 0; p = p[min(len(p), 100000):] {
				str.Write(data(string(p[:min(len(p), 100000)])))
			}
			str.Close()
		}()
		r, err := c.read(str)
		if err != nil || !bytes.Equal(r.body, body) {
			t.Errorf("%d bytes came back, %v", len(r.body), err)
		}
	})
}

// TestContinue has a client wait for 100 before it sends its body.
func TestContinue(t *testing.T) {
	s := start(t, loop.DefaultKind(), ServerConfig{Handler: handlerFunc(answer)})
	c := s.dial(t)
	str := c.stream(request("POST", "expect", "100-continue"))
	in := &reader{src: str}
	_, n, err := in.header()
	if err != nil {
		t.Fatal(err)
	}
	p, err := in.payload(int(n))
	if want := []byte(prefix + "\x5f\x09\x03100"); err != nil || !bytes.Equal(p, want) {
		t.Fatalf("first head is %q, %v; want %q", p, err, want)
	}
	str.Write(data("abc"))
	str.Close()
	rest, err := io.ReadAll(in)
	if err != nil || !bytes.Contains(rest, []byte("POST h.test /x abc")) {
		t.Errorf("answer is %q, %v", rest, err)
	}
}
