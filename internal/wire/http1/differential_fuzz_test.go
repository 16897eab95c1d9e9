package http1

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// standard is a server of net/http that is fed from memory.
type standard struct {
	conns chan net.Conn
	mu    sync.Mutex
	got   []string
}

func startStandard(tb testing.TB) *standard {
	s := &standard{conns: make(chan net.Conn)}
	srv := &http.Server{DisableGeneralOptionsHandler: true, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		target := r.RequestURI
		if r.URL.Host != "" {
			target = r.URL.RequestURI()
		}
		if target == "*" {
			target = "/"
		}
		host, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = append(s.got, fmt.Sprintf("%s %s %s %q", r.Method, target, host, body))
	})}
	go srv.Serve(s)
	tb.Cleanup(func() { srv.Close() })
	return s
}

func (s *standard) Accept() (net.Conn, error) {
	c, ok := <-s.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (s *standard) Close() error {
	close(s.conns)
	return nil
}

func (s *standard) Addr() net.Addr { return &net.TCPAddr{} }

// take returns the requests that net/http makes of in.
func (s *standard) take(in string) []string {
	c := &memConn{in: strings.NewReader(in), closed: make(chan struct{})}
	s.conns <- c
	<-c.closed
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

// memConn brings bytes from memory and forgets what is written to it.
type memConn struct {
	in     *strings.Reader
	once   sync.Once
	closed chan struct{}
}

func (c *memConn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *memConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *memConn) Close() error                     { c.once.Do(func() { close(c.closed) }); return nil }
func (c *memConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *memConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *memConn) SetDeadline(time.Time) error      { return nil }
func (c *memConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// alone returns the first request of ours that neither of the others has made of the
// same bytes, or -1. Where one of them has read on another way before, what follows it
// there says nothing, so from then on only the other one is asked.
func alone(ours, std []string, nginx func() []string) int {
	var theirs []string
	asked, stdOn, nginxOn := false, true, true
	for i, r := range ours {
		if stdOn = stdOn && i < len(std) && std[i] == r; stdOn {
			continue
		}
		if !asked {
			theirs, asked = nginx(), true
			for k := range i { // those that agreed with net/http
				nginxOn = nginxOn && k < len(theirs) && theirs[k] == ours[k]
			}
		}
		if nginxOn = nginxOn && i < len(theirs) && theirs[i] == r; !nginxOn {
			return i
		}
	}
	return -1
}

// escaped tells whether each percent sign of a path begins an octet, and none is NUL.
func escaped(path string) bool {
	p, err := url.PathUnescape(path)
	return err == nil && !strings.Contains(p, "\x00")
}

// FuzzAgainstBoth gives the same bytes to ours, to net/http and to nginx. A request that
// we take and both others refuse, or read as another one, is a bug of ours: somebody in
// front of us or behind us may see other requests than we do.
func FuzzAgainstBoth(f *testing.F) {
	for _, c := range conversations {
		f.Add([]byte(strings.ReplaceAll(strings.ReplaceAll(c.in, "\n", "\r\n"), "\x01", "\n")))
	}
	for _, s := range smuggled {
		f.Add([]byte(strings.ReplaceAll(strings.ReplaceAll(s.in, "\n", "\r\n"), "\x01", "\n")))
	}
	for _, b := range badBodies {
		f.Add([]byte(strings.ReplaceAll("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n"+b.body, "\n", "\r\n")))
	}
	l := engine(f, loop.Goroutines).Next()
	std, ng := startStandard(f), startNginx(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 8<<10 || bytes.Contains(in, []byte("HTTP/2.0")) {
			return // the preface of HTTP/2
		}
		in = append(in, "GET /end HTTP/1.1\r\nHost: end\r\nConnection: close\r\n\r\n"...)
		text := string(in)
		ours := takeAll(t, l, text)
		for i, r := range ours { // what routing.Normalize refuses, before anybody sees it
			if path, _, _ := strings.Cut(strings.Fields(r)[1], "?"); !escaped(path) {
				ours = ours[:i]
				break
			}
		}
		if len(ours) == 0 {
			return
		}
		s := std.take(text)
		for tries := 0; ; tries++ { // on a busy machine nginx may run into its own time limits
			var theirs []string
			i := alone(ours, s, func() []string { theirs = ng.take(t, text); return theirs })
			if i < 0 {
				return
			}
			if tries == 5 {
				t.Fatalf("%q\nrequest %d of ours %q\nnet/http's %q\nnginx's    %q", text, i, ours, s, theirs)
			}
		}
	})
}
