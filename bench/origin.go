//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strconv"

	"github.com/pierhead/pierhead/internal/loop"
	"golang.org/x/sys/unix"
)

// The origin answers what all proxies ask, in a process of its own beside the load:
// "/b/N" with N bytes, an upgrade with whatever it is sent, and on a second port gRPC.
// It costs as little as two system calls can, so that the proxies are what is measured.
type origin struct {
	answers map[string][]byte
}

// origins are where it listens.
type origins struct{ plain, grpc string }

func serveOrigin(args []string) error {
	plain, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	e, err := loop.New(loop.Loops, 1)
	if err != nil {
		return err
	}
	o := &origin{answers: map[string][]byte{}}
	for _, n := range []int{128, 1 << 10, 100 << 10, 1 << 20} {
		o.answers["/b/"+strconv.Itoa(n)] = append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", n), bytes.Repeat([]byte("x"), n)...)
	}
	if _, err := e.Listen(plain, o.serve); err != nil {
		return err
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{Addr: args[1], Handler: http.HandlerFunc(serveGRPC), Protocols: protocols,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000}}
	return srv.ListenAndServe()
}

// serve answers one connection. Requests are not pipelined by any proxy.
func (o *origin) serve(c *loop.Conn) {
	defer c.Close()
	buf := make([]byte, 16<<10)
	for n := 0; ; {
		k, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		n += k
		end := bytes.Index(buf[:n], []byte("\r\n\r\n"))
		if end < 0 {
			continue
		}
		head := buf[:end+4]
		if bytes.Contains(head, []byte("\r\nUpgrade:")) || bytes.Contains(head, []byte("\r\nupgrade:")) {
			echo(c, buf)
			return
		}
		answer := o.answers[path(head)]
		if answer == nil {
			answer = o.answers["/b/128"]
		}
		if !drop(c, buf, contentLength(head)-(n-len(head))) {
			return
		}
		n = 0
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// path returns the target of a request, without its query.
func path(head []byte) string {
	_, rest, _ := bytes.Cut(head, []byte(" "))
	target, _, _ := bytes.Cut(rest, []byte(" "))
	target, _, _ = bytes.Cut(target, []byte("?"))
	return string(target)
}

// contentLength returns how long the body of a request is.
func contentLength(head []byte) int {
	for _, name := range []string{"\r\nContent-Length: ", "\r\ncontent-length: "} {
		if _, rest, ok := bytes.Cut(head, []byte(name)); ok {
			digits, _, _ := bytes.Cut(rest, []byte("\r\n"))
			n, _ := strconv.Atoi(string(digits))
			return n
		}
	}
	return 0
}

// drop reads n bytes.
func drop(c *loop.Conn, buf []byte, n int) bool {
	for n > 0 {
		k, err := c.Read(buf)
		if err != nil {
			return false
		}
		n -= k
	}
	return true
}

// echo switches protocols and sends back what comes.
func echo(c *loop.Conn, buf []byte) {
	if _, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"); err != nil {
		return
	}
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// serveGRPC sends back every message as it comes, then the trailers.
func serveGRPC(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	buf := make([]byte, 16<<10)
	flush := http.NewResponseController(w)
	for {
		n, err := r.Body.Read(buf)
		if n > 0 {
			w.Write(buf[:n])
			if r.URL.Path == "/bench.Echo/Stream" {
				flush.Flush()
			}
		}
		if err != nil {
			break
		}
	}
	w.Header().Set("Grpc-Status", "0")
}

// startOrigin starts it beside the load.
func (b *bench) startOrigin() (*process, error) {
	b.origin = origins{plain: freeAddr(), grpc: freeAddr()}
	return b.start("origin", loadCore, b.origin.grpc, b.self, "origin", b.origin.plain, b.origin.grpc)
}

// raiseFiles lets this process and what it starts have as many descriptors as it may.
func raiseFiles() {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return
	}
	r.Cur = r.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		fmt.Fprintln(os.Stderr, "bench: few descriptors:", err)
	}
}
