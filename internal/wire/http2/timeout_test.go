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

// TestSendTimeout holds that a client that opens no window loses the stream, not the
// connection.
func TestSendTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrote := make(chan error, 1)
		c := dialBubble(t, &ServerConfig{
			Limits: withLimits(func(l *Limits) { l.SendTimeout = 10 * time.Second }),
			Handler: handlerFunc(func(r *message.Request, w message.Writer) {
				w.WriteHead(&message.Response{Status: 200, Length: message.Unknown})
				_, err := w.Write(make([]byte, 100_000))
				wrote <- err
			}),
		})
		start := time.Now()
		c.get(1)
		if e := c.until(xhttp2.FrameRSTStream, 1); ErrCode(e.code) != CodeCancel || time.Since(start) != 10*time.Second {
			t.Errorf("reset with %v after %v", e.code, time.Since(start))
		}
		if err := <-wrote; !errors.Is(err, loop.ErrTimeout) {
			t.Errorf("Write answered %v", err)
		}
		c.ok(c.fr.WritePing(false, [8]byte{}))
		c.until(xhttp2.FramePing, 0)
	})
}

// TestBodyTimeout holds that a client that stops in the middle of a body does not
// hold its Handler.
func TestBodyTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialBubble(t, &ServerConfig{
			Limits: withLimits(func(l *Limits) { l.BodyTimeout = 20 * time.Second }),
			Handler: handlerFunc(func(r *message.Request, w message.Writer) {
				_, err := io.ReadAll(r.Body)
				if errors.Is(err, loop.ErrTimeout) {
					w.WriteHead(&message.Response{Status: 408})
					w.Finish(nil)
				}
			}),
		})
		start := time.Now()
		c.headers(1, false, request("POST")...)
		for range 3 {
			time.Sleep(15 * time.Second)
			c.data(1, false, "x")
		}
		r := c.reply(1)
		if r.head.field(":status") != "408" || time.Since(start) != 65*time.Second {
			t.Errorf("got %+v after %v", r, time.Since(start))
		}
	})
}
