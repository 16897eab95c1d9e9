package http2

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	xhttp2 "golang.org/x/net/http2"
)

// TestDrain holds the order of a graceful end: a first GOAWAY that refuses nothing,
// the last one when the client has seen that, the answers, the end.
func TestDrain(t *testing.T) {
	conns, finish := make(chan *ServerConn, 1), make(chan struct{})
	c := dialPipe(t, &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		conn := w.(*stream).c
		if r.Target == "/hello" {
			conns <- conn
			conn.l.Await(func() { <-finish })
		}
		echo(r, w)
	})})
	c.get(1)
	conn := <-conns
	conn.l.Post(func() { conn.Drain(); conn.Drain() })
	if e := c.until(xhttp2.FrameGoAway, 0); e.number != maxWindow || e.code != 0 {
		t.Errorf("the first GOAWAY is %v", e)
	}
	other := []string{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/other"}
	c.headers(3, true, other...)
	if r := c.reply(3); r.body != "/other" {
		t.Errorf("a request that crossed the first GOAWAY got %+v", r)
	}
	c.ok(c.fr.WritePing(true, [8]byte([]byte(drainPing))))
	if e := c.until(xhttp2.FrameGoAway, 0); e.number != 3 || e.code != 0 {
		t.Errorf("the last GOAWAY is %v", e)
	}
	c.headers(5, true, other...)
	close(finish)
	if r := c.reply(1); r.body != "/hello" {
		t.Errorf("the request in hand got %+v", r)
	}
	for e := range c.events {
		if e.err == nil && e.StreamID == 5 {
			t.Errorf("a request after the last GOAWAY was not ignored: %v", e)
		}
	}
}

// TestDrainIdle holds that a parked connection is closed within a second, even when
// the client does not answer.
func TestDrainIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := make(chan *ServerConn, 1)
		c := dialBubble(t, &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
			conns <- w.(*stream).c
			echo(r, w)
		})})
		c.get(1)
		c.reply(1)
		conn := <-conns
		time.Sleep(10 * time.Second)
		start := time.Now()
		conn.l.Post(conn.Drain)
		c.until(xhttp2.FrameGoAway, 0)
		if e := c.until(xhttp2.FrameGoAway, 0); e.number != 1 || time.Since(start) != drainWait {
			t.Errorf("got %v after %v", e, time.Since(start))
		}
		c.end()
		if d := time.Since(start); d > drainWait+lingerWait {
			t.Errorf("the connection ended after %v", d)
		}
	})
}

// TestRequestsLimit holds that a connection ends after so many requests, all of
// which are answered.
func TestRequestsLimit(t *testing.T) {
	c := dialPipe(t, &ServerConfig{
		Limits:  withLimits(func(l *Limits) { l.Requests = 3 }),
		Handler: handlerFunc(echo),
	})
	for id := uint32(1); id < 7; id += 2 {
		c.get(id)
		if r := c.reply(id); r.body != "/hello" {
			t.Errorf("stream %d got %+v", id, r)
		}
	}
	c.ok(c.fr.WritePing(true, [8]byte([]byte(drainPing))))
	if code, said := c.end(); !said || code != 0 {
		t.Errorf("GOAWAY said %v (%v)", code, said)
	}
}

// TestTimeouts holds how long a client may take.
func TestTimeouts(t *testing.T) {
	limits := withLimits(func(l *Limits) { l.HeaderTimeout, l.KeepAlive = 10*time.Second, 60*time.Second })
	for _, tt := range []struct {
		name string
		send func(c *client)
		want time.Duration
	}{
		{"no request", func(c *client) {}, 60 * time.Second},
		{"idle", func(c *client) { c.get(1); c.reply(1) }, 60 * time.Second},
		{"idle but for PING", func(c *client) {
			time.Sleep(50 * time.Second)
			c.ok(c.fr.WritePing(false, [8]byte{}))
			c.until(xhttp2.FramePing, 0)
		}, 60 * time.Second},
		{"half a frame header", func(c *client) { c.nc.Write([]byte{0, 0}) }, 10 * time.Second},
		{"half a frame", func(c *client) { c.nc.Write([]byte{0, 0, 9, 1, 5, 0, 0, 0, 1, 0x82}) }, 10 * time.Second},
		{"head without end", func(c *client) {
			c.ok(c.fr.WriteRawFrame(xhttp2.FrameHeaders, 0, 1, c.encode(request("GET")...)))
			for range 9 { // that something comes does not help
				time.Sleep(time.Second)
				c.ok(c.fr.WriteContinuation(1, false, c.encode("x-a", "1")))
			}
		}, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				closed := make(chan error, 1)
				c := dialBubble(t, &ServerConfig{
					Limits: limits, Handler: handlerFunc(echo), Closed: func(c *ServerConn) { closed <- c.Err() },
				})
				start := time.Now()
				c.until(xhttp2.FrameSettings, 0)
				tt.send(c)
				e := c.until(xhttp2.FrameGoAway, 0)
				if d := time.Since(start); d != tt.want || e.code != 0 {
					t.Errorf("got %v after %v, want %v", e, d, tt.want)
				}
				if c.end(); !errors.Is(<-closed, loop.ErrTimeout) {
					t.Error("Err is no timeout")
				}
			})
		})
	}
}

