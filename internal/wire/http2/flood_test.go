package http2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	xhttp2 "golang.org/x/net/http2"
)

// waitHandler waits until the request is given up.
func waitHandler(r *message.Request, w message.Writer) {
	s := w.(*stream)
	for s.wait(&s.writeWait, 0) == nil {
	}
}

func post(c *client) { c.headers(1, false, request("POST")...) }

// nth returns the ID of the i-th stream.
func nth(i int) uint32 { return uint32(2*i + 1) }

var floods = []struct {
	name  string
	begin func(c *client)
	send  func(c *client, i int)
}{
	{"CVE-2023-44487 rapid reset", nil, func(c *client, i int) {
		c.get(nth(i))
		c.ok(c.fr.WriteRSTStream(nth(i), xhttp2.ErrCodeCancel))
	}},
	{"CVE-2025-8671 made to reset by windows", nil, func(c *client, i int) {
		c.get(nth(i))
		c.ok(c.fr.WriteRawFrame(xhttp2.FrameWindowUpdate, 0, nth(i), make([]byte, 4)))
	}},
	{"CVE-2025-8671 made to reset by DATA", nil, func(c *client, i int) {
		c.get(nth(i))
		c.data(nth(i), true, "x")
	}},
	{"malformed requests", nil, func(c *client, i int) { c.headers(nth(i), true, request("GET", "connection", "close")...) }},
	{"refused streams", nil, func(c *client, i int) { c.get(nth(i)) }},
	{"CVE-2023-45288 CONTINUATION", func(c *client) {
		c.ok(c.fr.WriteRawFrame(xhttp2.FrameHeaders, 0, 1, c.encode(request("GET")...)))
	}, func(c *client, i int) {
		c.ok(c.fr.WriteContinuation(1, false, c.encode(fmt.Sprint("x-", i), long(500))))
	}},
	{"CVE-2024-27316 empty CONTINUATION", func(c *client) {
		c.ok(c.fr.WriteRawFrame(xhttp2.FrameHeaders, 0, 1, c.encode(request("GET")...)))
	}, func(c *client, i int) { c.ok(c.fr.WriteContinuation(1, false, nil)) }},
	{"CVE-2019-9512 PING", nil, func(c *client, i int) { c.ok(c.fr.WritePing(false, [8]byte{})) }},
	{"CVE-2019-9515 SETTINGS", nil, func(c *client, i int) { c.ok(c.fr.WriteSettings()) }},
	{"SETTINGS with ACK", nil, func(c *client, i int) { c.ok(c.fr.WriteSettingsAck()) }},
	{"CVE-2019-9518 empty DATA", post, func(c *client, i int) { c.data(1, false, "") }},
	{"CVE-2019-9513 PRIORITY", nil, func(c *client, i int) {
		c.ok(c.fr.WritePriority(nth(i), xhttp2.PriorityParam{StreamDep: maxWindow, Weight: uint8(i)}))
	}},
	{"CVE-2019-9511 data dribble", func(c *client) {
		c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: 0}))
		c.headers(1, true, request("GET", "x-large", "yes")...)
	}, func(c *client, i int) { c.ok(c.fr.WriteWindowUpdate(1, 1)) }},
	{"WINDOW_UPDATE", post, func(c *client, i int) { c.ok(c.fr.WriteWindowUpdate(1, 1)) }},
	{"unknown frames", nil, func(c *client, i int) { c.ok(c.fr.WriteRawFrame(0xbe, 0, 0, nil)) }},
	{"RST_STREAM on a closed stream", func(c *client) {
		c.get(1)
		c.ok(c.fr.WriteRSTStream(1, 0))
	}, func(c *client, i int) { c.ok(c.fr.WriteRSTStream(1, 0)) }},
	{"DATA on a closed stream", func(c *client) {
		c.get(1)
		c.ok(c.fr.WriteRSTStream(1, 0))
	}, func(c *client, i int) { c.data(1, false, "x") }},
}

// TestFloods sends what has brought down other servers, and holds that the client is
// sent away long before it has sent what an attack takes.
func TestFloods(t *testing.T) {
	const attack = 20_000
	for _, tt := range floods {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan error, 1)
			c := dialTCP(t, loop.DefaultKind(), &ServerConfig{
				Closed: func(c *ServerConn) { closed <- c.Err() },
				Limits: withLimits(func(l *Limits) { l.Requests = 0 }),
				Handler: handlerFunc(func(r *message.Request, w message.Writer) {
					if r.Header.Get("x-large") != "" {
						answerPattern(1<<20, 1<<20)(r, w)
						return
					}
					waitHandler(r, w)
				}),
			})
			c.loose = true
			if tt.begin != nil {
				tt.begin(c)
			}
			for i := 0; i < attack && !c.sentAway(); i++ {
				tt.send(c, i)
			}
			c.nc.Close()
			select {
			case err := <-closed:
				if e, ok := err.(*ConnError); !ok || e.Code != CodeEnhanceYourCalm {
					t.Errorf("the connection ended with %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("the connection was not closed")
			}
		})
	}
}

