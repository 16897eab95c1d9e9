//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// slowKind is a way to hold a connection.
type slowKind struct {
	name  string
	says  string // at first
	until string // what is read after that; the rest only as takes says
	gives string // sent again and again, each second
	takes int    // bytes read each second
	most  int    // the memory that each may take
}

var slowKinds = []slowKind{
	{"slow head", "GET /b/128 HTTP/1.1\r\nHost: " + hostName + "\r\nX: ", "", "x", 0, 16 << 10},
	{"slow body", "POST /b/128 HTTP/1.1\r\nHost: " + hostName + "\r\nContent-Length: 1000000\r\n\r\n", "", "x", 0, 32 << 10},
	{"slow reader", "GET /b/1048576 HTTP/1.1\r\nHost: " + hostName + "\r\n\r\n", "HTTP/1.1 200 ", "", 128, 64 << 10},
	{"window of zero", windowOfZero("/b/1048576"), "", "", 0, 128 << 10},
}

// windowOfZero is an HTTP/2 request of a client that takes no body.
func windowOfZero(path string) string {
	var b, block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", hostName}, {":path", path}} {
		e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	return b.String()
}

// serveSlow is the process of slow clients of one kind: ADDRESS NUMBER KIND. It says
// "ready" when all hold their connections, and when its input ends how many it lost.
func serveSlow(args []string) error {
	if len(args) != 3 {
		return errors.New("ADDRESS NUMBER KIND are wanted")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 {
		return fmt.Errorf("number %q: must be 1 at least", args[1])
	}
	which, err := strconv.Atoi(args[2])
	if err != nil || which < 0 || which >= len(slowKinds) {
		return fmt.Errorf("kind %q: there are %d", args[2], len(slowKinds))
	}
	kind := &slowKinds[which]
	conns := make([]*net.TCPConn, n)
	for i := range conns {
		if conns[i], err = kind.connect(args[0]); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(io.Discard, os.Stdin)
	}()
	tick := time.NewTicker(time.Second / time.Duration(n)) // one after the other: nothing comes in bursts
	defer tick.Stop()
	for next := 0; ; next = (next + 1) % n {
		select {
		case <-ended:
			fmt.Println("lost", kind.lost(conns))
			return nil
		case <-tick.C:
		}
		kind.goOn(conns[next])
	}
}

func (k *slowKind) connect(addr string) (*net.TCPConn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn)
	tcp.SetReadBuffer(4 << 10)
	tcp.SetDeadline(time.Now().Add(10 * time.Second))
	defer tcp.SetDeadline(time.Time{})
	if _, err := io.WriteString(tcp, k.says); err != nil {
		return nil, err
	}
	got := make([]byte, len(k.until))
	if _, err := io.ReadFull(tcp, got); err != nil || string(got) != k.until {
		return nil, fmt.Errorf("%w after %q", err, got)
	}
	return tcp, nil
}

// goOn does what keeps the connection alive. What fails here is found by lost.
func (k *slowKind) goOn(c *net.TCPConn) {
	if k.gives != "" {
		io.WriteString(c, k.gives)
	}
	if k.takes > 0 {
		c.SetReadDeadline(time.Now().Add(time.Second))
		io.ReadFull(c, make([]byte, k.takes))
	}
}

// lost counts the connections that the server has closed.
func (k *slowKind) lost(conns []*net.TCPConn) int64 {
	var n atomic.Int64
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(func() {
			c.SetReadDeadline(time.Now().Add(time.Second))
			var timeout net.Error
			if _, err := io.CopyN(io.Discard, c, 64<<10); err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
				n.Add(1)
			}
		})
	}
	all.Wait()
	return n.Load()
}
