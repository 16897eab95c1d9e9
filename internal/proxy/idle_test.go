package proxy_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"testing"

	"golang.org/x/net/http2"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
)

// TestIdleMakesRoom: at the limit of connections those that wait for a request go, the
// longest idle first, whatever they speak and whichever loop they are on; those with a
// request in them stay, and where only such are left the new one is refused.
func TestIdleMakesRoom(t *testing.T) {
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	set := &cfg.Controllers[0].Settings
	set.WorkerConnections, set.Workers = 6, 1
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		app, asked, goOn := slowApp(t)
		defer close(goOn)
		s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", app)}, kind)
		const get = "GET %s HTTP/1.1\r\nHost: h.test\r\n\r\n"
		served := func(c *client, idle int64) *client {
			c.send(get, "/")
			c.want("GET", 200, "*")
			rests(t, s, idle)
			return c
		}
		busy := dial(t, s.Addr("http"))
		busy.send(get, "/slow")
		<-asked
		head := dial(t, s.Addr("http"))
		head.send("GET / HTTP/1.1\r\n")
		await(t, func() bool { return s.Listeners.Counts().Reading == 1 })
		first := served(dial(t, s.Addr("http")), 1)
		second := served(overTLS(t, s.Addr("https")), 2)
		third := overHTTP2(t, s, "/")
		rests(t, s, 3)
		fourth := served(dial(t, s.Addr("http")), 4)
		served(first, 4) // is idle for the shortest time now

		var late []*client
		for i, gone := range []func(){second.closed, third.goneAway, fourth.closed, first.closed} {
			c := dial(t, s.Addr("http"))
			c.send(get, "/slow")
			<-asked // it is served
			late = append(late, c)
			gone()
			if n := s.Listeners.Counts(); n.MadeRoom != uint64(i+1) || n.Refused["limit"] != 0 || n.Active != 6 {
				t.Fatalf("after %d more: %+v", i+1, n)
			}
		}
		dial(t, s.Addr("http")).closed()
		if n := s.Listeners.Counts(); n.MadeRoom != 4 || n.Refused["limit"] != 1 || n.Active != 6 {
			t.Errorf("with all at work: %+v", n)
		}
		for range 1 + len(late) {
			goOn <- struct{}{}
		}
		for _, c := range append(late, busy) {
			c.want("GET", 200, "*")
		}
		head.send("Host: h.test\r\n\r\n")
		head.want("GET", 200, "*")
	})
}

// A connection that has sent nothing yet is idle too, and one whose client has left
// meanwhile makes room once.
func TestSilentMakesRoom(t *testing.T) {
	cfg := proxytest.Config(proxytest.Host("h.test", "app"))
	set := &cfg.Controllers[0].Settings
	set.WorkerConnections, set.Workers = 3, 1
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := proxytest.Start(t, cfg, []model.EndpointSet{proxytest.Endpoints("app", app(t, echo))}, kind)
		var all []*client
		for i := range 3 {
			all = append(all, dial(t, s.Addr("http")))
			rests(t, s, int64(i+1))
		}
		all[1].Close()
		awaitActive(t, s, 2)
		for range 3 {
			c := dial(t, s.Addr("http"))
			c.send("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n")
			c.want("GET", 200, "*")
			rests(t, s, 3)
		}
		all[0].closed()
		all[2].closed()
		if n := s.Listeners.Counts(); n.MadeRoom != 2 || n.Active != 3 || n.Idle != 3 {
			t.Errorf("%+v", n)
		}
	})
}

// rests waits until so many connections wait for a request. Whatever waits from then on
// does so for a shorter time than they.
func rests(t *testing.T, s *proxytest.Server, idle int64) {
	t.Helper()
	await(t, func() bool { return s.Listeners.Counts().Idle == idle })
	s.Engine.Round()
}

// overTLS connects, to speak HTTP/1.1.
func overTLS(t *testing.T, addr string) *client {
	t.Helper()
	c := tls.Client(dial(t, addr).Conn, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return rawClient(t, c)
}

// framer is a client that speaks HTTP/2 frame by frame.
type framer struct {
	*http2.Framer
	t *testing.T
}

// overHTTP2 connects and has one request answered.
func overHTTP2(t *testing.T, s *proxytest.Server, path string) *framer {
	t.Helper()
	c := dial(t, s.Addr("http"))
	c.send("%s", oneGet(path))
	f := &framer{http2.NewFramer(c.Conn, c.r), t}
	for ended := false; !ended; {
		fr, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch fr := fr.(type) {
		case *http2.HeadersFrame:
			ended = fr.StreamEnded()
		case *http2.DataFrame:
			ended = fr.StreamEnded()
		}
	}
	return f
}

// goneAway reads that the connection ends as it should.
func (f *framer) goneAway() {
	f.t.Helper()
	told := false
	for {
		fr, err := f.ReadFrame()
		if err == io.EOF && told {
			return
		}
		if err != nil {
			f.t.Fatal(fmt.Errorf("told to go: %v: %w", told, err))
		}
		if g, ok := fr.(*http2.GoAwayFrame); ok {
			told = g.ErrCode == http2.ErrCodeNo && g.LastStreamID == 1
		}
	}
}