// TestHonestTraffic sends, over an hour, much of what counts as a glitch when it
// comes at once.
func TestHonestTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialBubble(t, &ServerConfig{Handler: handlerFunc(waitHandler)})
		c.get(1)
		for range 3600 {
			time.Sleep(time.Second)
			for range 5 {
				c.ok(c.fr.WritePing(false, [8]byte{}))
				c.until(xhttp2.FramePing, 0)
			}
			c.ok(c.fr.WriteWindowUpdate(1, 100))
		}
	})
}

// TestHandlersBounded holds that a client cannot have more Handlers at work by
// resetting their streams (CVE-2023-39325).
func TestHandlersBounded(t *testing.T) {
	stop := make(chan struct{})
	var most atomic.Int64
	now := 0
	c := dialTCP(t, loop.DefaultKind(), &ServerConfig{
		Limits: withLimits(func(l *Limits) { l.MaxStreams = 10 }),
		Handler: handlerFunc(func(r *message.Request, w message.Writer) {
			now++
			most.Store(max(most.Load(), int64(now)))
			w.(*stream).c.l.Await(func() { <-stop })
			now--
		}),
	})
	for i := range uint32(100) {
		c.get(2*i + 1)
		c.ok(c.fr.WriteRSTStream(2*i+1, xhttp2.ErrCodeCancel))
	}
	if e := c.until(xhttp2.FrameRSTStream, 199); ErrCode(e.code) != CodeRefusedStream {
		t.Errorf("got %v", e)
	}
	close(stop)
	if n := most.Load(); n != 20 {
		t.Errorf("%d handlers ran at one time, want 20", n)
	}
}

// TestHeaderAmplification holds that a field of the dynamic table, which costs one
// byte each time, counts in full (CVE-2016-6581), and shares its memory.
func TestHeaderAmplification(t *testing.T) {
	var faults []Fault
	c := dialPipe(t, &ServerConfig{
		Handler: handlerFunc(echo),
		Refuse: func(r *message.Request, w message.Writer, f Fault) {
			faults = append(faults, f)
			w.WriteHead(&message.Response{Status: 400})
			w.Finish(nil)
		},
	})
	fields := request("GET")
	for range 10_000 {
		fields = append(fields, "x-bomb", strings.Repeat("b", 3000))
	}
	c.headers(1, true, fields...)
	if r := c.reply(1); r.head.field(":status") != "400" || len(faults) != 1 || faults[0] != HeadTooLarge {
		t.Errorf("got %+v, faults %v", r, faults)
	}
	c.get(3) // the table is still the same on both sides
	if r := c.reply(3); r.body != "/hello" {
		t.Errorf("the next request got %+v", r)
	}
}

// TestFieldBlockBounded holds that the encoded form of a head is bounded too.
func TestFieldBlockBounded(t *testing.T) {
	c := dialTCP(t, loop.DefaultKind(), &ServerConfig{Handler: handlerFunc(echo)})
	c.loose = true
	c.ok(c.fr.WriteRawFrame(xhttp2.FrameHeaders, 0, 1, c.encode(request("GET")...)))
	for range 100 {
		c.ok(c.fr.WriteContinuation(1, false, bytes.Repeat([]byte{0x82}, maxFrame)))
	}
	if code, said := c.end(); !said || ErrCode(code) != CodeEnhanceYourCalm {
		t.Errorf("GOAWAY said %v (%v)", code, said)
	}
}

// TestManySettings holds that one SETTINGS frame with thousands of values is one that
// costs.
func TestManySettings(t *testing.T) {
	c := dialTCP(t, loop.DefaultKind(), &ServerConfig{Handler: handlerFunc(echo)})
	c.loose = true
	one := binary.BigEndian.AppendUint32([]byte{0, settingInitialWindowSize}, 65535)
	for range 20 {
		c.ok(c.fr.WriteRawFrame(xhttp2.FrameSettings, 0, 0, bytes.Repeat(one, 2700)))
	}
	if code, said := c.end(); !said || ErrCode(code) != CodeEnhanceYourCalm {
		t.Errorf("GOAWAY said %v (%v)", code, said)
	}
}
