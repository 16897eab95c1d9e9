package tlsconn

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
)

// Bodies of megabytes both ways at once, in pieces of every size.
func TestBulk(t *testing.T) {
	data := make([]byte, 6<<20)
	rand.Read(data)
	sizes := []int{1, 100, 5000, 16 << 10, 17 << 10, 128 << 10, 300 << 10, 2 << 20}
	each(t, func(t *testing.T, e *loop.Engine, version uint16) {
		c, wait := serve(t, e, version, func(c *Conn) {
			l, me := c.Loop(), c.Loop().Task()
			if err := c.Handshake(); err != nil {
				t.Error(err)
				return
			}
			done := false
			l.Go(func(any) {
				rest := data
				for i := 0; len(rest) > 0; i++ {
					n := min(len(rest), sizes[i%len(sizes)])
					var err error
					if i%2 == 0 {
						err = c.WriteTwo(rest[:n/3], rest[n/3:n])
					} else {
						_, err = c.Write(rest[:n])
					}
					if err != nil {
						t.Error(err)
						break
					}
					rest = rest[n:]
				}
				c.CloseWrite()
				done = true
				me.Wake()
			}, nil)
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, data) {
				t.Error("received", len(got), err)
			}
			for !done {
				l.Park()
			}
		})
		go func() {
			c.Write(data)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, data) {
			t.Error("sent", len(got), err)
		}
		wait()
	})
}

// Records that arrive together are not forgotten inside: Ready and OnReadable know.
func TestPipelinedRecords(t *testing.T) {
	each(t, func(t *testing.T, e *loop.Engine, version uint16) {
		const total = 2000
		got := make(chan string, total)
		ln, err := e.Listen(local, func(s *loop.Conn) {
			c := Server(s, serverConfig(version))
			var step func(any)
			step = func(any) {
				deadlines(c)
				b := make([]byte, 4)
				for {
					if _, err := io.ReadFull(c, b); err != nil {
						got <- err.Error()
						c.Close()
						return
					}
					got <- string(b)
					if !c.Ready() || b[3] == '7' { // 7: idle though more may be inside
						c.OnReadable(step, nil)
						return
					}
				}
			}
			c.OnReadable(step, nil)
		})
		if err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		hold := &bundle{Conn: nc}
		c := tls.Client(hold, clientConfig(version))
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		for i := range total {
			hold.hold = i%100 != 99
			fmt.Fprintf(c, "%04d", i)
		}
		c.Close()
		for i := range total {
			if s := <-got; s != fmt.Sprintf("%04d", i) {
				t.Fatalf("%q, want %d", s, i)
			}
		}
		if s := <-got; s != "EOF" {
			t.Error(s)
		}
	})
}

// bundle collects writes and sends them in one.
type bundle struct {
	net.Conn
	hold bool
	buf  []byte
}

func (b *bundle) Write(p []byte) (int, error) {
	b.buf = append(b.buf, p...)
	if b.hold {
		return len(p), nil
	}
	_, err := b.Conn.Write(b.buf)
	b.buf = b.buf[:0]
	return len(p), err
}

// A record that comes in pieces with pauses.
func TestTornRecord(t *testing.T) {
	each(t, func(t *testing.T, e *loop.Engine, version uint16) {
		seen := make(chan struct{})
		ln, err := e.Listen(local, func(s *loop.Conn) {
			c := Server(s, serverConfig(version))
			defer c.Close()
			deadlines(c)
			if err := c.Handshake(); err != nil {
				t.Error(err)
			}
			c.Loop().Await(func() { seen <- struct{}{} })
			for i := range 3 {
				c.WaitRead()
				if n, err := c.TryRead(make([]byte, 9)); n != 0 || err != nil {
					t.Error("part", i, n, err)
				}
				if c.Ready() || c.Quiet() {
					t.Error("in the middle of a record: ready", c.Ready(), "quiet", c.Quiet())
				}
				c.Loop().Await(func() { seen <- struct{}{} })
			}
			expect(t, c, "complete")
			if !c.Quiet() {
				t.Error("not quiet")
			}
			c.Write([]byte("ok"))
		})
		if err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		hold := &bundle{Conn: nc}
		c := tls.Client(hold, clientConfig(version))
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		hold.hold = true
		c.Write([]byte("complete"))
		<-seen
		for _, n := range []int{2, 1, 10} {
			nc.Write(hold.buf[:n])
			hold.buf = hold.buf[n:]
			<-seen
		}
		nc.Write(hold.buf)
		expect(t, c, "ok")
	})
}

// Two connections on one loop do not write into each other's records, although one
// stands still in the middle of a write.
func TestScratchIsNotShared(t *testing.T) {
	each(t, func(t *testing.T, e *loop.Engine, version uint16) {
		body := make([]byte, 8<<20)
		rand.Read(body)
		slow, slowDone := serve(t, e, version, func(c *Conn) { c.Write(body) })
		if err := slow.Handshake(); err != nil {
			t.Fatal(err)
		}
		quick, quickDone := serve(t, e, version, func(c *Conn) { c.Write(body) })
		got, err := io.ReadAll(quick)
		if err != nil || !bytes.Equal(got, body) {
			t.Error("quick:", len(got), err)
		}
		quickDone()
		got, err = io.ReadAll(slow)
		if err != nil || !bytes.Equal(got, body) {
			t.Error("slow:", len(got), err)
		}
		slowDone()
	})
}

// TLS inside TLS.
func TestNested(t *testing.T) {
	each(t, func(t *testing.T, e *loop.Engine, version uint16) {
		body := make([]byte, 1<<20)
		rand.Read(body)
		c, wait := serve(t, e, version, func(c *Conn) {
			in := Server(c, serverConfig(version))
			expect(t, in, "hi")
			if in.Ready() || !in.Quiet() {
				t.Error("ready", in.Ready(), "quiet", in.Quiet())
			}
			in.Write(body)
			in.Close()
		})
		in := tls.Client(c, clientConfig(version))
		in.Write([]byte("hi"))
		got, err := io.ReadAll(in)
		if err != nil || !bytes.Equal(got, body) {
			t.Error(len(got), err)
		}
		wait()
	})
}
