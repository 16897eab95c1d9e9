package control

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// large is more than any buffer on the way holds.
var large = func() []byte {
	b := make([]byte, 5<<20)
	src := rand.NewChaCha8([32]byte{'b', 'i', 'g'})
	src.Read(b)
	return b
}()

// lab is an upstream that shows how requests arrive and how answers of many kinds
// come through.
type lab struct {
	addr  string
	begun chan string // receives how the body of a request to /begun was announced, when its first byte is there
}

func newLab(t testing.TB) *lab {
	l := &lab{begun: make(chan string, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("/sum", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s length %d of %d coded %v expect %q upgrade %q error %v sum %s\n", r.Method, len(body), r.ContentLength, r.TransferEncoding,
			r.Header.Get("Expect"), r.Header.Get("Upgrade"), err, sum(body))
	})
	mux.HandleFunc("/begun", func(w http.ResponseWriter, r *http.Request) {
		first := make([]byte, 1)
		_, err := io.ReadFull(r.Body, first)
		l.begun <- fmt.Sprintf("length %d coded %v error %v", r.ContentLength, r.TransferEncoding, err)
		rest, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "length %d error %v", 1+len(rest), err)
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"big"`)
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(large))
	})
	mux.HandleFunc("/pieces", func(w http.ResponseWriter, r *http.Request) {
		for b := large; len(b) > 0; b = b[min(len(b), 100_001):] {
			w.Write(b[:min(len(b), 100_001)])
			http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("/", echo)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	l.addr = srv.Listener.Addr().String()
	return l
}

// ways are those by which curl can send a request.
var ways = []struct {
	name, scheme, version string
	flags                 []string
}{
	{"http1.0", "http", "1", []string{"--http1.0"}},
	{"http1.1", "http", "1.1", []string{"--http1.1"}},
	{"https1.1", "https", "1.1", []string{"--http1.1"}},
	{"h2", "https", "2", []string{"--http2"}},
	{"h2c", "http", "2", []string{"--http2-prior-knowledge"}},
	{"asks for h2c", "http", "1.1", []string{"--http2"}}, // by Upgrade, which is answered in 1.1
}

// TestPeerCurl sends requests of many kinds by curl over each version of HTTP.
func TestPeerCurl(t *testing.T) {
	onEngines(t, func(t *testing.T, kind loop.Kind) {
		l := newLab(t)
		s := serve(t, kind, map[string]string{
			"app.yaml": serviceAt("app", l.addr),
			"held.yaml": ingressFor("held", "held.example.com", "/", "app", `proxy-body-size: "10m"`, `proxy-request-buffering: "on"`) +
				ingressFor("streamed", "streamed.example.com", "/", "app", `proxy-body-size: "0"`, `proxy-request-buffering: "off"`) +
				ingressFor("small", "small.example.com", "/", "app") +
				ingressFor("closed", "closed.example.com", "/", "app", `proxy-body-size: "10m"`, "auth-type: basic", "auth-secret: users"),
			"users.yaml": usersSecret("users", "a:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="),
		})
		s.noErrors()
		file := filepath.Join(t.TempDir(), "big")
		if err := os.WriteFile(file, large, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, w := range ways {
			t.Run(w.name, func(t *testing.T) {
				c := &curlOver{t: t, s: s, scheme: w.scheme, version: w.version, flags: w.flags}
				t.Run("download", func(t *testing.T) { c.in(t).download() })
				if w.name != "h2c" { // curl 7.88 cannot, with any server
					t.Run("parallel", func(t *testing.T) { c.in(t).parallel() })
				}
				t.Run("upload", func(t *testing.T) { c.in(t).upload(file) })
				t.Run("refused upload", func(t *testing.T) { c.in(t).refusedUpload(file) })
				if w.version != "1" { // HTTP/1.0 has no body of unknown length
					t.Run("held", func(t *testing.T) { c.in(t).held(l) })
					t.Run("streamed", func(t *testing.T) { c.in(t).streamed(l) })
				}
			})
		}
	})
}

// curlOver is curl on one way.
type curlOver struct {
	t               *testing.T
	s               *served
	scheme, version string
	flags           []string
}

func (c *curlOver) in(t *testing.T) *curlOver {
	sub := *c
	sub.t = t
	return &sub
}

func (c *curlOver) args(host, path string, args ...string) []string {
	return append(append(append(c.s.connect(), c.flags...), args...), c.scheme+"://"+host+".example.com"+path)
}

// get runs curl and holds that it was answered in the version of the way.
func (c *curlOver) get(status int, host, path string, args ...string) *curlReply {
	c.t.Helper()
	r := curl(c.t, nil, c.args(host, path, args...)...).want(c.t, status)
	if r.Version != c.version && c.version != "1" || r.Version == "2" != (c.version == "2") {
		c.t.Errorf("answered in HTTP/%s, want HTTP/%s", r.Version, c.version)
	}
	return r
}

// download gets contents of known and of unknown length, parts, and heads alone.
func (c *curlOver) download() {
	t := c.t
	c.get(200, "held", "/x?y=z", "--header", "X-Of-Mine: 1").want(t, 200, "GET /x?y=z", "Host: held.example.com", "X-Of-Mine: 1", "X-Forwarded-Proto: "+c.scheme)
	for _, path := range []string{"/file", "/pieces"} {
		if r := c.get(200, "held", path); sum([]byte(r.body)) != sum(large) {
			t.Errorf("%s: %d bytes came, which are not those that were sent", path, len(r.body))
		}
	}
	if got := c.get(200, "held", "/pieces", "--raw").field("Transfer-Encoding"); (got == "chunked") != (c.version == "1.1") {
		t.Errorf("Transfer-Encoding: %q", got)
	}
	if r := c.get(200, "held", "/file", "--head"); r.field("Content-Length") != fmt.Sprint(len(large)) || len(r.heads) != 1 {
		t.Errorf("HEAD: %v", r.heads)
	}
	r := c.get(206, "held", "/file", "--range", "1000000-1000099")
	if want := fmt.Sprintf("bytes 1000000-1000099/%d", len(large)); r.body != string(large[1000000:1000100]) || r.field("Content-Range") != want {
		t.Errorf("range: %d bytes, Content-Range %q, want %q", len(r.body), r.field("Content-Range"), want)
	}
	r = c.get(206, "held", "/file", "--range", "0-9,-10")
	if !strings.HasPrefix(r.field("Content-Type"), "multipart/byteranges") || !strings.Contains(r.body, string(large[:10])) || !strings.Contains(r.body, string(large[len(large)-10:])) {
		t.Errorf("ranges: %s %q", r.field("Content-Type"), clip(r.body))
	}
	c.get(416, "held", "/file", "--range", "99999999-")
	c.get(304, "held", "/file", "--header", `If-None-Match: "big"`)
	c.get(404, "held", "/status/404")
	c.get(404, "unknown", "/")
}

// parallel downloads at once: on one connection, where the version can do that.
func (c *curlOver) parallel() {
	const n = 10
	dir := c.t.TempDir()
	args := append([]string{"--disable", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "25",
		"--parallel", "--output", filepath.Join(dir, "#1"), "--write-out", "%{num_connects}\n"}, c.args("held", fmt.Sprintf("/file?[1-%d]", n))...)
	got := run(c.t, nil, "curl", args...)
	for i := 1; i <= n; i++ {
		if b := readAll(c.t, filepath.Join(dir, fmt.Sprint(i))); sum([]byte(b)) != sum(large) {
			c.t.Errorf("download %d: %d bytes came, which are not those that were sent; exit %d %s", i, len(b), got.exit, got.stderr)
		}
	}
	if c.version == "2" && strings.Count(got.stdout, "1") != 1 {
		c.t.Errorf("connections for each download: %q, want one for all", strings.Fields(got.stdout))
	}
}

// upload sends 5 MiB of known length, with and without Expect.
func (c *curlOver) upload(file string) {
	want := fmt.Sprintf("PUT length %d of %d coded [] expect \"\" upgrade \"\" error <nil> sum %s\n", len(large), len(large), sum(large))
	for _, host := range []string{"held", "streamed"} {
		for _, expect := range []string{"", "100-continue"} {
			r := c.get(200, host, "/sum", "--upload-file", file, "--header", "Expect: "+expect)
			if r.body != want {
				c.t.Errorf("%s, Expect %q: the upstream got %swant %s", host, expect, r.body, want)
			}
			if told := strings.HasPrefix(r.heads[0], "HTTP/"+c.version+" 100"); told != (expect != "" && c.version == "1.1") && c.version == "1.1" {
				c.t.Errorf("%s, Expect %q: heads %q", host, expect, r.heads)
			}
		}
	}
	c.get(200, "held", "/sum", "--data", "a=b").want(c.t, 200, "POST length 3 of 3 ")
	c.get(200, "held", "/sum", "--request", "DELETE").want(c.t, 200, "DELETE length 0 of 0 ")
}

// refusedUpload sends a body that is not wanted: whoever asks before gets the answer
// at once, and never 100.
func (c *curlOver) refusedUpload(file string) {
	for host, status := range map[string]int{"small": 413, "closed": 401} {
		if c.version == "2" {
			c.refusedByStream(status, host, file)
			continue
		}
		r := c.get(status, host, "/sum", "--upload-file", file, "--header", "Expect: 100-continue")
		if c.version == "1.1" && (len(r.heads) != 1 || r.Uploaded != 0) {
			c.t.Errorf("%s: %d bytes were sent, heads %q", host, r.Uploaded, r.heads)
		}
		c.get(status, host, "/sum", "--upload-file", file, "--header", "Expect:")
	}
}

// refusedByStream is refusedUpload over HTTP/2, where the answer is followed by
// RST_STREAM. Curl before 8.0 gives up with exit 92 when it reads both at once, which
// may happen now and then on a busy machine. Go's client minds nothing.
func (c *curlOver) refusedByStream(status int, host, file string) {
	r := curl(c.t, nil, c.args(host, "/sum", "--upload-file", file)...)
	for range 4 {
		if r.Exit == 92 {
			r = curl(c.t, nil, c.args(host, "/sum", "--upload-file", file)...)
		}
	}
	r.want(c.t, status)
	ctl := c.s.State().Controllers[0]
	to := map[string]string{"http": ctl.HTTP, "https": ctl.HTTPS}[c.scheme]
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: &http.Protocols{},
		DialContext: func(ctx context.Context, n, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, n, to)
		},
	}
	tr.Protocols.SetHTTP2(true)
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	for range 3 { // on one connection, which goes on
		req, err := http.NewRequest("PUT", c.scheme+"://"+host+".example.com/sum", bytes.NewReader(large))
		if err != nil {
			c.t.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			c.t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != status || resp.ProtoMajor != 2 {
			c.t.Errorf("%s: %s %s %v\n%s, want %d", host, resp.Proto, resp.Status, err, body, status)
		}
	}
}

// held sends a body of unknown length in two parts where it must be held back: the
// endpoint is not asked before all of it has come, and learns its length.
func (c *curlOver) held(l *lab) {
	var complete atomic.Bool
	body, w := io.Pipe()
	go func() {
		w.Write(large[:1<<20])
		c.get(200, "held", "/") // by now the first part has come
		if len(l.begun) > 0 {
			c.t.Error("the endpoint was asked before the body had come")
		}
		complete.Store(true)
		w.Write(large[1<<20:])
		w.Close()
	}()
	curl(c.t, body, c.args("held", "/begun", "--upload-file", "-")...).want(c.t, 200, fmt.Sprintf("length %d error <nil>", len(large)))
	if got, want := <-l.begun, fmt.Sprintf("length %d coded [] error <nil>", len(large)); got != want || !complete.Load() {
		c.t.Errorf("the upstream got %s, want %s", got, want)
	}
}

// streamed sends the second part of a body only after the endpoint has seen the
// first.
func (c *curlOver) streamed(l *lab) {
	body, w := io.Pipe()
	go func() {
		defer w.Close()
		w.Write(large[:100])
		select {
		case got := <-l.begun:
			if want := "length -1 coded [chunked] error <nil>"; got != want {
				c.t.Errorf("the upstream got %s, want %s", got, want)
			}
		case <-time.After(patience):
			c.t.Error("the endpoint does not see the first part of the body")
		}
		w.Write(large[100:])
	}()
	curl(c.t, body, c.args("streamed", "/begun", "--upload-file", "-")...).want(c.t, 200, fmt.Sprintf("length %d error <nil>", len(large)))
}

// TestPeerCurlProxyProtocol sends the header of the PROXY protocol by curl to a
// controller that wants it.
func TestPeerCurlProxyProtocol(t *testing.T) {
	onEngines(t, func(t *testing.T, kind loop.Kind) {
		s := serve(t, kind, map[string]string{
			"app.yaml":    serviceAt("app", newOrigin(t).addr.String()) + ingressFor("app", "app.example.com", "/", "app"),
			"config.yaml": controllerConfig(`use-proxy-protocol: "true"`),
		})
		s.noErrors()
		for _, w := range ways {
			t.Run(w.name, func(t *testing.T) {
				url := w.scheme + "://app.example.com/"
				s.curl(append(w.flags, "--haproxy-protocol", "--interface", "127.0.0.9", url)...).want(t, 200, "X-Real-Ip: 127.0.0.9", "X-Forwarded-For: 127.0.0.9")
				s.curl(append(w.flags, url)...).refused(t)
			})
		}
		t.Run("off", func(t *testing.T) {
			s.changeAndWait("config.yaml", controllerConfig(`use-proxy-protocol: "false"`))
			s.curl("http://app.example.com/").want(t, 200)
			if r := s.curl("--haproxy-protocol", "http://app.example.com/"); r.Status != 400 {
				t.Errorf("a header that is not wanted: status %d, want 400", r.Status)
			}
		})
	})
}
