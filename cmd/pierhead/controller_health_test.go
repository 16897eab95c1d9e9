package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/control"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/source/file"
	"github.com/pierhead/pierhead/internal/translate"
)

// freePorts returns ports that nobody has.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		ports = append(ports, freePort(t))
	}
	return ports
}

// told is what the addresses of a process say: the health address, and that of nginx's
// status.
type told struct {
	*health
	flags      translate.Flags
	at, status string
}

// startTold opens the addresses of a controller with these flags.
func startTold(t *testing.T, flags ...string) *told {
	t.Helper()
	ports := freePorts(t, 2)
	f := translate.ReadProcessFlags(append(flags, "--healthz-host=127.0.0.1", "--profiling=false", "--healthz-port="+ports[0], "--status-port="+ports[1]), nil)
	h, err := (&controller{flags: f, pod: "a/b", log: slog.New(slog.DiscardHandler)}).startHealth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	h.leading = func() bool { return true }
	h.live.Store(true) // there is no process before
	return &told{h, f.Flags, "http://127.0.0.1:" + ports[0], "http://127.0.0.1:" + ports[1]}
}

// control starts what serves the files of a folder.
func (h *told) control(t *testing.T, dir string) *control.Control {
	t.Helper()
	opt := control.Options{
		Source: file.New(dir), Engine: loop.Goroutines, AnyPort: true, ListenAddress: netip.MustParseAddr("127.0.0.1"), Log: slog.New(slog.DiscardHandler),
	}
	opt.Rules.Translate.Default = &translate.Default{Namespace: "default", Flags: h.flags}
	c, err := control.Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// says returns the status and the body of an answer.
func says(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestStateAPI: the address of the health check tells the state, unless that is switched
// off; health and metrics are told all the same.
func TestStateAPI(t *testing.T) {
	for _, on := range []bool{true, false} {
		h := startTold(t, fmt.Sprintf("--state-api=%v", on))
		h.serve(h.control(t, t.TempDir()))
		want := http.StatusForbidden
		if on {
			want = http.StatusOK
		}
		for path, want := range map[string]int{"/api/v1/info": want, "/api/v1/state": want, "/api/v1/explain?url=http://a/": want, "/healthz": 200, "/metrics": 200} {
			if got, _ := says(t, h.at+path); got != want {
				t.Errorf("--state-api=%v: %s is answered %d, want %d", on, path, got, want)
			}
		}
	}
}

// page is an Ingress without a backend that answers by itself.
const page = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: page, namespace: default, annotations: {kubernetes.io/ingress.class: nginx, nginx.ingress.kubernetes.io/permanent-redirect: "https://elsewhere.test/"}}
spec: {rules: [{host: page.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`

// TestHealthFailsFirst: the process is not ready before it serves, and not any more as soon
// as it is told to end, while it serves.
func TestHealthFailsFirst(t *testing.T) {
	h := startTold(t)
	unready := func(why string) {
		t.Helper()
		if status, text := says(t, h.at+"/healthz"); status != 500 || !strings.Contains(text, why) {
			t.Errorf("/healthz is answered %d %q, want 500 and %q", status, text, why)
		}
	}
	unready("waiting for the API server")
	if status, _ := says(t, h.status+"/is-dynamic-lb-initialized"); status != 500 {
		t.Errorf("without a table /is-dynamic-lb-initialized is answered %d", status)
	}
	if status, _ := says(t, h.status+"/nginx_status"); status != 503 {
		t.Errorf("without a table /nginx_status is answered %d", status)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page.yaml"), []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	c := h.control(t, dir)
	h.serve(c)
	for url, want := range map[string]string{h.at + "/healthz": "ok", h.status + "/healthz": "", h.status + "/is-dynamic-lb-initialized": "OK"} {
		if status, text := says(t, url); status != 200 || text != want {
			t.Errorf("%s is answered %d %q, want %q", url, status, text, want)
		}
	}
	h.end()
	unready("the ingress controller is shutting down")
	conn, err := net.Dial("tcp", c.State().Controllers[0].HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: page.test\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 301 {
		t.Errorf("a request is answered %v, %v", resp, err)
	}
	unready("the ingress controller is shutting down")
}

// TestNginxStatus: the text is nginx's, and its numbers are true: one connection is about
// to send the rest of a request head, one waits between two requests.
func TestNginxStatus(t *testing.T) {
	h := startTold(t)
	c := h.control(t, t.TempDir())
	h.serve(c)
	dial := func(text string) net.Conn {
		conn, err := net.Dial("tcp", c.State().Controllers[0].HTTP)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		fmt.Fprint(conn, text)
		return conn
	}
	read := func(conn net.Conn) {
		t.Helper()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 404 {
			t.Fatalf("a request is answered %v, %v", resp, err)
		}
	}
	becomes := func(want string) {
		t.Helper()
		want += " \n"
		for end := time.Now().Add(10 * time.Second); ; {
			status, text := says(t, h.status+"/nginx_status")
			if status == 200 && text == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("/nginx_status is answered %d\n%s, want\n%s", status, text, want)
			}
		}
	}
	becomes("Active connections: 0 \nserver accepts handled requests\n 0 0 0 \nReading: 0 Writing: 0 Waiting: 0")
	read(dial("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"))
	half := dial("GET / HTTP/1.1\r\nHos")
	becomes("Active connections: 2 \nserver accepts handled requests\n 2 2 1 \nReading: 1 Writing: 0 Waiting: 1")
	fmt.Fprint(half, "t: a.test\r\n\r\n")
	read(half)
	becomes("Active connections: 2 \nserver accepts handled requests\n 2 2 2 \nReading: 0 Writing: 0 Waiting: 2")
	half = dial("GET / HTTP/1.1\r\nHos")
	becomes("Active connections: 3 \nserver accepts handled requests\n 3 3 2 \nReading: 1 Writing: 0 Waiting: 2")
	half.Close()
	becomes("Active connections: 2 \nserver accepts handled requests\n 3 3 2 \nReading: 0 Writing: 0 Waiting: 2")
	if status, _ := says(t, h.status+"/configuration/backends"); status != 404 {
		t.Errorf("what only nginx's Lua asks for is answered %d", status)
	}
}

// TestStatusPortTaken: without the port of nginx's status everything else is there.
func TestStatusPortTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	var log strings.Builder
	f := translate.ReadProcessFlags([]string{"--healthz-host=127.0.0.1", "--healthz-port=" + freePorts(t, 1)[0], "--profiling=false", "--status-port=" + port}, nil)
	h, err := (&controller{flags: f, pod: "a/b", log: slog.New(slog.NewTextHandler(&log, nil))}).startHealth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.close()
	if !strings.Contains(log.String(), "/nginx_status") || !strings.Contains(log.String(), "--status-port") {
		t.Errorf("the log says %q", log.String())
	}
}
