package http2

import (
	"encoding/binary"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pierhead/pierhead/internal/message"
	xhttp2 "golang.org/x/net/http2"
)

func TestParsePriority(t *testing.T) {
	for v, want := range map[string]priority{
		"":                       {3, true},
		"u=0":                    {0, true},
		"u=7, i":                 {7, false},
		"i;a=b,u=1;c":            {1, false},
		"u=5,i=?1":               {5, false},
		"i, i=?0":                {3, true},
		"u=8":                    {3, true},
		"u=-1, x=\"y\", u=2 , z": {2, true},
		"U=1,I":                  {3, true},
		",,,=":                   {3, true},
	} {
		if got := parsePriority(v); got != want {
			t.Errorf("%q is %+v, want %+v", v, got, want)
		}
	}
}

func FuzzPriority(f *testing.F) {
	f.Add("u=1, i")
	f.Add("i=?0;x,u=9")
	f.Fuzz(func(t *testing.T, v string) {
		if p := parsePriority(v); p.urgency > 7 {
			t.Errorf("%q is %+v", v, p)
		}
	})
}

// update sends PRIORITY_UPDATE.
func (c *client) update(id uint32, value string) {
	c.t.Helper()
	c.ok(c.fr.WriteRawFrame(framePriorityUpdate, 0, 0, append(binary.BigEndian.AppendUint32(nil, id), value...)))
}

// waiting connects to a server whose answers have size bytes each, and asks for one that
// takes the whole window of the connection. Those that follow wait for each other.
func waiting(t *testing.T, size int) *client {
	t.Helper()
	c := dialPipe(t, &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		n := size
		if r.Target == "/all" {
			n = 65535
		}
		answerPattern(n, n)(r, w)
	})})
	c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: maxWindow}))
	c.headers(1, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/all")
	for !c.until(xhttp2.FrameData, 1).ends() {
	}
	return c
}

// ask asks with a priority and returns when the answer waits.
func (c *client) ask(id uint32, priority string) {
	c.t.Helper()
	fields := request("GET")
	if priority != "" {
		fields = append(fields, "priority", priority)
	}
	c.headers(id, true, fields...)
	c.until(xhttp2.FrameHeaders, id)
}

// order opens the window of the connection and returns in which order n answers begin
// and end.
func (c *client) order(n int) (begin, end []uint32) {
	c.t.Helper()
	c.ok(c.fr.WriteWindowUpdate(0, 10<<20))
	for len(end) < n {
		e := c.next()
		if e.err != nil {
			c.t.Fatal(e.err)
		}
		if e.Type != xhttp2.FrameData {
			continue
		}
		if !slices.Contains(begin, e.StreamID) {
			begin = append(begin, e.StreamID)
		}
		if e.ends() {
			end = append(end, e.StreamID)
		}
	}
	return begin, end
}

// TestPriorities holds in which order answers that wait are sent.
func TestPriorities(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  func(c *client)
		want []uint32
	}{
		{"no wishes", func(c *client) { c.ask(3, ""); c.ask(5, ""); c.ask(7, "") }, []uint32{3, 5, 7}},
		{"urgency", func(c *client) { c.ask(3, "u=7"); c.ask(5, ""); c.ask(7, "u=0, i"); c.ask(9, "u=2") }, []uint32{7, 9, 5, 3}},
		{"update of a stream", func(c *client) { c.ask(3, "u=1"); c.ask(5, "u=2"); c.update(5, "u=0") }, []uint32{5, 3}},
		{"update before the request", func(c *client) { c.update(5, "u=0"); c.ask(3, "u=1"); c.ask(5, "u=7") }, []uint32{5, 3}},
		{"update to nothing", func(c *client) { c.ask(3, "u=4"); c.ask(5, "u=5"); c.update(5, "") }, []uint32{5, 3}},
		{"update of a stream that has ended", func(c *client) { c.update(1, "u=0"); c.ask(3, "u=1"); c.ask(5, "u=0") }, []uint32{5, 3}},
		{"too many updates ahead", func(c *client) {
			for id := uint32(3); id <= 5+2*maxWishes; id += 2 {
				c.update(id, "u=0")
			}
			c.ask(3, "u=7")
			c.ask(5, "u=6")
			c.ask(7, "u=5") // the first whose wish is kept
		}, []uint32{7, 5, 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := waiting(t, 9000)
			tt.ask(c)
			if _, got := c.order(len(tt.want)); !slices.Equal(got, tt.want) {
				t.Errorf("the answers end in the order %v, want %v", got, tt.want)
			}
		})
	}
}

