package http2

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	xhttp2 "golang.org/x/net/http2"
)

// ask sends one request to a handler and returns what came back.
func ask(t *testing.T, method string, handle func(w message.Writer, resp *message.Response)) reply {
	t.Helper()
	c := dialPipe(t, &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		handle(w, &message.Response{Status: 200, Length: message.Unknown})
	})})
	c.headers(1, true, request(method)...)
	return c.reply(1)
}

func TestAnswerHead(t *testing.T) {
	long := strings.Repeat("v", 300)
	r := ask(t, "GET", func(w message.Writer, resp *message.Response) {
		resp.Status = 201
		for _, f := range [][2]string{
			{"Content-Type", "text/html"}, {"X-Upper-CASE", "A"}, {"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"},
			{"Connection", "close"}, {"Keep-Alive", "1"}, {"Transfer-Encoding", "chunked"}, {"Content-Length", "99"},
			{"Upgrade", "h2c"}, {"Proxy-Connection", "close"}, {"X-Long", long}, {"X-Empty", ""}, {"x", "y"},
		} {
			resp.Header.Add(f[0], f[1])
		}
		w.WriteHead(resp)
		w.Finish(nil)
	})
	var got []string
	for _, f := range r.head.fields {
		got = append(got, f.Name+": "+f.Value)
	}
	want := []string{":status: 201", "content-type: text/html", "x-upper-case: A", "set-cookie: a=1", "set-cookie: b=2",
		"x-long: " + long, "x-empty: ", "x: y"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if !r.head.ends() {
		t.Error("an answer without body does not end with its head")
	}
}

func TestAnswerStatus(t *testing.T) {
	c := dialPipe(t, &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		resp := message.Response{Length: 3}
		fmt.Sscanf(r.Target, "/%d", &resp.Status)
		w.WriteHead(&resp)
		w.Write([]byte("abc"))
		w.Finish(nil)
	})})
	id := uint32(1)
	for _, status := range []int{200, 201, 204, 206, 299, 304, 400, 404, 418, 500, 503, 599, 999} {
		c.headers(id, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", fmt.Sprintf("/%d", status))
		r, body, length := c.reply(id), "abc", "3"
		switch status {
		case 204:
			body, length = "", ""
		case 304:
			body = ""
		}
		if r.head.field(":status") != fmt.Sprint(status) || r.body != body || r.head.field("content-length") != length {
			t.Errorf("status %d: got %+v", status, r)
		}
		id += 2
	}
}

func TestAnswerToHEAD(t *testing.T) {
	r := ask(t, "HEAD", func(w message.Writer, resp *message.Response) {
		resp.Length = 5
		w.WriteHead(resp)
		if n, err := w.Write([]byte("hello")); n != 5 || err != nil {
			t.Errorf("Write answered %d, %v", n, err)
		}
		w.Finish(nil)
	})
	if r.head.field("content-length") != "5" || !r.head.ends() || r.body != "" {
		t.Errorf("got %+v", r)
	}
}

func TestAnswerBodyAndTrailer(t *testing.T) {
	r := ask(t, "GET", func(w message.Writer, resp *message.Response) {
		for _, status := range []int{103, 102} {
			w.WriteHead(&message.Response{Status: status, Length: message.Unknown})
		}
		w.WriteHead(resp)
		before := w.Sent()
		w.Write([]byte("hello "))
		w.Write([]byte("world"))
		if n := w.Sent() - before; n != headerSize+11 {
			t.Errorf("two writes of one turn took %d bytes, want one frame", n)
		}
		var trailer message.Header
		trailer.Add("Grpc-Status", "0")
		w.Finish(&trailer)
	})
	if fmt.Sprint(r.interim) != "[103 102]" || r.body != "hello world" || r.trailer.field("grpc-status") != "0" {
		t.Errorf("got %+v", r)
	}
}

// TestAnswerLargeHead holds that a head larger than a frame is cut where it must be.
func TestAnswerLargeHead(t *testing.T) {
	value := strings.Repeat("0123456789", 5000)
	r := ask(t, "GET", func(w message.Writer, resp *message.Response) {
		resp.Header.Add("X-Large", value)
		resp.Header.Add("X-Next", "1")
		w.WriteHead(resp)
		w.(message.LastWriter).WriteLast([]byte("body"), nil)
	})
	if r.head.field("x-large") != value || r.head.field("x-next") != "1" || r.body != "body" {
		t.Errorf("the head arrived with %d bytes of %d, body %q", len(r.head.field("x-large")), len(value), r.body)
	}
}

