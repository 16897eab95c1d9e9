package control

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pierhead/pierhead/internal/dns"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/source/file"
	"github.com/pierhead/pierhead/internal/translate"
	"golang.org/x/tools/txtar"
)

// TestConversations plays the scripts of testdata/conversations against a running
// process, over HTTP/1.1, TLS, HTTP/2 and HTTP/3, on event loops and on goroutines.
//
// A script is a txtar archive. Its comment says what it shows. Files that end in .yaml
// are the manifests; {{IP}} and {{PORT}} in them stand for an origin that answers 200
// and tells in its body what it was sent (and answers /status/503 with 503), {{PORT2}}
// for another one at the same address that answers the same. Then requests and replies
// follow in pairs:
//
//	-- request --
//	over: http           only over these; default: http https h2 h3
//	times: 6             sent so often, one after the other; each gets the reply
//	GET /path?query
//	Host: shop.example.com
//	X-Field: value
//
//	body
//	-- reply --
//	200
//	X-Field: value       a field with this value
//	X-Field ~ ^regexp$   a field that matches
//	!X-Field             no such field
//	=X-Port              as in the reply before; X-Port is the origin's port
//
// {{COOKIE}} in a request stands for the last cookie that was set over that protocol.
// After an empty line follows what the body holds:
//
//	text                 a line that the body holds
//	!text                a line that it does not
func TestConversations(t *testing.T) {
	scripts, err := filepath.Glob("../../testdata/conversations/*/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, script := range scripts {
		name := strings.TrimSuffix(strings.Join(strings.Split(filepath.ToSlash(script), "/")[4:], "/"), ".txtar")
		t.Run(name, func(t *testing.T) {
			for _, kind := range engines() {
				t.Run(string(kind), func(t *testing.T) { play(t, script, kind) })
			}
		})
	}
}

// engines are the kinds of engine that this system has.
func engines() []loop.Kind {
	if loop.DefaultKind() == loop.Loops {
		return []loop.Kind{loop.Loops, loop.Goroutines}
	}
	return []loop.Kind{loop.Goroutines}
}

func play(t *testing.T, script string, kind loop.Kind) {
	ar, err := txtar.ParseFile(script)
	if err != nil {
		t.Fatal(err)
	}
	origin := newOrigin(t)
	dir, configured := t.TempDir(), false
	for _, f := range ar.Files {
		if strings.HasSuffix(f.Name, ".yaml") {
			writeFile(t, filepath.Join(dir, f.Name), withHTTP3(origin.fill(string(f.Data))))
			configured = configured || bytes.Contains(f.Data, []byte("kind: ConfigMap"))
		}
	}
	if !configured {
		writeFile(t, filepath.Join(dir, "http3.yaml"), configHTTP3)
	}
	c := startControl(t, dir, kind)
	cookies, before := map[string]string{}, map[string]http.Header{}
	var req *scriptRequest
	for i, f := range ar.Files {
		switch f.Name {
		case "request":
			req = parseRequest(t, string(f.Data))
		case "reply":
			if req == nil {
				t.Fatalf("file %d: a reply without request", i)
			}
			for _, over := range req.over {
				t.Run(fmt.Sprintf("%d/%s", i/2, over), func(t *testing.T) {
					for range req.times {
						got := req.send(t, c, over, cookies[over])
						checkReply(t, string(f.Data), got, before[over])
						before[over] = got.header
						if set := got.header.Get("Set-Cookie"); set != "" {
							cookies[over], _, _ = strings.Cut(set, ";")
						}
					}
				})
			}
		}
	}
}

// startControl serves a folder on free ports until the test ends.
func startControl(t testing.TB, dir string, kind loop.Kind, more ...func(*Options)) *Control {
	t.Helper()
	opt := Options{
		Version: "test", Source: file.New(dir), Engine: kind, AnyPort: true,
		Rules:         Rules{Translate: testOptions(), Balancers: ownBalancers(), Zones: []dns.Zone{}},
		ListenAddress: netip.MustParseAddr("127.0.0.1"), AdminListen: "127.0.0.1:0",
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), AccessLog: io.Discard,
	}
	for _, f := range more {
		f(&opt)
	}
	c, err := Start(context.Background(), opt)
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

func testOptions() translate.Options {
	f := translate.DefaultFlags()
	f.WatchWithoutClass = true
	f.ConfigMap = "ingress-nginx/ingress-nginx-controller"
	return translate.Options{Standalone: true, Default: &translate.Default{Flags: f}}
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// origin is the upstream server of the scripts, with two ports.
type origin struct{ addr, addr2 netip.AddrPort }

func newOrigin(t testing.TB) *origin {
	return &origin{serveEcho(t), serveEcho(t)}
}

func serveEcho(t testing.TB) netip.AddrPort {
	srv := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(srv.Close)
	return netip.MustParseAddrPort(srv.Listener.Addr().String())
}

func (o *origin) fill(text string) string {
	return strings.NewReplacer("{{IP}}", o.addr.Addr().String(), "{{PORT}}", strconv.Itoa(int(o.addr.Port())),
		"{{PORT2}}", strconv.Itoa(int(o.addr2.Port()))).Replace(text)
}

// echo tells what it was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Server", "origin")
	if _, port, err := net.SplitHostPort(r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()); err == nil {
		w.Header().Set("X-Port", port)
	}
	if s, ok := strings.CutPrefix(r.URL.Path, "/status/"); ok {
		if n, err := strconv.Atoi(s); err == nil {
			w.WriteHeader(n)
		}
	}
	if r.URL.Path == "/auth" { // an authentication server
		authenticate(w, r)
		return
	}
	fmt.Fprintf(w, "%s %s\nHost: %s\n", r.Method, r.RequestURI, r.Host)
	r.Header.Write(w)
	fmt.Fprintf(w, "\n%s", body)
}

