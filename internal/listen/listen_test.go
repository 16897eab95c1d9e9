package listen_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/listen"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/model"
	"github.com/pierhead/pierhead/internal/proxy/proxytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// facts is a Service that answers with what is known of the connection. A request
// for /wait is answered when go on says so.
type facts struct {
	waiting chan bool
	goOn    chan bool
}

func (f *facts) Handler(l *loop.Loop, c *exchange.Conn) message.Handler {
	return &factsHandler{f, l, c}
}

func (f *facts) Refuse(*loop.Loop, *exchange.Conn, *message.Request, *message.Response, time.Time) []byte {
	return []byte("refused")
}

type factsHandler struct {
	f *facts
	l *loop.Loop
	c *exchange.Conn
}

func (h *factsHandler) Handle(r *message.Request, w message.Writer) {
	if r.Target == "/wait" {
		h.l.Await(func() { h.f.waiting <- true; <-h.f.goOn })
	}
	text := fmt.Sprintf("%s client=%s proxyport=%d port=%s", r.Scheme, h.c.Client.Addr(), h.c.ProxyPort, h.c.ServerPort)
	resp := &message.Response{Status: 200, Length: int64(len(text))}
	if w.WriteHead(resp) == nil {
		w.Write([]byte(text))
		w.Finish(nil)
	}
}

// fixture is a Set with one listener of each kind.
type fixture struct {
	t     *testing.T
	set   *listen.Set
	facts *facts
	want  []listen.Listener
}

func start(t *testing.T, kind loop.Kind, certs *listen.Certificates) *fixture {
	t.Helper()
	e, err := loop.New(kind, 2)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, set: listen.New(e), facts: &facts{make(chan bool), make(chan bool)}}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		f.set.Drain(ctx)
		e.Close()
	})
	settings := proxytest.Settings()
	any := netip.MustParseAddrPort("127.0.0.1:0")
	f.want = []listen.Listener{
		{Name: "http", Bind: any, Port: 80, Settings: &settings, Service: f.facts},
		{Name: "https", Bind: any, Port: 443, TLS: true, Settings: &settings, Certificates: certs, Service: f.facts},
	}
	f.apply()
	return f
}

func (f *fixture) apply() {
	f.t.Helper()
	for _, failure := range f.set.Apply(f.want) {
		f.t.Errorf("%s: %v", failure.Name, failure.Err)
	}
}

// settings changes the settings of all listeners.
func (f *fixture) settings(change func(*model.Settings)) {
	f.t.Helper()
	s := *f.want[0].Settings
	change(&s)
	for i := range f.want {
		f.want[i].Settings = &s
	}
	f.apply()
}

func (f *fixture) addr(name string) string {
	f.t.Helper()
	a, ok := f.set.Addr(name)
	if !ok {
		f.t.Fatalf("listener %s is not open", name)
	}
	return a.String()
}

func (f *fixture) dial(name string) net.Conn {
	f.t.Helper()
	c, err := net.DialTimeout("tcp", f.addr(name), patience)
	if err != nil {
		f.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	f.t.Cleanup(func() { c.Close() })
	return c
}

// shake does a TLS handshake.
func (f *fixture) shake(serverName string, protocols ...string) *tls.Conn {
	f.t.Helper()
	c := tls.Client(f.dial("https"), &tls.Config{InsecureSkipVerify: true, ServerName: serverName, NextProtos: protocols})
	if err := c.Handshake(); err != nil {
		f.t.Fatalf("handshake for %q: %v", serverName, err)
	}
	return c
}

// get sends a request and returns status and body.
func get(t *testing.T, c net.Conn, path string) (int, string) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h.test\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	return read(t, c)
}

func read(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// ends fails unless the server ends the connection without another byte.
func ends(t *testing.T, c net.Conn) {
	t.Helper()
	b, err := io.ReadAll(c)
	if len(b) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("connection is not closed: %q, %v", b, err)
	}
}

// pair makes a self-signed key pair, RSA when asked for.
func pair(t *testing.T, name string, useRSA bool, hosts ...string) model.Certificate {
	t.Helper()
	var key any
	var public any
	if useRSA {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		key, public = k, &k.PublicKey
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, public = k, &k.PublicKey
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		DNSNames: hosts, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, public, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return model.Certificate{
		Name: name,
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}
}

// onBoth runs a test on both engines.
func onBoth(t *testing.T, f func(t *testing.T, kind loop.Kind)) {
	t.Helper()
	kinds := []loop.Kind{loop.Goroutines}
	if loop.DefaultKind() != loop.Goroutines {
		kinds = append(kinds, loop.DefaultKind())
	}
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) { f(t, k) })
	}
}

// certificates makes the Certificates of a controller with these hosts.
func certificates(t *testing.T, pairs *listen.KeyPairs, fallback string, hosts ...model.Host) *listen.Certificates {
	t.Helper()
	ctl := &model.Controller{}
	for i := range hosts {
		ctl.Hosts = append(ctl.Hosts, &hosts[i])
	}
	ctl.Settings.DefaultCertificate = fallback
	c, err := listen.NewCertificates(ctl, pairs)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func keyPairs(t *testing.T, prev *listen.KeyPairs, certs ...model.Certificate) *listen.KeyPairs {
	t.Helper()
	k, errs := listen.ParseKeyPairs(certs, prev)
	for _, err := range errs {
		t.Error(err)
	}
	return k
}
