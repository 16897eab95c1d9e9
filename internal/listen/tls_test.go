package listen_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/listen"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
)

const madeAtStart = "Kubernetes Ingress Controller Fake Certificate"

func TestCertificateChoice(t *testing.T) {
	pairs := keyPairs(t, nil,
		pair(t, "exact", false, "a.test", "alias.test"), pair(t, "wild", false, "*.w.test"), pair(t, "rsa", true, "r.test"))
	certs := certificates(t, pairs, "",
		model.Host{Name: "a.test", Certificate: "exact", Aliases: []string{"Alias.test", "uncovered.test"}},
		model.Host{Name: "*.w.test", Certificate: "wild"},
		model.Host{Name: "none.w.test"},
		model.Host{Name: "r.test", Certificate: "rsa"},
		model.Host{Name: "missing.test", Certificate: "not-there"},
	)
	want := map[string]string{
		"a.test": "exact", "A.TEST": "exact", "a.test.": "exact", "alias.test": "exact", "uncovered.test": madeAtStart,
		"x.w.test": "wild", "x.y.w.test": madeAtStart, "w.test": madeAtStart, "none.w.test": madeAtStart,
		"r.test": "rsa", "missing.test": madeAtStart, "unknown.test": madeAtStart, "": madeAtStart,
	}
	for name, cn := range want {
		if got := certs.For(name).Leaf.Subject.CommonName; got != cn {
			t.Errorf("certificate for %q is %q, want %q", name, got, cn)
		}
	}
	if got := certificates(t, pairs, "wild").For("unknown.test").Leaf.Subject.CommonName; got != "wild" {
		t.Errorf("default certificate is %q", got)
	}
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certs)
		for _, name := range []string{"a.test", "x.w.test", "r.test", "unknown.test"} {
			c := f.shake(name)
			if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want[name] {
				t.Errorf("certificate for %q is %q, want %q", name, got, want[name])
			}
			if _, body := get(t, c, "/"); body != "https client=127.0.0.1 proxyport=0 port=443" {
				t.Errorf("answer is %q", body)
			}
		}
	})
}

func TestDefaultCertificate(t *testing.T) {
	leaf := certificates(t, nil, "").For("").Leaf
	if leaf.Subject.CommonName != madeAtStart || leaf.Subject.Organization[0] != "Acme Co" || leaf.DNSNames[0] != "ingress.local" {
		t.Errorf("subject is %v, names %v", leaf.Subject, leaf.DNSNames)
	}
	if life := leaf.NotAfter.Sub(time.Now()); life < 364*24*time.Hour || life > 366*24*time.Hour {
		t.Errorf("valid for %v", life)
	}
}

func TestKeyPairs(t *testing.T) {
	a, b := pair(t, "a", false, "a.test"), pair(t, "b", false, "b.test")
	first := keyPairs(t, nil, a, b)
	second := keyPairs(t, first, a, pair(t, "b", false, "b.test"))
	if first.Get("a") != second.Get("a") {
		t.Error("a certificate that did not change was parsed again")
	}
	if first.Get("b") == second.Get("b") {
		t.Error("a certificate that changed was not parsed again")
	}
	for _, bad := range []struct {
		cert model.Certificate
		want string
	}{
		{model.Certificate{Name: "ns/text", Cert: []byte("hello"), Key: a.Key}, `certificate "ns/text" is not PEM`},
		{model.Certificate{Name: "ns/mixed", Cert: a.Cert, Key: b.Key}, `certificate "ns/mixed" is not a key pair`},
		{model.Certificate{Name: "ns/keyless", Cert: a.Cert}, `certificate "ns/keyless" is not a key pair`},
	} {
		k, errs := listen.ParseKeyPairs([]model.Certificate{bad.cert, a}, nil)
		if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), bad.want) || k.Get(bad.cert.Name) != nil || k.Get("a") == nil {
			t.Errorf("errors are %v, want %q", errs, bad.want)
		}
	}
}