// TestNoGreeting holds that a client that says nothing is not waited for.
func TestNoGreeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		nc := servePipe(t, &ServerConfig{Handler: handlerFunc(echo)})
		defer nc.Close()
		if _, err := nc.Write([]byte(preface)[:20]); err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, nc)
		if d := time.Since(start); d < DefaultLimits.HeaderTimeout || d > DefaultLimits.HeaderTimeout+failWait {
			t.Errorf("the connection ended after %v", d)
		}
	})
}

// TestKeepAliveOff holds that without keep-alive a connection ends with its last
// stream, not before.
func TestKeepAliveOff(t *testing.T) {
	c := dialPipe(t, &ServerConfig{
		Limits: withLimits(func(l *Limits) { l.KeepAlive = 0 }), Handler: handlerFunc(echo),
	})
	c.headers(1, false, request("POST")...)
	c.get(3)
	c.reply(3)
	c.data(1, true, "x")
	if r := c.reply(1); r.body != "x" {
		t.Errorf("got %+v", r)
	}
	if code, said := c.end(); !said || code != 0 {
		t.Errorf("GOAWAY said %v (%v)", code, said)
	}
}

// TestClientLeaves holds that GOAWAY from the client lets its requests end.
func TestClientLeaves(t *testing.T) {
	c := dialPipe(t, &ServerConfig{Handler: handlerFunc(echo)})
	c.headers(1, false, request("POST")...)
	c.ok(c.fr.WriteGoAway(0, xhttp2.ErrCodeNo, nil))
	c.data(1, true, "x")
	if r := c.reply(1); r.body != "x" {
		t.Errorf("got %+v", r)
	}
	c.end()
}

// TestGone holds that a Handler learns that nobody waits for its answer, wherever it
// is, and that Closed is called once.
func TestGone(t *testing.T) {
	for _, tt := range []struct {
		name  string
		leave func(c *client)
		want  error
	}{
		{"reset", func(c *client) { c.ok(c.fr.WriteRSTStream(1, xhttp2.ErrCodeCancel)) }, ErrReset},
		{"close", func(c *client) { c.nc.Close() }, ErrClosed},
		{"error", func(c *client) { c.ok(c.fr.WriteRawFrame(xhttp2.FrameData, 0, 0, nil)) }, ErrClosed},
	} {
		for _, kind := range kinds() {
			t.Run(tt.name+" "+string(kind), func(t *testing.T) {
				ready, seen, closed := make(chan bool, 3), make(chan error, 3), make(chan bool, 2)
				c := dialTCP(t, kind, &ServerConfig{
					Closed: func(*ServerConn) { closed <- true },
					Handler: handlerFunc(func(r *message.Request, w message.Writer) {
						s := w.(*stream)
						w.(Goner).OnGone(func(a any) { a.(*stream).c.l.Go(func(any) { seen <- errors.New("gone") }, nil) }, s)
						if r.Body != nil {
							ready <- true
							_, err := r.Body.Read(make([]byte, 1))
							seen <- err
							return
						}
						w.WriteHead(&message.Response{Status: 200, Length: message.Unknown})
						ready <- true
						_, err := w.Write(make([]byte, 1<<20))
						seen <- err
					}),
				})
				c.loose = true
				c.headers(1, false, request("POST")...)
				<-ready
				tt.leave(c)
				for range 2 {
					if err := <-seen; err.Error() != "gone" && err != tt.want {
						t.Errorf("Read answered %v, want %v", err, tt.want)
					}
				}
				c.nc.Close()
				<-closed
				if len(closed) > 0 {
					t.Error("Closed was called twice")
				}
			})
		}
	}
}

// TestParked holds that a connection without streams holds no buffer and no coroutine.
func TestParked(t *testing.T) {
	for _, kind := range kinds() {
		conns := make(chan *ServerConn, 1)
		c := dialTCP(t, kind, &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
			if r.Body != nil {
				io.Copy(io.Discard, r.Body)
			}
			conns <- w.(*stream).c
			echo(r, w)
		})})
		c.get(1)
		c.reply(1)
		conn := <-conns
		c.ok(c.fr.WritePing(false, [8]byte{}))
		c.until(xhttp2.FramePing, 0)
		state := make(chan string, 1)
		for begin := time.Now(); ; { // the client may know of the answer before the loop does
			conn.l.Post(func() { state <- held(conn) })
			what := <-state
			if what == "" {
				break
			}
			if time.Since(begin) > 5*time.Second {
				t.Fatalf("%v: %s", kind, what)
			}
		}
	}
}

// held says what a connection holds that it should not while it is idle.
func held(c *ServerConn) string {
	switch {
	case !c.parked:
		return "it is not parked"
	case c.out != nil || c.keep != nil || c.block.buf != nil:
		return "buffers are held"
	case c.marked:
		return "a flush is under way"
	case c.l.Engine().Stats().Coroutines > 1: // than this one
		return "coroutines are held"
	}
	return ""
}
