package http1

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// nginx is a running nginx that passes requests on to a server of the test.
type nginx struct {
	socket string
	mu     sync.Mutex
	got    []string
}

const nginxConfig = `
daemon off; master_process off; error_log stderr crit; pid %[1]s/pid;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	client_header_timeout 100ms; client_body_timeout 100ms; keepalive_timeout 100ms; lingering_close off;
	client_max_body_size 1m;
	map $host $told { default $host; '' none; }
	server {
		listen unix:%[1]s/in;
		location / { proxy_pass http://unix:%[1]s/out:; proxy_http_version 1.1; proxy_set_header Host $told; proxy_ignore_client_abort on; }
	}
}
`

// startNginx starts nginx (Debian's package nginx; .ci/tools installs it).
func startNginx(t testing.TB) *nginx {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Fatal("nginx is missing: install Debian's package nginx, or run .ci/tools")
		}
	}
	dir, err := os.MkdirTemp("", "nginx") // short: it becomes the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := &nginx{socket: filepath.Join(dir, "in")}
	ln, err := net.Listen("unix", filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	behind := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Host == "none" { // nginx passes no empty field
			r.Host = ""
		}
		n.mu.Lock()
		n.got = append(n.got, fmt.Sprintf("%s %s %s %q", r.Method, r.RequestURI, r.Host, body))
		n.mu.Unlock()
	})}
	go behind.Serve(ln)
	t.Cleanup(func() { behind.Close() })
	config := filepath.Join(dir, "conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(program, "-p", dir, "-c", config)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for end := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("unix", n.socket)
		if err == nil {
			c.Close()
			return n
		}
		if time.Now().After(end) {
			t.Fatalf("nginx does not start: %v\n%s", err, said.String())
		}
	}
}

// take returns the requests that nginx makes of in.
func (n *nginx) take(t testing.TB, in string) []string {
	c, err := net.Dial("unix", n.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	go io.WriteString(c, in)
	io.Copy(io.Discard, c)
	n.mu.Lock()
	defer n.mu.Unlock()
	got := n.got
	n.got = nil
	return got
}

// takeAll returns the requests that we make of in.
func takeAll(t testing.TB, l *loop.Loop, in string) (got []string) {
	cfg := ServerConfig{Handler: handlerFunc(func(r *message.Request, w message.Writer) {
		var body []byte
		if r.Body != nil {
			var err error
			if body, err = io.ReadAll(r.Body); err != nil {
				w.Abort(err)
				return
			}
		}
		host, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
		target := r.Target
		if target == "*" { // nginx refuses it, and takes OPTIONS http://host for another
			target = "/"
		}
		got = append(got, fmt.Sprintf("%s %s %s %q", r.Method, target, host, body))
		w.WriteHead(&message.Response{Status: 200})
		w.Finish(nil)
	})}
	st := &memStream{l: l, in: pieces(in, 0), eof: true}
	onLoop(t, l, func() { Serve(st, &cfg) })
	return got
}

// framings are ways to write a request's line, fields, length and body, to be put
// together by chance.
var framings = [][]string{
	{"POST /a HTTP/1.1", "GET /a HTTP/1.1", "POST /a HTTP/1.0", "POST http://h/a HTTP/1.1", "PUT /a?b HTTP/1.1", "OPTIONS /a HTTP/1.1", "\nPOST /a HTTP/1.1"},
	{"\nHost: h", "\nHost: h\nX: y", "\nX: y\nHost: h:80", "\nhost:h\nX:\t y\t", "\nHost: h\x01X: y", "\nHost: h\nX : y"},
	{"", "\nContent-Length: 5", "\nContent-Length: 0", "\nContent-Length: 05", "\nContent-Length: 5, 5", "\nContent_Length: 5", "\ncontent-length:5 ", "\nContent-Length: +5", "\nContent-Length: 35"},
	{"", "", "\nTransfer-Encoding: chunked", "\ntransfer-encoding:\tCHUNKED", "\nTransfer-Encoding: chunked, chunked", "\nTransfer-Encoding: identity", "\nTransfer-Encoding:\v chunked", "\nTransfer_Encoding: chunked", "\nX: a\n b"},
	{"", "", "\nConnection: keep-alive", "\nConnection: close", "\nConnection: Content-Length", "\nExpect: 100-continue", "\nUpgrade: h2c\nConnection: upgrade"},
	{"\n\n", "\n\n", "\n\n", "\x01\n", "\n\x01"},
	{"", "hello", "5\nhello\n0\n\n", "5;x=y\nhello\n0\nT: v\n\n", "5\x01hello\n0\n\n", "05\nhello\n00\n\n", "0\n\n", "5 \nhello\n0\n\n", "5\nhello0\n\n", "0\n\x01", "GET /b HTTP/1.1\nHost: h\nContent-Length: 0\n\n"},
}

// What we take for a request, nginx takes for the same request: then nobody who stands
// in front of us or behind us and reads as nginx does sees other requests than we do.
// What only one of us refuses is not compared, nor what follows it.
func TestAgainstNginx(t *testing.T) {
	n := startNginx(t)
	l := engine(t, loop.Goroutines).Next()
	var inputs []string
	for _, c := range conversations {
		inputs = append(inputs, c.in)
	}
	for _, s := range smuggled {
		inputs = append(inputs, s.in)
	}
	for _, b := range badBodies {
		inputs = append(inputs, "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n"+b.body)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var s string
		for _, choice := range framings {
			s += choice[rng.IntN(len(choice))]
		}
		inputs = append(inputs, s)
	}
	compared := 0
	for _, in := range inputs {
		in = strings.ReplaceAll(strings.ReplaceAll(in, "\n", "\r\n"), "\x01", "\n") + "GET /end HTTP/1.1\r\nHost: end\r\nConnection: close\r\n\r\n"
		ours := takeAll(t, l, in)
		if len(ours) == 0 {
			continue // refused
		}
		theirs := n.take(t, in)
		both := min(len(ours), len(theirs))
		if compared += both; !slices.Equal(ours[:both], theirs[:both]) {
			t.Errorf("%.300q\nours   %.300q\nnginx's %.300q", in, ours, theirs)
		}
	}
	if compared < 2000 {
		t.Errorf("only %d requests of %d inputs were compared", compared, len(inputs))
	}
}