// authenticate lets in who has the cookie "session=good" and tells who that is.
func authenticate(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Auth-Request-Redirect-Seen", r.Header.Get("X-Auth-Request-Redirect"))
	switch c, err := r.Cookie("session"); {
	case err == nil && c.Value == "good":
		w.Header().Set("X-User", "somebody")
		w.WriteHeader(http.StatusAccepted)
	case err == nil && c.Value == "forbidden":
		w.WriteHeader(http.StatusForbidden)
	case err == nil && c.Value == "broken":
		w.WriteHeader(http.StatusTeapot)
	default:
		w.Header().Set("WWW-Authenticate", "Session")
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// scriptRequest is one request of a script.
type scriptRequest struct {
	over           []string
	times          int
	method, target string
	header         [][2]string
	body           string
}

func parseRequest(t *testing.T, text string) *scriptRequest {
	t.Helper()
	r := &scriptRequest{over: []string{"http", "https", "h2", "h3"}, times: 1}
	head, body, _ := strings.Cut(text, "\n\n")
	r.body = strings.TrimSuffix(body, "\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	if over, ok := strings.CutPrefix(lines[0], "over: "); ok {
		r.over, lines = strings.Fields(over), lines[1:]
	}
	if times, ok := strings.CutPrefix(lines[0], "times: "); ok {
		var err error
		if r.times, err = strconv.Atoi(times); err != nil {
			t.Fatalf("times: %q: want a number", times)
		}
		lines = lines[1:]
	}
	var ok bool
	if r.method, r.target, ok = strings.Cut(lines[0], " "); !ok {
		t.Fatalf("request %q: want METHOD TARGET", lines[0])
	}
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ": ")
		if !ok {
			t.Fatalf("request field %q: want Name: value", l)
		}
		r.header = append(r.header, [2]string{name, value})
	}
	return r
}

type scriptReply struct {
	status int
	header http.Header
	body   string
}

// send sends the request to the default controller.
func (r *scriptRequest) send(t *testing.T, c *Control, over, cookie string) *scriptReply {
	t.Helper()
	ctl := c.State().Controllers[0]
	addr, scheme := ctl.HTTP, "http"
	if over != "http" {
		addr, scheme = ctl.HTTPS, "https"
	}
	u := &url.URL{Scheme: scheme, Host: addr, Opaque: r.target}
	req, err := http.NewRequest(r.method, "http://placeholder/", strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	req.URL = u
	serverName := ""
	for _, f := range r.header {
		if f[0] == "Host" {
			req.Host = f[1]
			serverName, _, _ = strings.Cut(f[1], ":")
			continue
		}
		req.Header.Add(f[0], strings.ReplaceAll(f[1], "{{COOKIE}}", cookie))
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "script")
	}
	tr := transport(t, over, addr, serverName)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if want := map[string]int{"http": 1, "https": 1, "h2": 2, "h3": 3}[over]; resp.ProtoMajor != want {
		t.Fatalf("answered over %s, want HTTP/%d", resp.Proto, want)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &scriptReply{resp.StatusCode, resp.Header, string(body)}
}

// checkReply compares a reply with what the script expects.
func checkReply(t *testing.T, text string, got *scriptReply, before http.Header) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	if want := strings.TrimSpace(lines[0]); strconv.Itoa(got.status) != want {
		t.Errorf("status %d, want %s", got.status, want)
	}
	for _, l := range lines[1:] {
		if name, ok := strings.CutPrefix(l, "="); ok {
			l = name + ": " + before.Get(name)
		}
		checkField(t, l, got.header)
	}
	sc := bufio.NewScanner(strings.NewReader(body))
	for sc.Scan() {
		l := strings.TrimSpace(sc.Text())
		if l == "" {
			continue
		}
		absent := strings.HasPrefix(l, "!")
		if l = strings.TrimPrefix(l, "!"); strings.Contains(got.body, l) == absent {
			t.Errorf("body holds %q: %v", l, absent)
		}
	}
	if t.Failed() {
		var h bytes.Buffer
		got.header.Write(&h)
		t.Logf("got %d\n%s\n%s", got.status, h.Bytes(), got.body)
	}
}

func checkField(t *testing.T, line string, h http.Header) {
	t.Helper()
	if name, ok := strings.CutPrefix(line, "!"); ok {
		if v, there := h[http.CanonicalHeaderKey(strings.TrimSpace(name))]; there {
			t.Errorf("field %s: %q, want none", name, v)
		}
		return
	}
	if name, pattern, ok := strings.Cut(line, " ~ "); ok {
		if v := h.Get(name); !regexp.MustCompile(pattern).MatchString(v) {
			t.Errorf("field %s: %q does not match %q", name, v, pattern)
		}
		return
	}
	name, want, ok := strings.Cut(line, ": ")
	if !ok {
		t.Fatalf("line %q of the reply: want Name: value, Name ~ regexp or !Name", line)
	}
	if v := h.Get(name); v != want {
		t.Errorf("field %s: %q, want %q", name, v, want)
	}
}
