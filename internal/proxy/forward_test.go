package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
)

func streamed(f *exchange.Forward)  { f.BufferRequest, f.BodyLimit = false, 0 }
func unlimited(f *exchange.Forward) { f.BodyLimit = 0 }

// digest answers with the length and the digest of what it got.
func digest(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	fmt.Fprintf(w, "%d %d %x %v", r.ContentLength, n, h.Sum(nil), err)
}

func TestUpload(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		up := app(t, digest)
		for _, mode := range []struct {
			name    string
			forward func(*exchange.Forward)
			length  bool // is told to the upstream although the client sends chunks
		}{{"buffered", unlimited, true}, {"streamed", streamed, false}} {
			s := site(t, kind, []string{up}, forward(mode.forward))
			c := dial(t, s.Addr("http"))
			for _, size := range []int{0, 1, 16 << 10, 16<<10 + 1, 64 << 10, 64<<10 + 1, 128 << 10, 3<<20 + 7} {
				body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				sum := sha256.Sum256(body)
				c.send("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: %d\r\n\r\n%s", size, body)
				c.want("POST", 200, fmt.Sprintf("%d %d %x <nil>", size, size, sum))

				var chunks bytes.Buffer
				for p := body; len(p) > 0; {
					n := min(len(p), 10000)
					fmt.Fprintf(&chunks, "%x\r\n%s\r\n", n, p[:n])
					p = p[n:]
				}
				told := -1
				if mode.length {
					told = size
				}
				c.send("POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n", chunks.Bytes())
				c.want("POST", 200, fmt.Sprintf("%d %d %x <nil>", told, size, sum))
			}
		}
	})
}

func TestBodyLimit(t *testing.T) {
	up := app(t, digest)
	for _, mode := range []func(*exchange.Forward){
		func(f *exchange.Forward) { f.BodyLimit = 100000 },
		func(f *exchange.Forward) { f.BodyLimit, f.BufferRequest = 100000, false },
	} {
		s := site(t, loop.DefaultKind(), []string{up}, forward(mode), with(request(func(x *exchange.Exchange) *exchange.Reply {
			if x.Path == "/redirect" {
				return &exchange.Reply{Status: 308}
			}
			return nil
		})))
		c := dial(t, s.Addr("http"))
		c.send("POST /redirect HTTP/1.1\r\nHost: h.test\r\nContent-Length: 100001\r\n\r\n")
		c.want("POST", 413, "*")
		c = dial(t, s.Addr("http"))
		c.send("POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n")
		go func() {
			for range 101 {
				if _, err := fmt.Fprintf(c.Conn, "3e8\r\n%s\r\n", strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		}()
		c.want("POST", 413, "*")
	}
}

// TestTemporaryFile holds that nothing of a body is left on the disk, not even
// while it is there.
func TestTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := site(t, loop.DefaultKind(), []string{app(t, digest)}, forward(unlimited))
	c := dial(t, s.Addr("http"))
	c.send("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 300000\r\n\r\n%s", strings.Repeat("x", 300000))
	c.want("POST", 200, "*")
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if strings.Contains(path, "pierhead-body") {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestBufferedUploadWaits holds that a slow client does not occupy an endpoint.
func TestBufferedUploadWaits(t *testing.T) {
	reached := make(chan bool, 10)
	s := site(t, loop.DefaultKind(), []string{app(t, func(w http.ResponseWriter, r *http.Request) {
		reached <- true
		echo(w, r)
	})})
	c := dial(t, s.Addr("http"))
	c.send("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 2\r\n\r\n1")
	other := dial(t, s.Addr("http"))
	other.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
	other.want("GET", 200, "*")
	<-reached
	select {
	case <-reached:
		t.Error("the endpoint was asked before the body was whole")
	default:
	}
	c.send("2")
	c.want("POST", 200, "POST h.test / 12")
}

func TestEarlyResponse(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		up := rawApp(t, func(c net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		})
		s := site(t, kind, []string{up}, forward(streamed))
		c := dial(t, s.Addr("http"))
		c.send("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 100000000\r\n\r\nbegin")
		c.want("POST", 403, "no") // while the body is still to come
	})
}

// TestFailureWhileUploading holds that the client is told of a dead endpoint while
// its body is still to come.
func TestFailureWhileUploading(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{rawApp(t, func(c net.Conn, r *bufio.Reader) { http.ReadRequest(r) })}, forward(streamed))
		c := dial(t, s.Addr("http"))
		c.send("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 100000000\r\n\r\nbegin")
		c.want("POST", 502, "*")
		c.Close()
		s.Log.Wait(t, " 502 ")
	})
}

// TestPieces holds that an answer is passed on as it comes.
func TestPieces(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		next := make(chan string)
		s := site(t, kind, []string{app(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			for p := range next {
				io.WriteString(w, p)
				w.(http.Flusher).Flush()
			}
		})})
		c := dial(t, s.Addr("http"))
		c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			want := fmt.Sprintf("data: %d\n\n", i)
			next <- want
			got := make([]byte, len(want))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
				t.Fatalf("piece is %q, %v", got, err)
			}
		}
		close(next)
		if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
			t.Errorf("end is %q, %v", rest, err)
		}
	})
}

