package control

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/admin"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/source/file"
)

// echoTCP sends back what it gets, until the test ends.
func echoTCP(t testing.TB) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { io.Copy(c, c); c.Close() })
		}
	})
	t.Cleanup(func() { ln.Close(); conns.Wait() })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// echoUDP sends back each datagram.
func echoUDP(t testing.TB) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			c.WriteTo(buf[:n], from)
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// serviceAt is a Service with one endpoint.
func serviceOn(name, protocol string, at netip.AddrPort) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: default}
spec: {ports: [{port: 9, protocol: %[2]s}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-1, namespace: default, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
endpoints: [{addresses: ["%[3]s"]}]
ports: [{port: %[4]d, protocol: %[2]s}]
---
`, name, protocol, at.Addr(), at.Port())
}

func portsMap(name string, entries ...string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: default}\ndata: {" + strings.Join(entries, ", ") + "}\n---\n"
}

// withStreams gives the controller the flags.
func withStreams(o *Options) {
	f := &o.Rules.Translate.Default.Flags
	f.TCPServices, f.UDPServices, f.SSLPassthrough = "default/tcp", "default/udp", true
}

// streamAt returns what the state tells of a port or server name.
func streamAt(c *Control, protocol string, port uint16) (s admin.Stream) {
	for _, row := range c.State().Streams {
		if row.Protocol == protocol && row.Port == port {
			s = row
		}
	}
	return s
}

func dialStream(t testing.TB, at string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// says sends a line and wants it back.
func says(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || got != text+"\n" {
		t.Fatalf("said %q, got %q, %v", text, got, err)
	}
}

// safe is a buffer for several goroutines.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }
func (s *safe) String() string              { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// TestStreams: TCP and UDP ports lead to their Services; a change is live at once, and a
// connection outlives its port; sessions are counted and logged.
func TestStreams(t *testing.T) {
	for _, kind := range engines() {
		t.Run(string(kind), func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "services.yaml"), serviceOn("tcp", "TCP", echoTCP(t))+serviceOn("udp", "UDP", echoUDP(t)))
			writeFile(t, filepath.Join(dir, "ports.yaml"), portsMap("tcp", `"9000": "default/tcp:9"`)+portsMap("udp", `"9000": "default/udp:9"`))
			var log safe
			c := startControl(t, dir, kind, withStreams, func(o *Options) { o.AccessLog = &log })
			for _, p := range c.State().Problems {
				if strings.Contains(p.Field, "data") {
					t.Error(p)
				}
			}
			conn := dialStream(t, streamAt(c, "TCP", 9000).Listen)
			says(t, conn, "hello")
			dgram, err := net.Dial("udp", streamAt(c, "UDP", 9000).Listen)
			if err != nil {
				t.Fatal(err)
			}
			defer dgram.Close()
			dgram.SetDeadline(time.Now().Add(10 * time.Second))
			says(t, dgram, "datagram")
			change(t, c, func() {
				replaceFile(t, filepath.Join(dir, "ports.yaml"), portsMap("tcp", `"9001": "default/tcp:9"`)+portsMap("udp"))
			})
			if s := streamAt(c, "TCP", 9000); s.Listen != "" || s.Upstream != "" {
				t.Errorf("a port that went is told as %+v", s)
			}
			says(t, conn, "still there")
			other := dialStream(t, streamAt(c, "TCP", 9001).Listen)
			says(t, other, "new")
			metrics := metricsOf(t, c)
			for _, want := range []string{`pierhead_stream_sessions_total{controller="default",port="9001",protocol="tcp"} 1`, `pierhead_stream_sessions{controller="default",port="9001",protocol="tcp"} 1`} {
				if !strings.Contains(metrics, want) {
					t.Errorf("the metrics have no %s", want)
				}
			}
			conn.Close()
			other.Close()
			deadline := time.Now().Add(10 * time.Second)
			for strings.Count(log.String(), "] TCP 200 ") < 2 || !strings.Contains(log.String(), "] UDP 200 9 9 ") {
				if time.Now().After(deadline) {
					t.Fatalf("the log says %q", log.String())
				}
				metricsOf(t, c)
			}
		})
	}
}

func metricsOf(t testing.TB, c *Control) string {
	t.Helper()
	rec := httptest.NewRecorder()
	c.metrics().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	return rec.Body.String()
}

// TestStreamWithoutEndpoints: the port of a Service without ready endpoints is closed,
// which is told, and opens with the first one; what stands goes on.
func TestStreamWithoutEndpoints(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.yaml"), serviceOn("tcp", "TCP", netip.MustParseAddrPort("127.0.0.1:1"))+portsMap("tcp", `"9000": "default/tcp:9"`)+portsMap("udp"))
	a := &apart{Source: file.New(dir), services: make(chan string), told: make(chan struct{})}
	c := startControl(t, dir, loop.DefaultKind(), withStreams, func(o *Options) { o.Source = a })
	closed := func() bool {
		for _, p := range c.Problems() {
			if strings.Contains(p.Reason, "TCP port 9000 is closed") {
				return true
			}
		}
		return false
	}
	if s := streamAt(c, "TCP", 9000); s.Listen != "" || s.Error == "" || !closed() {
		t.Fatalf("without endpoints: %+v, %v", s, c.Problems())
	}
	until := func(open bool) admin.Stream {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for {
			if s := streamAt(c, "TCP", 9000); (s.Listen != "") == open && closed() != open {
				return s
			} else if time.Now().After(deadline) {
				t.Fatalf("not open=%v: %+v, %v", open, s, c.Problems())
			}
		}
	}
	a.set("default/tcp", echoTCP(t))
	s := until(true)
	conn := dialStream(t, s.Listen)
	says(t, conn, "hello")
	a.set("default/tcp")
	until(false)
	if _, err := net.Dial("tcp", s.Listen); err == nil {
		t.Error("a port without endpoints accepts")
	}
	says(t, conn, "still there")
}

// TestStreamTakenPort: a port that somebody else has is told, and taken when it is free.
func TestStreamTakenPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := uint16(ln.Addr().(*net.TCPAddr).Port)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.yaml"), serviceOn("tcp", "TCP", echoTCP(t))+portsMap("tcp", fmt.Sprintf(`"%d": "default/tcp:9"`, port))+portsMap("udp"))
	c := startControl(t, dir, loop.DefaultKind(), withStreams, func(o *Options) {
		o.AnyPort = false
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer free.Close()
		other, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		o.Rules.Translate.Default.Flags.HTTPPort = uint16(free.Addr().(*net.TCPAddr).Port)
		o.Rules.Translate.Default.Flags.HTTPSPort = uint16(other.Addr().(*net.TCPAddr).Port)
	})
	if s := streamAt(c, "TCP", port); s.Listen != "" || !strings.Contains(s.Error, "in use") {
		t.Fatalf("told as %+v", s)
	}
	ln.Close()
	deadline := time.Now().Add(10 * time.Second)
	for streamAt(c, "TCP", port).Listen == "" {
		if time.Now().After(deadline) {
			t.Fatal("the port is not taken")
		}
	}
	says(t, dialStream(t, streamAt(c, "TCP", port).Listen), "mine")
}

// passthroughManifests are two hosts of one Service that speaks TLS: one is handed on.
func passthroughManifests(at netip.AddrPort, annotation string) string {
	return serviceOn("tls", "TCP", at) + portsMap("tcp") + portsMap("udp") + fmt.Sprintf(`apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: whole, namespace: default, annotations: {nginx.ingress.kubernetes.io/backend-protocol: HTTPS%s}}
spec:
  tls: [{hosts: [whole.example.com]}]
  rules:
  - host: whole.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: tls, port: {number: 9}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: opened, namespace: default, annotations: {nginx.ingress.kubernetes.io/backend-protocol: HTTPS}}
