package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
)

// upgraded is an upstream that switches protocols and then echoes.
func upgraded(c net.Conn, r *bufio.Reader) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	if req.Header.Get("Connection") != "upgrade" || req.Header.Get("Upgrade") != "websocket" {
		fmt.Fprintf(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		return
	}
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nfirst")
	io.Copy(c, r)
	io.WriteString(c, "last")
}

const askUpgrade = "GET /ws HTTP/1.1\r\nHost: h.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"

func TestUpgrade(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{rawApp(t, upgraded)})
		for _, secure := range []bool{false, true} {
			var c *client
			if secure {
				tc, err := tls.Dial("tcp", s.Addr("https"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
				if err != nil {
					t.Fatal(err)
				}
				c = rawClient(t, tc)
			} else {
				c = dial(t, s.Addr("http"))
			}
			c.send(askUpgrade + "early") // sent before the endpoint has agreed
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Sec-WebSocket-Accept") != "x" {
				t.Fatalf("answer is %v, %v", resp, err)
			}
			c.expect("firstearly")
			big := bytes.Repeat([]byte("x"), 1<<20)
			go c.Write(big)
			c.expect(string(big))
			c.Conn.(interface{ CloseWrite() error }).CloseWrite()
			if rest, err := io.ReadAll(c.r); string(rest) != "last" || err != nil {
				t.Errorf("end is %q, %v", rest, err)
			}
			s.Log.Wait(t, ` 101 1048590 `)
		}
	})
}

func (c *client) expect(text string) {
	c.t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(c.r, got); err != nil || string(got) != text {
		c.t.Fatalf("got %.100q, %v, want %.100q", got[:n], err, text)
	}
}

// TestUpgradeRefused holds that nothing is tunnelled before, or without, a 101.
func TestUpgradeRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		requests := make(chan string, 10)
		s := site(t, kind, []string{app(t, func(w http.ResponseWriter, r *http.Request) {
			requests <- r.URL.Path
			io.WriteString(w, "no")
		})})
		c := dial(t, s.Addr("http"))
		c.send(askUpgrade + "GET /second HTTP/1.1\r\nHost: other.test\r\n\r\n")
		c.want("GET", 200, "no")
		c.want("GET", 404, "*") // read as a request of its own
		if p := <-requests; p != "/ws" || len(requests) > 0 {
			t.Errorf("upstream got %q and %d more", p, len(requests))
		}
	})
}

func TestUpgradeIdles(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{rawApp(t, upgraded)}, forward(func(f *exchange.Forward) { f.ReadTimeout = 50 * time.Millisecond }))
		c := dial(t, s.Addr("http"))
		c.send(askUpgrade)
		if _, err := http.ReadResponse(c.r, nil); err != nil {
			t.Fatal(err)
		}
		c.expect("first")
		c.closed()
	})
}