func TestDownload(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		body := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		s := site(t, kind, []string{app(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/length" {
				w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			}
			w.Write(body)
		})})
		c := dial(t, s.Addr("http"))
		for _, path := range []string{"/length", "/chunked"} {
			c.send("GET %s HTTP/1.1\r\nHost: h.test\r\n\r\n", path)
			if _, got := c.answer("GET"); got != string(body) {
				t.Errorf("%s: body of %d bytes is not what was sent", path, len(got))
			}
		}
		c = dial(t, s.Addr("http"))
		c.send("GET /chunked HTTP/1.0\r\nHost: h.test\r\n\r\n")
		if _, got := c.answer("GET"); got != string(body) {
			t.Errorf("HTTP/1.0: body of %d bytes is not what was sent", len(got))
		}
	})
}

// refusing returns an address where nobody listens.
func refusing(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestUpstreamFailures(t *testing.T) {
	quick := forward(func(f *exchange.Forward) { f.ReadTimeout = 50 * time.Millisecond })
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		for _, tt := range []struct {
			name   string
			serve  func(net.Conn, *bufio.Reader)
			status int
			report exchange.Kind
		}{
			{"refuses", nil, 502, exchange.ConnectFailed},
			{"closes", func(c net.Conn, r *bufio.Reader) { http.ReadRequest(r) }, 502, exchange.UpstreamClosed},
			{"hangs", func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }, 504, exchange.UpstreamTimeout},
			{"garbage", func(c net.Conn, r *bufio.Reader) {
				http.ReadRequest(r)
				io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n")
			}, 502, exchange.UpstreamInvalid},
			{"half a head", func(c net.Conn, r *bufio.Reader) {
				http.ReadRequest(r)
				io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
			}, 502, exchange.UpstreamClosed},
			{"head too large", func(c net.Conn, r *bufio.Reader) {
				http.ReadRequest(r)
				io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 5000)+"\r\n\r\n")
			}, 502, exchange.UpstreamHeadTooLarge},
			{"unasked 101", func(c net.Conn, r *bufio.Reader) {
				http.ReadRequest(r)
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			}, 502, exchange.UpstreamInvalid},
		} {
			t.Run(tt.name, func(t *testing.T) {
				at := refusing(t)
				if tt.serve != nil {
					at = rawApp(t, tt.serve)
				}
				s := site(t, kind, []string{at}, quick)
				c := dial(t, s.Addr("http"))
				c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
				c.want("GET", tt.status, "*")
				if rs := s.Reports(); len(rs) != 1 || rs[0].Kind != tt.report {
					t.Errorf("reports are %v, want %v", rs, tt.report)
				}
				c.send("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
				c.want("GET", 404, "*") // the client's connection goes on
			})
		}
	})
}

// TestBrokenBody holds that an answer that is not whole does not look whole.
func TestBrokenBody(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		for _, head := range []string{"Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"} {
			s := site(t, kind, []string{rawApp(t, func(c net.Conn, r *bufio.Reader) {
				http.ReadRequest(r)
				io.WriteString(c, "HTTP/1.1 200 OK\r\n"+head)
			})})
			c := dial(t, s.Addr("http"))
			c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(resp.Body); err == nil || string(got) != "hello" {
				t.Errorf("body is %q, %v: want an error", got, err)
			}
			s.Log.Wait(t, " 200 ")
			if rs := s.Reports(); len(rs) != 1 || rs[0].Kind != exchange.UpstreamReset {
				t.Errorf("reports are %v", rs)
			}
		}
	})
}

func TestClientAborts(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		asked, ended := make(chan bool, 1), make(chan bool, 1)
		s := site(t, kind, []string{rawApp(t, func(c net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			asked <- true
			r.ReadByte() // until the connection ends
			ended <- true
		})})
		for _, listener := range []string{"http", "https"} {
			c := dial(t, s.Addr(listener))
			if listener == "https" {
				c = rawClient(t, tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}))
			}
			c.send("GET /%s HTTP/1.1\r\nHost: h.test\r\n\r\n", listener)
			<-asked
			c.Close()
			<-ended
			s.Log.Wait(t, fmt.Sprintf(`"GET /%s HTTP/1.1" 499 0 `, listener))
		}
	})
}

func TestClientAbortsDownload(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		ended := make(chan error, 1)
		s := site(t, kind, []string{rawApp(t, func(c net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
			piece := make([]byte, 1<<16)
			for {
				if _, err := c.Write(piece); err != nil {
					ended <- err
					return
				}
			}
		})})
		c := dial(t, s.Addr("http"))
		c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
		if _, err := io.CopyN(io.Discard, c.r, 1<<20); err != nil {
			t.Fatal(err)
		}
		c.Close()
		<-ended
		s.Log.Wait(t, " 200 ")
	})
}