// TestAnswerWrong holds what happens when a Handler does not keep to the order.
func TestAnswerWrong(t *testing.T) {
	boom := func(v any, stack []byte) {}
	loop.OnPanic(boom)
	for _, tt := range []struct {
		name   string
		handle func(w message.Writer, resp *message.Response)
		status string
		code   ErrCode // of the reset, 0 for none
	}{
		{"no answer", func(w message.Writer, resp *message.Response) {}, "500", 0},
		{"panic", func(w message.Writer, resp *message.Response) { panic("boom") }, "500", 0},
		{"panic after the head", func(w message.Writer, resp *message.Response) { w.WriteHead(resp); panic("boom") },
			"200", CodeInternal},
		{"no end", func(w message.Writer, resp *message.Response) { w.WriteHead(resp); w.Write([]byte("x")) },
			"200", CodeInternal},
		{"aborted", func(w message.Writer, resp *message.Response) { w.WriteHead(resp); w.Abort(errors.New("why")) },
			"200", CodeInternal},
		{"too little", func(w message.Writer, resp *message.Response) {
			resp.Length = 5
			w.WriteHead(resp)
			w.Write([]byte("four"))
			if w.Finish(nil) == nil {
				panic("Finish answered no error")
			}
		}, "200", CodeInternal},
		{"too much", func(w message.Writer, resp *message.Response) {
			resp.Length = 3
			w.WriteHead(resp)
			if _, err := w.Write([]byte("four")); err != ErrSequence {
				panic("Write answered no error")
			}
		}, "200", CodeInternal},
		{"line break in a field", func(w message.Writer, resp *message.Response) {
			resp.Header.Add("X-A", "1\r\nX-B: 2")
			if w.WriteHead(resp) == nil {
				panic("WriteHead answered no error")
			}
		}, "500", 0},
		{"body before head", func(w message.Writer, resp *message.Response) {
			if _, err := w.Write([]byte("x")); err != ErrSequence {
				t.Errorf("Write answered %v", err)
			}
			w.WriteHead(resp)
			if err := w.WriteHead(resp); err != ErrSequence {
				t.Errorf("the second WriteHead answered %v", err)
			}
			w.Finish(nil)
			if _, err := w.Write([]byte("x")); err != ErrSequence {
				t.Errorf("Write after Finish answered %v", err)
			}
		}, "200", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dialPipe(t, &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
				tt.handle(w, &message.Response{Status: 200, Length: message.Unknown})
			})})
			c.get(1)
			r := c.reply(1)
			if r.head.field(":status") != tt.status || r.reset != (tt.code != 0) || r.reset && ErrCode(r.code) != tt.code {
				t.Errorf("got %+v", r)
			}
			c.get(3)
			c.reply(3) // the connection goes on
		})
	}
}

// early answers each request at once, without a look at its body.
var early = handlerFunc(func(r *message.Request, w message.Writer) {
	w.WriteHead(&message.Response{Status: 413, Length: 3})
	w.(message.LastWriter).WriteLast([]byte("no!"), nil)
})

// TestEarlyAnswer holds that an answer which does not wait for the request is whole,
// and that the rest of the request is called off without an error, when the client has
// had a moment to read the answer.
func TestEarlyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialBubble(t, &ServerConfig{Handler: early})
		c.headers(1, false, request("POST")...)
		if r := c.reply(1); r.head.field(":status") != "413" || r.body != "no!" {
			t.Errorf("got %+v", r)
		}
		start := time.Now()
		c.data(1, false, "what was on its way")
		if e := c.until(xhttp2.FrameRSTStream, 1); ErrCode(e.code) != CodeNo {
			t.Errorf("the rest of the request was refused with %v", e.code)
		}
		if d := time.Since(start); d != lateWait {
			t.Errorf("it was refused %v after the answer, want %v", d, lateWait)
		}
		c.data(1, false, "what was on its way")
		c.headers(1, true, "x-trailer", "1")
		c.get(3)
		if r := c.reply(3); r.head.field(":status") != "413" {
			t.Errorf("the next request got %+v", r)
		}
	})
}

// TestEarlyAnswerEnds holds that nothing is called off when the client ends its
// request by itself after it was answered.
func TestEarlyAnswerEnds(t *testing.T) {
	for name, end := range map[string]func(*client){
		"DATA":       func(c *client) { c.data(1, true, "the rest") },
		"empty DATA": func(c *client) { c.data(1, true, "") },
		"trailers":   func(c *client) { c.headers(1, true, "x-trailer", "1") },
		"RST_STREAM": func(c *client) { c.ok(c.fr.WriteRSTStream(1, xhttp2.ErrCodeNo)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := dialBubble(t, &ServerConfig{Handler: early})
				c.headers(1, false, request("POST")...)
				c.reply(1)
				c.data(1, false, "some")
				end(c)
				time.Sleep(10 * lateWait)
				for _, e := range c.rest() {
					if e.Type == xhttp2.FrameRSTStream || e.Type == xhttp2.FrameGoAway || e.err != nil {
						t.Errorf("got %v", e)
					}
				}
			})
		})
	}
}

// TestEarlyAnswersAreBounded holds that many unfinished requests are called off
// sooner, and all of them before the connection ends.
func TestEarlyAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialBubble(t, &ServerConfig{Handler: early})
		for i := range uint32(maxLate + 3) {
			c.headers(1+2*i, false, request("POST")...)
		}
		resets := func(events []event) (n int) {
			for _, e := range events {
				if e.Type == xhttp2.FrameRSTStream {
					n++
				}
			}
			return n
		}
		if n := resets(c.rest()); n != 3 {
			t.Errorf("%d streams were called off at once, want 3", n)
		}
		c.ok(c.fr.WriteGoAway(0, xhttp2.ErrCodeNo, nil))
		if n := resets(c.rest()); n != maxLate {
			t.Errorf("%d streams were called off at the end, want %d", n, maxLate)
		}
	})
}

// TestExpectContinue holds that a client that waits is told to go on when the
// Handler wants the body, and not before.
func TestExpectContinue(t *testing.T) {
	c := dialPipe(t, &ServerConfig{Handler: handlerFunc(echo2)})
	c.headers(1, false, request("POST", "expect", "100-continue")...)
	e := c.until(xhttp2.FrameHeaders, 1)
	if e.field(":status") != "100" {
		t.Fatalf("got %v", e)
	}
	c.data(1, true, "body")
	if r := c.reply(1); r.head.field(":status") != "200" || r.body != "body" || r.head.field("x-expect") != "" {
		t.Errorf("got %+v", r)
	}
}

// echo2 answers with the body when it has read all of it.
func echo2(r *message.Request, w message.Writer) {
	d := describe(r)
	_, d, _ = strings.Cut(d, "\n\"")
	d, _, _ = strings.Cut(d, "\"")
	w.WriteHead(&message.Response{Status: 200, Length: int64(len(d))})
	w.(message.LastWriter).WriteLast([]byte(d), nil)
}