spec:
  rules:
  - host: opened.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: tls, port: {number: 9}}}}]}
`, annotation)
}

const handOnNote = `, nginx.ingress.kubernetes.io/ssl-passthrough: "true"`

// TestPassthrough: TLS for a host that wants it ends at its endpoint, that for others
// here; an established connection is not touched by a change.
func TestPassthrough(t *testing.T) {
	for _, kind := range engines() {
		t.Run(string(kind), func(t *testing.T) {
			backend := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "backend "+r.Host) }))
			defer backend.Close()
			theirs := backend.Certificate()
			dir := t.TempDir()
			at := netip.MustParseAddrPort(backend.Listener.Addr().String())
			writeFile(t, filepath.Join(dir, "a.yaml"), passthroughManifests(at, handOnNote))
			c := startControl(t, dir, kind, withStreams)
			https := c.State().Controllers[0].HTTPS
			ends := func(name string) (there bool) {
				t.Helper()
				conn, err := tls.Dial("tcp", https, &tls.Config{ServerName: name, InsecureSkipVerify: true})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				defer conn.Close()
				return conn.ConnectionState().PeerCertificates[0].Equal(theirs)
			}
			if !ends("whole.example.com") || !ends("WHOLE.example.com") || ends("opened.example.com") || ends("sub.whole.example.com") || ends("") {
				t.Error("TLS ends at the wrong place")
			}
			client := &http.Client{Transport: &http.Transport{
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, network, https)
				},
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			}}
			defer client.CloseIdleConnections()
			get := func(host string) string {
				t.Helper()
				resp, err := client.Get("https://" + host + "/")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				text, _ := io.ReadAll(resp.Body)
				return string(text)
			}
			if got := get("whole.example.com"); got != "backend whole.example.com" {
				t.Errorf("%q", got)
			}
			if got := get("opened.example.com"); got != "backend opened.example.com" {
				t.Errorf("%q", got)
			}
			if s := streamAt(c, "TLS", 443); s.Host != "whole.example.com" || s.Listen != https || s.Upstream != "default-tls-9" {
				t.Errorf("told as %+v", s)
			}
			one := `pierhead_stream_sessions{controller="default",port="443",protocol="tls"} 1`
			for end := time.Now().Add(patience); !strings.Contains(metricsOf(t, c), one); { // those of before may not have ended yet
				if time.Now().After(end) {
					t.Fatal("the connection that is handed on is not counted")
				}
			}
			change(t, c, func() { replaceFile(t, filepath.Join(dir, "a.yaml"), passthroughManifests(at, "")) })
			if got := get("whole.example.com"); got != "backend whole.example.com" { // on the same connection
				t.Errorf("%q", got)
			}
			if ends("whole.example.com") {
				t.Error("TLS does not end here after the annotation went")
			}
			if plain := plainOn(t, https); !strings.Contains(plain, "400 Bad Request") {
				t.Errorf("plain HTTP on the TLS port is answered %q", plain)
			}
		})
	}
}

// plainOn sends a plain request.
func plainOn(t testing.TB, at string) string {
	c := dialStream(t, at)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	text, _ := io.ReadAll(c)
	return string(text)
}

// TestPassthroughBehindProxy: a PROXY header stands before the ClientHello, which comes
// in pieces.
func TestPassthroughBehindProxy(t *testing.T) {
	backend := httptest.NewTLSServer(http.NotFoundHandler())
	defer backend.Close()
	dir := t.TempDir()
	settings := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ingress-nginx-controller, namespace: ingress-nginx}\ndata: {use-proxy-protocol: \"true\"}\n---\n"
	writeFile(t, filepath.Join(dir, "a.yaml"), settings+passthroughManifests(netip.MustParseAddrPort(backend.Listener.Addr().String()), handOnNote))
	var log safe
	c := startControl(t, dir, loop.DefaultKind(), withStreams, func(o *Options) { o.AccessLog = &log })
	raw := dialStream(t, c.State().Controllers[0].HTTPS)
	io.WriteString(raw, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n")
	conn := tls.Client(&pieces{raw}, &tls.Config{ServerName: "whole.example.com", InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	if !conn.ConnectionState().PeerCertificates[0].Equal(backend.Certificate()) {
		t.Error("TLS ends here")
	}
	conn.Close()
	deadline := time.Now().Add(10 * time.Second)
	for !strings.HasPrefix(log.String(), "[192.0.2.7] ") {
		if time.Now().After(deadline) {
			t.Fatalf("the log says %q", log.String())
		}
		metricsOf(t, c)
	}
}

// pieces is a connection that sends a few bytes at a time.
type pieces struct{ net.Conn }

func (p *pieces) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n, err := p.Conn.Write(b[done:min(done+40, len(b))])
		if done += n; err != nil {
			return done, err
		}
	}
	return done, nil
}

// TestExplainPassthrough: what is explained of a host whose TLS is handed on says so.
func TestExplainPassthrough(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.yaml"), passthroughManifests(netip.MustParseAddrPort("127.0.0.1:1"), handOnNote))
	opt := Options{Rules: Rules{Translate: testOptions()}}
	withStreams(&opt)
	plan, err := Load([]string{dir}, opt.Rules)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"https://whole.example.com/": "default-tls-9", "http://whole.example.com/": "", "https://opened.example.com/": "",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := Explain(plan, "", &admin.Request{URL: u}); len(got) != 1 || got[0].Passthrough != want {
			t.Errorf("%s: %+v, want %q", text, got, want)
		}
	}
}