// TestCertificateSwap holds that a new certificate serves new connections and that
// old connections go on.
func TestCertificateSwap(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		host := model.Host{Name: "a.test", Certificate: "c"}
		pairs := keyPairs(t, nil, pair(t, "c", false, "a.test"))
		f := start(t, kind, certificates(t, pairs, "", host))
		old := f.shake("a.test")
		get(t, old, "/")
		pairs = keyPairs(t, pairs, pair(t, "c", false, "a.test"))
		f.want[1].Certificates = certificates(t, pairs, "", host)
		f.apply()
		fresh := f.shake("a.test")
		if fresh.ConnectionState().PeerCertificates[0].Equal(old.ConnectionState().PeerCertificates[0]) {
			t.Error("the old certificate still serves")
		}
		if status, _ := get(t, old, "/"); status != 200 {
			t.Errorf("the old connection got %d", status)
		}
	})
}

func TestProtocols(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certificates(t, nil, ""))
		for _, tt := range []struct {
			offered []string
			want    string
		}{{[]string{"h2", "http/1.1"}, "h2"}, {[]string{"http/1.1"}, "http/1.1"}, {nil, ""}} {
			if got := f.shake("x.test", tt.offered...).ConnectionState().NegotiatedProtocol; got != tt.want {
				t.Errorf("protocol for %q is %q, want %q", tt.offered, got, tt.want)
			}
		}
		f.settings(func(s *model.Settings) { s.HTTP2 = false })
		if got := f.shake("x.test", "h2", "http/1.1").ConnectionState().NegotiatedProtocol; got != "http/1.1" {
			t.Errorf("protocol without HTTP/2 is %q", got)
		}
		f.settings(func(s *model.Settings) { s.TLSMin, s.TLSMax = tls.VersionTLS12, tls.VersionTLS12 })
		if v := f.shake("x.test").ConnectionState().Version; v != tls.VersionTLS12 {
			t.Errorf("version is %x", v)
		}
		f.settings(func(s *model.Settings) { s.TLSMin, s.TLSMax = tls.VersionTLS13, 0 })
		raw := f.dial("https")
		c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		if err := c.Handshake(); err == nil {
			t.Error("TLS 1.2 was accepted although 1.3 is the least")
		}
		io.Copy(io.Discard, raw) // until the server has counted and closed
		if n := f.set.Counts().HandshakesFailed; n != 1 {
			t.Errorf("%d handshakes failed", n)
		}
	})
}

// TestPriorKnowledge holds that HTTP/2 in the clear is served beside HTTP/1.
func TestPriorKnowledge(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certificates(t, nil, ""))
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		tr := &http.Transport{Protocols: &protocols}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get("http://" + f.addr("http") + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.ProtoMajor != 2 || string(body) != "http client=127.0.0.1 proxyport=0 port=80" {
			t.Errorf("answer is %s %q", resp.Proto, body)
		}
	})
}

func TestPlainOnTLSPort(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certificates(t, nil, ""))
		status, body := get(t, f.dial("https"), "/")
		if status != 400 || !strings.Contains(body, "400 The plain HTTP request was sent to HTTPS port") {
			t.Errorf("answer is %d %q", status, body)
		}
		c := f.dial("https")
		io.WriteString(c, "SSH-2.0-OpenSSH_9\r\n")
		if b, _ := io.ReadAll(c); strings.Contains(string(b), "HTTP") {
			t.Errorf("what is no request is answered %q", b)
		}
	})
}

func TestSilentClients(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certificates(t, nil, ""))
		f.want[0].ProxyProtocol = true
		f.settings(func(s *model.Settings) { s.HeaderTimeout = 50 * time.Millisecond })
		for _, name := range []string{"http", "https"} {
			c := f.dial(name)
			ends(t, c)
		}
	})
}

func v2(src, dst string, sport, dport uint16) string {
	head := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
	port := func(p uint16) string { return string([]byte{byte(p >> 8), byte(p)}) }
	return head + string(net.ParseIP(src).To4()) + string(net.ParseIP(dst).To4()) + port(sport) + port(dport)
}

