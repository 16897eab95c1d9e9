package control

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/loop"
)

// echoSocket is an upstream that sends WebSocket messages back. The request of a
// message "end" closes the connection from its side.
type echoSocket struct {
	addr  string
	ended chan error // why each connection ended
}

func newEchoSocket(t testing.TB) *echoSocket {
	e := &echoSocket{ended: make(chan error, 8)}
	srv := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) {
		websocket.Message.Send(ws, "hello "+ws.Request().Header.Get("X-Forwarded-Host"))
		for {
			var text string
			if err := websocket.Message.Receive(ws, &text); err != nil {
				e.ended <- err
				return
			}
			if text == "end" {
				e.ended <- nil
				return
			}
			if err := websocket.Message.Send(ws, "echo "+text); err != nil {
				e.ended <- err
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	e.addr = srv.Listener.Addr().String()
	return e
}

// TestPeerWebSocket talks over WebSocket connections, which stay while everything
// about them changes.
func TestPeerWebSocket(t *testing.T) {
	onEngines(t, func(t *testing.T, kind loop.Kind) {
		for _, scheme := range []string{"ws", "wss"} {
			t.Run(scheme, func(t *testing.T) {
				e := newEchoSocket(t)
				s := serve(t, kind, socketManifests(e.addr, 0))
				s.noErrors()
				t.Run("frames", func(t *testing.T) { e.frames(t, s, scheme) })
				t.Run("changes", func(t *testing.T) { e.changes(t, s, scheme) })
			})
		}
	})
}

// socketManifests serve the upstream at ws.example.com. Each version differs in every
// file.
func socketManifests(addr string, version int) map[string]string {
	return map[string]string{
		"ws.yaml": serviceAt("app", addr),
		"ingress.yaml": ingressFor("ws", "ws.example.com", "/", "app", fmt.Sprintf(`proxy-body-size: "%dm"`, 1+version)) +
			ingressFor("other", fmt.Sprintf("version-%d.example.com", version), "/", "app"),
		"config.yaml": controllerConfig(fmt.Sprintf(`hsts-max-age: "%d"`, 1000+version), fmt.Sprintf(`keep-alive: "%d"`, 60+version)),
	}
}

// socket is the client's end of a WebSocket connection.
type socket struct {
	*websocket.Conn
	t *testing.T
}

func (e *echoSocket) dial(t *testing.T, s *served, scheme string) *socket {
	t.Helper()
	c := s.State().Controllers[0]
	cfg, err := websocket.NewConfig(scheme+"://ws.example.com/socket", "https://ws.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	var conn net.Conn
	if scheme == "wss" {
		conn, err = tls.Dial("tcp", c.HTTPS, &tls.Config{ServerName: "ws.example.com", InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	} else {
		conn, err = net.Dial("tcp", c.HTTP)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	ws, err := websocket.NewClient(cfg, conn)
	if err != nil {
		t.Fatal(err)
	}
	return &socket{ws, t}
}

// expect receives one message.
func (c *socket) expect(want string) {
	c.t.Helper()
	var got string
	if err := websocket.Message.Receive(c.Conn, &got); err != nil || got != want {
		c.t.Fatalf("received %d bytes %q, %v, want %d bytes %q", len(got), clip(got), err, len(want), clip(want))
	}
}

func (c *socket) send(text string) {
	c.t.Helper()
	if err := websocket.Message.Send(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

func (e *echoSocket) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-e.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the upstream's connection does not end")
		return nil
	}
}

// frames sends messages of several sizes both ways and closes from either side.
func (e *echoSocket) frames(t *testing.T, s *served, scheme string) {
	c := e.dial(t, s, scheme)
	c.expect("hello ws.example.com")
	for _, n := range []int{1, 125, 126, 70_000, 3 << 20} {
		text := strings.Repeat("x", n)
		c.send(text)
		c.expect("echo " + text)
	}
	c.Close()
	if err := e.end(t); !errors.Is(err, io.EOF) {
		t.Errorf("the upstream's connection ended with %v, want the client's close", err)
	}
	c = e.dial(t, s, scheme)
	c.expect("hello ws.example.com")
	c.send("end")
	e.end(t)
	var text string
	if err := websocket.Message.Receive(c.Conn, &text); !errors.Is(err, io.EOF) {
		t.Errorf("received %q, %v, want the upstream's close", text, err)
	}
}

// changes keeps one connection while all manifests change ten times, the last time
// so that nothing leads to the upstream any more.
func (e *echoSocket) changes(t *testing.T, s *served, scheme string) {
	c := e.dial(t, s, scheme)
	c.expect("hello ws.example.com")
	for version := 1; version <= 10; version++ {
		if version < 10 {
			for name, text := range socketManifests(e.addr, version) {
				s.change(name, text)
			}
			host := fmt.Sprintf("version-%d.example.com", version)
			s.until(host, func(*admin.State) bool { return hasHost(s.Control, host) })
		} else {
			s.change("ingress.yaml", "")
			s.change("ws.yaml", "")
			s.until("nothing is served", func(st *admin.State) bool { return !hasHost(s.Control, "ws.example.com") && len(st.Upstreams) == 0 })
		}
		text := fmt.Sprintf("after version %d", version)
		c.send(text)
		c.expect("echo " + text)
	}
	c.Close()
	e.end(t)
}
