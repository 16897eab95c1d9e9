package proxy_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/routing"
)

// TestPlainPathAllocatesNothing counts what keepalive requests allocate in the whole
// process, over real sockets, once everything is warm. The client and the endpoint
// are written so that they allocate nothing themselves.
func TestPlainPathAllocatesNothing(t *testing.T) {
	if loop.DefaultKind() != loop.Loops {
		t.Log("without event loops, goroutines and net.Conn allocate")
		return
	}
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Length: 5\r\n\r\nhello")
	up := rawApp(t, func(c net.Conn, r *bufio.Reader) {
		buf := make([]byte, 4096)
		for n := 0; ; {
			k, err := c.Read(buf[n:])
			if err != nil {
				return
			}
			if n += k; bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
				c.Write(answer)
				n = 0
			}
		}
	})
	s := site(t, loop.Loops, []string{up}, func(r *routing.Route) { r.Chain.Append(response(func(*exchange.Exchange) {})) })
	c := dial(t, s.Addr("http"))
	request := []byte("GET /some/path?with=query HTTP/1.1\r\nHost: h.test\r\nUser-Agent: test\r\nAccept: */*\r\nCookie: a=b\r\n\r\n")
	buf := make([]byte, 4096)
	one := func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(buf[:n], []byte("hello")); {
			k, err := c.Read(buf[n:])
			if err != nil && err != io.EOF {
				t.Fatal(err)
			}
			n += k
		}
	}
	const warm, rounds = 200, 500
	for range warm {
		one()
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range rounds {
		one()
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > rounds*perTen/10 {
		t.Errorf("%d requests made %d allocations", rounds, n)
	}
}