func TestProxyProtocol(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certificates(t, nil, ""))
		f.want[0].ProxyProtocol, f.want[1].ProxyProtocol = true, true
		f.apply()
		const request = "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n"
		for _, tt := range []struct{ name, header, want string }{
			{"v1", "PROXY TCP4 192.0.2.7 192.0.2.1 5000 8443\r\n", "client=192.0.2.7 proxyport=8443"},
			{"v1 IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n", "client=2001:db8::7 proxyport=443"},
			{"v1 unknown", "PROXY UNKNOWN\r\n", "client=127.0.0.1 proxyport=0"},
			{"v2", v2("192.0.2.9", "192.0.2.1", 5000, 81), "client=192.0.2.9 proxyport=81"},
		} {
			c := f.dial("http")
			io.WriteString(c, tt.header+request)
			if _, body := read(t, c); body != "http "+tt.want+" port=80" {
				t.Errorf("%s: answer is %q", tt.name, body)
			}
			c = f.dial("https")
			io.WriteString(c, tt.header)
			secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			if _, body := get(t, secure, "/"); body != "https "+tt.want+" port=443" {
				t.Errorf("%s over TLS: answer is %q", tt.name, body)
			}
		}
		for name, header := range map[string]string{
			"none": "", "broken": "PROXY TCP4 192.0.2.7\r\n", "not an address": "PROXY TCP4 x y 1 2\r\n",
		} {
			c := f.dial("http")
			io.WriteString(c, header+request)
			if b, _ := io.ReadAll(c); len(b) > 0 {
				t.Errorf("%s: answered %q", name, b)
			}
		}
		if n := f.set.Counts().ProxyRefused; n != 3 {
			t.Errorf("%d headers were refused", n)
		}
		f.settings(func(s *model.Settings) { s.TrustedProxies = nil })
		c := f.dial("http")
		fmt.Fprint(c, "PROXY TCP4 192.0.2.7 192.0.2.1 5000 8443\r\n"+request)
		if _, body := read(t, c); body != "http client=127.0.0.1 proxyport=0 port=80" {
			t.Errorf("from somebody who is not trusted: %q", body)
		}
	})
}

// TestRenew: certificates are the same as long as nothing about them changed, and new
// ones when it did.
func TestRenew(t *testing.T) {
	one, two := pair(t, "one", false, "a.example.com"), pair(t, "two", false, "a.example.com")
	list := []model.Certificate{one, two}
	pairs, _ := listen.ParseKeyPairs(list, nil)
	if again, _ := listen.ParseKeyPairs(list, pairs); again != pairs {
		t.Error("the same list is parsed again")
	}
	ctl := &model.Controller{Hosts: []*model.Host{{Name: "a.example.com", Certificate: "one"}, {Name: "b.example.com", Aliases: []string{"c.example.com"}}}}
	had, err := (*listen.Certificates)(nil).Renew(ctl, pairs)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*model.Controller){
		"the default certificate": func(c *model.Controller) { c.Settings.DefaultCertificate = "two" },
		"the certificate":         func(c *model.Controller) { c.Hosts[0].Certificate = "two" },
		"an alias":                func(c *model.Controller) { c.Hosts[1].Aliases = nil },
		"a host":                  func(c *model.Controller) { c.Hosts = c.Hosts[:1] },
	} {
		copied := func() (list []*model.Host) {
			for _, h := range ctl.Hosts {
				list = append(list, new(*h))
			}
			return list
		}
		next := *ctl
		next.Hosts = copied()
		if same, _ := had.Renew(&next, pairs); same != had {
			t.Errorf("%s: made anew before anything changed", what)
		}
		next.Hosts = copied()
		change(&next)
		if same, _ := had.Renew(&next, pairs); same == had {
			t.Errorf("%s changed, and the certificates did not", what)
		}
	}
	other, _ := listen.ParseKeyPairs([]model.Certificate{one, two}, pairs)
	if same, _ := had.Renew(ctl, other); same == had {
		t.Error("the key pairs changed, and the certificates did not")
	}
}

// TestTickets holds that a session is resumed on any loop and after a change of the
// configuration where tickets are on, and never where they are off.
func TestTickets(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certificates(t, nil, ""))
		for _, on := range []bool{true, false} {
			cache := tls.NewLRUClientSessionCache(1)
			for i := range 5 {
				f.settings(func(s *model.Settings) { s.SessionTickets, s.MaxStreams = on, uint32(100+i) })
				c := tls.Client(f.dial("https"), &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", ClientSessionCache: cache})
				if status, _ := get(t, c, "/"); status != 200 {
					t.Fatalf("status %d", status)
				}
				if resumed := c.ConnectionState().DidResume; resumed != (on && i > 0) {
					t.Errorf("tickets %v, connection %d: resumed %v", on, i, resumed)
				}
			}
		}
	})
}
