package http1

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// dumpResponse shows a response and what its body gave in one line.
func dumpResponse(r *message.Response) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d length=%d", r.Status, r.Length)
	for i := range r.Header.Len() {
		fmt.Fprintf(&b, " %s=%q", r.Header.At(i).Name, r.Header.At(i).Value)
	}
	if r.Upgrade != "" {
		fmt.Fprintf(&b, " upgrade=%q", r.Upgrade)
	}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(&b, " body=%q", body)
		if err != nil {
			fmt.Fprintf(&b, " error=%v", err)
		}
	}
	for i := range r.Trailer.Len() {
		fmt.Fprintf(&b, " trailer %s=%q", r.Trailer.At(i).Name, r.Trailer.At(i).Value)
	}
	return b.String()
}

// responses are what a server may say, and what is seen of it. \n is CR LF, \x01 a
// bare LF.
var responses = []struct {
	name, method, in string
	seen             string // one line per head, or an error at the end
	reusable         bool
}{
	{"length", "GET", "HTTP/1.1 200 OK\nServer: x\nContent-Length: 5\n\nhello", `200 length=5 Server="x" body="hello"`, true},
	{"no reason", "GET", "HTTP/1.1 200 \nContent-Length: 0\n\n", `200 length=0`, true},
	{"no space before no reason", "GET", "HTTP/1.1 200\nContent-Length: 0\n\n", `200 length=0`, true},
	{"chunked", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n1\n!\n0\nX-Sum: 1\n\n",
		`200 length=-1 body="hello!" trailer X-Sum="1"`, true},
	{"until the end", "GET", "HTTP/1.1 200 OK\n\nhello", `200 length=-1 body="hello"`, false},
	{"head", "HEAD", "HTTP/1.1 200 OK\nContent-Length: 5\n\n", `200 length=5`, true},
	{"head chunked", "HEAD", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", `200 length=-1`, true},
	{"204", "GET", "HTTP/1.1 204 No Content\n\n", `204 length=0`, true},
	{"204 with a length", "GET", "HTTP/1.1 204 No Content\nContent-Length: 5\n\n", `204 length=0`, false},
	{"304", "GET", "HTTP/1.1 304 Not Modified\nContent-Length: 5\nETag: x\n\n", `304 length=5 ETag="x"`, true},
	{"close", "GET", "HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2\n\nok", `200 length=2 body="ok"`, false},
	{"http/1.0", "GET", "HTTP/1.0 200 OK\nContent-Length: 2\n\nok", `200 length=2 body="ok"`, false},
	{"http/1.0 kept", "GET", "HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 2\n\nok", `200 length=2 body="ok"`, true},
	{"interim", "GET", "HTTP/1.1 103 Early Hints\nLink: x\n\nHTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"103 length=0 Link=\"x\"\n100 length=0\n200 length=2 body=\"ok\"", true},
	{"fields of the connection", "GET", "HTTP/1.1 200 OK\nConnection: x-a, keep-alive\nKeep-Alive: 5\nX-A: 1\nX-B: 2\nUpgrade: h2\nProxy-Connection: x\nContent-Length: 0\n\n",
		`200 length=0 X-B="2"`, true},
	{"underscores", "GET", "HTTP/1.1 200 OK\nX_A: 1\nContent-Length: 0\n\n", `200 length=0 X_A="1"`, true},
	{"more than the body", "GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nokmore", `200 length=2 body="ok"`, false},
	{"body cut", "GET", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhe", `200 length=5 body="he" error=unexpected EOF`, false},
	{"chunk cut", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhe", `200 length=-1 body="he" error=unexpected EOF`, false},
	{"last chunk missing", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nhe\n", `200 length=-1 body="he" error=unexpected EOF`, false},
	{"bad chunk", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nhello", `200 length=-1 body="he" error=` + BadChunkEnd.Error(), false},

	{"nothing", "GET", "", ErrClosed.Error(), false},
	{"head cut", "GET", "HTTP/1.1 200 OK\nServer", "http1: connection closed inside a response head: unexpected EOF", false},
	{"nothing after an interim", "GET", "HTTP/1.1 100 Continue\n\n", "100 length=0\nhttp1: connection closed after an interim response: unexpected EOF", false},
	{"many interims", "GET", strings.Repeat("HTTP/1.1 100 Continue\n\n", 101), strings.Repeat("100 length=0\n", 100) + ManyInterim.Error(), false},
	{"no HTTP", "GET", "220 mail.example.com ESMTP\n", BadStatusLine.Error(), false},
	{"HTTP/2", "GET", "HTTP/2 200\n\n", BadStatusLine.Error(), false},
	{"two digits", "GET", "HTTP/1.1 20 OK\n\n", BadStatusLine.Error(), false},
	{"four digits", "GET", "HTTP/1.1 2000 OK\n\n", BadStatusLine.Error(), false},
	{"status below 100", "GET", "HTTP/1.1 099 OK\n\n", BadStatusLine.Error(), false},
	{"bare LF", "GET", "HTTP/1.1 200 OK\x01Content-Length: 0\n\n", BadLineEnd.Error(), false},
	{"bare LF in a field", "GET", "HTTP/1.1 200 OK\nContent-Length: 0\x01\x01", BadLineEnd.Error(), false},
	{"fold", "GET", "HTTP/1.1 200 OK\nX: y\n z\nContent-Length: 0\n\n", Folded.Error(), false},
	{"space before the colon", "GET", "HTTP/1.1 200 OK\nContent-Length : 5\n\nhello", BadName.Error(), false},
	{"two lengths", "GET", "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 5\n\nhello", ManyLengths.Error(), false},
	{"length list", "GET", "HTTP/1.1 200 OK\nContent-Length: 5, 5\n\nhello", BadLength.Error(), false},
	{"length and coding", "GET", "HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n", LengthAndCoding.Error(), false},
	{"coding in HTTP/1.0 (CVE-2026-2835)", "GET", "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n0\n\n", CodingInHTTP10.Error(), false},
	{"other coding", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n0\n\n", BadCoding.Error(), false},
	{"NUL in a value", "GET", "HTTP/1.1 200 OK\nX: \x00\n\n", BadValue.Error(), false},
	{"101 that nobody asked for", "GET", "HTTP/1.1 101 Switching Protocols\nUpgrade: x\nConnection: upgrade\n\nraw", UnexpectedUpgrade.Error(), false},
	{"large head", "GET", "HTTP/1.1 200 OK\nX: " + strings.Repeat("y", 5000) + "\n\n", HeadTooLarge.Error(), false},
	{"endless line", "GET", "HTTP/1.1 200 " + strings.Repeat("y", 5000), HeadTooLarge.Error(), false},
	{"many fields", "GET", "HTTP/1.1 200 OK\n" + strings.Repeat("a:\n", 1001) + "\n", TooManyFields.Error(), false},
}

func TestResponses(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	for _, tt := range responses {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{0, 1, 7} {
				in := strings.ReplaceAll(strings.ReplaceAll(tt.in, "\n", "\r\n"), "\x01", "\n")
				st := &memStream{l: l, in: pieces(in, n), eof: true}
				c := NewClient(st)
				var seen []string
				onLoop(t, l, func() {
					r := &message.Request{Method: tt.method, Target: "/x", Host: "a"}
					if err := errors.Join(c.WriteHead(r), c.Finish(nil)); err != nil {
						t.Error(err)
					}
					var resp message.Response
					for resp.Status < 200 {
						err := c.ReadHead(&resp, tt.method, 4096)
						if err != nil {
							seen = append(seen, err.Error())
							break
						}
						seen = append(seen, dumpResponse(&resp))
					}
				})
				if got := strings.Join(seen, "\n"); got != tt.seen {
					t.Errorf("pieces of %d: saw\n%s\nwant\n%s", n, got, tt.seen)
				}
				if want := tt.reusable; c.Reusable() != want {
					if n == 0 || tt.name != "more than the body" { // what has not been read, Quiet tells
						t.Errorf("pieces of %d: reusable %v, want %v", n, c.Reusable(), want)
					}
				}
				if c.Release(); c.in.buf != nil || c.in.head != nil || c.out.buf != nil {
					t.Error("an idle connection holds a buffer")
				}
			}
		})
	}
}

func TestResponseErrors(t *testing.T) {
	for f := NoFault + 1; f < numFaults; f++ {
		large := f == LineTooLong || f == FieldTooLong || f == HeadTooLarge || f == TooManyFields
		if errors.Is(f, ErrHeadTooLarge) != large || errors.Is(f, ErrInvalid) == large {
			t.Errorf("%v: too large %v, invalid %v", f, errors.Is(f, ErrHeadTooLarge), errors.Is(f, ErrInvalid))
		}
	}
}

// TestSequence holds that calls in the wrong order are refused and harm nothing.
func TestSequence(t *testing.T) {
	l := engine(t, loop.Goroutines).Next()
	st := &memStream{l: l, in: pieces("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0)}
	onLoop(t, l, func() {
		c := NewClient(st)
		var resp message.Response
		get := &message.Request{Method: "GET", Target: "/", Host: "a"}
		if _, err := c.Write([]byte("x")); err != ErrSequence {
			t.Errorf("Write before a head: %v", err)
		}
		if err := c.Finish(nil); err != ErrSequence {
			t.Errorf("Finish before a head: %v", err)
		}
		if err := c.ReadHead(&resp, "GET", 4096); err != ErrSequence {
			t.Errorf("ReadHead before a head: %v", err)
		}
		if err := c.WriteHead(get); err != nil {
			t.Error(err)
		}
		if err := c.WriteHead(get); err != ErrSequence {
			t.Errorf("a second head: %v", err)
		}
		if err := c.Finish(nil); err != nil {
			t.Error(err)
		}
		if _, err := c.Write([]byte("x")); err != ErrSequence {
			t.Errorf("Write after the end: %v", err)
		}
		if err := c.ReadHead(&resp, "GET", 4096); err != nil {
			t.Error(err)
		}
		if _, err := c.Tunnel(); err != ErrSequence {
			t.Errorf("Tunnel after a 200: %v", err)
		}
		if c.Reusable() {
			t.Error("reusable before the body was read")
		}
		if got := dumpResponse(&resp); got != `200 length=2 body="ok"` || !c.Reusable() {
			t.Errorf("got %s, reusable %v", got, c.Reusable())
		}
		if err := c.ReadHead(&resp, "GET", 4096); err != ErrSequence {
			t.Errorf("ReadHead after the answer: %v", err)
		}
		c.Close()
		if c.Reusable() || !st.closed {
			t.Error("reusable after Close")
		}
	})
}

// TestClientAndServer lets both sides of the package talk, many times on one
// connection, with bodies of many sizes both ways.
func TestClientAndServer(t *testing.T) {
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		sc := newScript()
		sc.lim.Requests = 0
		sc.cfg.Handler = handlerFunc(echo)
		s := serve(t, kind, sc)
		addr := netip.MustParseAddrPort(s.addr)
		l := engine(t, kind).Next()
		onLoop(t, l, func() {
			st, err := l.Dial(addr, time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			c := NewClient(st)
			for _, size := range []int{0, 1, 100, 4096, 4097, 20000, 200000, 1 << 20} {
				for _, length := range []int64{int64(size), message.Unknown} {
					body := strings.Repeat("x", size)
					r := &message.Request{Method: "POST", Target: "/", Host: "a", Length: length}
					got, err := roundTrip(c, r, body)
					if err != nil || got != body || !c.Reusable() {
						t.Errorf("%d bytes, length %d: got %d bytes, %v, reusable %v", size, length, len(got), err, c.Reusable())
						return
					}
					c.Release()
				}
			}
			if !c.Stream().Quiet() {
				t.Error("something stands behind the last answer")
			}
			c.Close()
		})
	})
}

// echo answers with the request's body, framed as the request was.
func echo(r *message.Request, w message.Writer) {
	var b []byte
	if r.Body != nil {
		b, _ = io.ReadAll(r.Body)
	}
	w.WriteHead(&message.Response{Status: 200, Length: r.Length})
	w.Write(b)
	w.Finish(nil)
}

func roundTrip(c *ClientConn, r *message.Request, body string) (string, error) {
	if err := c.WriteHead(r); err != nil {
		return "", err
	}
	if _, err := c.Write([]byte(body)); err != nil {
		return "", err
	}
	if err := c.Finish(nil); err != nil {
		return "", err
	}
	var resp message.Response
	if err := c.ReadHead(&resp, r.Method, 4096); err != nil {
		return "", err
	}
	if resp.Body == nil {
		return "", nil
	}
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// TestEarlyAnswer holds that a head can be read while the request is being written
// and after writing has failed, and that such a connection is not used again.
func TestEarlyAnswer(t *testing.T) {
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		s := serve(t, kind, newScript())
		l := engine(t, kind).Next()
		onLoop(t, l, func() {
			st, err := l.Dial(netip.MustParseAddrPort(s.addr), time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			c := NewClient(st)
			c.WriteHead(&message.Request{Method: "POST", Target: "/unread", Host: "a", Length: 100 << 20})
			l.Go(func(any) {
				piece := make([]byte, 1<<20)
				for range 100 {
					if _, err := c.Write(piece); err != nil {
						break
					}
				}
			}, nil)
			var resp message.Response
			if err := c.ReadHead(&resp, "POST", 4096); err != nil || resp.Status != 200 || c.Reusable() {
				t.Errorf("status %d, %v, reusable %v", resp.Status, err, c.Reusable())
			}
			c.Close()
		})
		l = engine(t, loop.Goroutines).Next()
		onLoop(t, l, func() {
			st := &memStream{l: l, in: pieces("HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n", 0), closedWrite: true}
			c := NewClient(st)
			c.WriteHead(&message.Request{Method: "POST", Target: "/", Host: "a", Length: 5})
			if _, err := c.Write([]byte("hello")); err != loop.ErrClosed {
				t.Errorf("Write: %v", err)
			}
			var resp message.Response
			if err := c.ReadHead(&resp, "POST", 4096); err != nil || resp.Status != 413 || c.Reusable() {
				t.Errorf("status %d, %v, reusable %v", resp.Status, err, c.Reusable())
			}
			c.Close()
		})
	})
}

func TestClientTunnel(t *testing.T) {
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		s := serve(t, kind, newScript())
		l := engine(t, kind).Next()
		onLoop(t, l, func() {
			st, err := l.Dial(netip.MustParseAddrPort(s.addr), time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			c := NewClient(st)
			r := &message.Request{Method: "GET", Target: "/upgrade", Host: "a", Upgrade: "websocket"}
			var resp message.Response
			if err := errors.Join(c.WriteHead(r), c.Finish(nil), c.ReadHead(&resp, "GET", 4096)); err != nil {
				t.Error(err)
			}
			raw, err := c.Tunnel()
			if err != nil || resp.Status != 101 || resp.Upgrade != "websocket" || c.Reusable() {
				t.Errorf("%+v, %v", resp, err)
				return
			}
			io.WriteString(raw, "hello")
			raw.CloseWrite()
			if b, err := io.ReadAll(raw); string(b) != "[hello <nil>]" || err != nil {
				t.Errorf("read %q, %v", b, err)
			}
			raw.Close()
		})
	})
}

// TestClientTimeout holds that ReadTimeout is between two pieces of a response.
func TestClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := loop.New(loop.Goroutines, 1)
		if err != nil {
			t.Fatal(err)
		}
		here, there := net.Pipe()
		over := make(chan error)
		var first error
		e.Next().Adopt(there, func(s *loop.Conn) {
			c := NewClient(s)
			c.ReadTimeout, c.SendTimeout = 3*time.Second, 3*time.Second
			var resp message.Response
			first = errors.Join(c.WriteHead(&message.Request{Method: "GET", Target: "/", Host: "a"}), c.Finish(nil), c.ReadHead(&resp, "GET", 4096))
			_, err := io.ReadAll(resp.Body)
			c.Close()
			over <- err
		})
		b := make([]byte, 1000)
		here.Read(b)
		for _, piece := range []string{"HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n\r\n", "he", "ll"} {
			<-time.After(2 * time.Second)
			io.WriteString(here, piece)
		}
		start := time.Now()
		if err := <-over; first != nil || !errors.Is(err, loop.ErrTimeout) || time.Since(start) != 3*time.Second {
			t.Errorf("head %v, body %v after %v", first, err, time.Since(start))
		}
		here.Close()
		e.Close()
	})
}