// TestIncremental holds that answers of one urgency follow each other when their client
// needs them whole, and advance together when it does not say so.
func TestIncremental(t *testing.T) {
	for _, tt := range []struct {
		priority string
		together bool
	}{{"", true}, {"i", true}, {"u=3", false}} {
		c := waiting(t, 3*share)
		c.ask(3, tt.priority)
		c.ask(5, tt.priority)
		c.ok(c.fr.WriteWindowUpdate(0, 10<<20))
		got := map[uint32]int{}
		for e := c.next(); !(e.StreamID == 3 && e.ends()); e = c.next() {
			if e.err != nil {
				t.Fatal(e.err)
			}
			got[e.StreamID] += len(e.data)
		}
		if together := got[5] >= share; together != tt.together || !together && got[5] > 0 {
			t.Errorf("%q: when the first answer ended, the second had %d bytes", tt.priority, got[5])
		}
	}
}

// TestNothingStarves holds that an answer that is not urgent ends beside one that is and
// never ends.
func TestNothingStarves(t *testing.T) {
	c := dialPipe(t, &ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		if r.Target != "/endless" {
			answerPattern(9000, 9000)(r, w)
			return
		}
		w.WriteHead(&message.Response{Status: 200, Length: message.Unknown})
		for p := make([]byte, 64<<10); ; {
			if _, err := w.Write(p); err != nil {
				return
			}
		}
	})})
	c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: maxWindow}))
	c.ok(c.fr.WriteWindowUpdate(0, maxWindow-65535))
	c.headers(1, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/endless", "priority", "u=0")
	c.until(xhttp2.FrameData, 1)
	c.headers(3, true, request("GET", "priority", "u=7")...)
	for seen := 0; ; seen++ {
		e := c.next()
		if e.err != nil || seen > 20_000 {
			t.Fatalf("after %d frames the answer has not come: %v", seen, e)
		}
		if e.StreamID == 3 && e.ends() {
			return
		}
	}
}

// TestWaitingInLine holds that an answer that waits while others of its connection advance
// is not reset for that.
func TestWaitingInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialBubble(t, &ServerConfig{
			Limits:  withLimits(func(lim *Limits) { lim.SendTimeout = 3 * time.Second }),
			Handler: answerPattern(100<<10, 100<<10),
		})
		c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: settingInitialWindowSize, Val: maxWindow}))
		c.headers(1, true, request("GET", "priority", "u=0")...)
		c.until(xhttp2.FrameData, 1)
		c.headers(3, true, request("GET", "priority", "u=7")...)
		synctest.Wait()
		got := map[uint32]int{}
		for range 12 {
			time.Sleep(time.Second)
			c.ok(c.fr.WriteWindowUpdate(0, 1000))
			synctest.Wait()
			for len(c.events) > 0 {
				e := c.next()
				if e.err != nil || e.Type == xhttp2.FrameRSTStream {
					t.Fatalf("%v after %v", e, got)
				}
				got[e.StreamID] += len(e.data)
			}
		}
		if got[3] == 0 || got[3] >= got[1] {
			t.Errorf("the urgent answer had %d bytes, the other %d", got[1], got[3])
		}
	})
}

// TestPriorityErrors holds which PRIORITY_UPDATEs end the connection.
func TestPriorityErrors(t *testing.T) {
	raw := func(id uint32, p ...byte) func(c *client) {
		return func(c *client) { c.ok(c.fr.WriteRawFrame(framePriorityUpdate, 0, id, p)) }
	}
	for _, tt := range []struct {
		name string
		send func(c *client)
		code ErrCode
	}{
		{"on a stream", raw(1, 0, 0, 0, 1), CodeProtocol},
		{"too short", raw(0, 0, 0, 1), CodeFrameSize},
		{"for stream 0", raw(0, 0, 0, 0, 0), CodeProtocol},
		{"for stream 2", raw(0, 0, 0, 0, 2), CodeProtocol},
		{"SETTINGS_NO_RFC7540_PRIORITIES 2", func(c *client) { c.ok(c.fr.WriteSettings(xhttp2.Setting{ID: 9, Val: 2})) }, CodeProtocol},
		{"a flood", func(c *client) {
			c.loose = true
			for id := range uint32(2 * DefaultLimits.Glitches) {
				c.update(2*id+1, "u=1")
			}
		}, CodeEnhanceYourCalm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dialPipe(t, &ServerConfig{Handler: handlerFunc(echo)})
			tt.send(c)
			if code, said := c.end(); !said || ErrCode(code) != tt.code {
				t.Errorf("ended with %v, %v", code, said)
			}
		})
	}
}
