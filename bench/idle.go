//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// idleConns is how many connections wait while the memory of a proxy is read.
const idleConns = 10000

// idle returns what one connection costs that has had an answer and waits: the growth of
// resident memory over many, divided by their number.
func (b *bench) idle(t *target, kind string) (float64, error) {
	n := idleConns
	if kind == "h3" {
		n /= 10 // this process holds as much for each as the proxy does
	}
	conns := make([]io.Closer, 0, n)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	open := func(n int) error {
		for range n {
			c, err := openIdle(t, kind)
			if err != nil {
				return err
			}
			conns = append(conns, c)
		}
		return nil
	}
	if err := open(200); err != nil { // what is made once is not the connections'
		return 0, err
	}
	before := t.settled()
	if err := open(n); err != nil {
		return 0, err
	}
	return float64(t.settled()-before) / float64(n), nil
}

// settled returns the resident memory when it has not moved for a second.
func (t *target) settled() int64 {
	last := t.resident()
	for still := 0; still < 4; {
		time.Sleep(250 * time.Millisecond)
		now := t.resident()
		if d := now - last; d < 1<<16 && d > -1<<16 {
			still++
		} else {
			still = 0
		}
		last = now
	}
	return last
}

func openIdle(t *target, kind string) (io.Closer, error) {
	if kind == "h3" {
		return openIdleH3(t.tls)
	}
	if kind == "plain" {
		c, err := net.Dial("tcp", t.plain)
		if err != nil {
			return nil, err
		}
		return c, askOnce(c)
	}
	cfg := &tls.Config{ServerName: hostName, InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}}
	if kind == "h2" {
		cfg.NextProtos = []string{"h2"}
	}
	c, err := tls.Dial("tcp", t.tls, cfg)
	if err != nil {
		return nil, err
	}
	if kind == "h2" {
		return c, askOnceH2(c)
	}
	return c, askOnce(c)
}

func askOnce(c net.Conn) error {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	defer c.SetDeadline(time.Time{})
	if _, err := io.WriteString(c, "GET /b/128 HTTP/1.1\r\nHost: "+hostName+"\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func askOnceH2(c net.Conn) error {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	defer c.SetDeadline(time.Time{})
	var block, out bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", hostName}, {":path", "/b/128"}} {
		enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, c)
	fr.WriteSettings()
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	if _, err := c.Write(out.Bytes()); err != nil {
		return err
	}
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return err
		}
		if s, ok := f.(*http2.SettingsFrame); ok && !s.IsAck() {
			out.Reset()
			fr.WriteSettingsAck()
			if _, err := c.Write(out.Bytes()); err != nil {
				return err
			}
		}
		if f.Header().StreamID == 1 && f.Header().Flags.Has(http2.FlagDataEndStream) {
			return nil
		}
	}
}
