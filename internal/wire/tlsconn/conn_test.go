package tlsconn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var local = netip.MustParseAddrPort("127.0.0.1:0")

var certificate, roots = func() (tls.Certificate, *x509.CertPool) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	c, _ = x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}()

func serverConfig(version uint16) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}, DynamicRecordSizingDisabled: true}
}

func clientConfig(version uint16) *tls.Config {
	return &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: version, MaxVersion: version, NextProtos: []string{"http/1.1"}}
}

// each runs a test on both engines with TLS 1.2 and 1.3.
func each(t *testing.T, f func(t *testing.T, e *loop.Engine, version uint16)) {
	for _, kind := range []loop.Kind{loop.DefaultKind(), loop.Goroutines} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(fmt.Sprintf("%s/%s", kind, tls.VersionName(version)), func(t *testing.T) {
				e, err := loop.New(kind, 1)
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				f(t, e, version)
			})
		}
	}
}

// serve runs f for the server side of a TLS connection to which it returns the
// other side, from crypto/tls. Wait returns when f has.
func serve(t *testing.T, e *loop.Engine, version uint16, f func(*Conn)) (c *tls.Conn, wait func()) {
	t.Helper()
	done := make(chan struct{})
	ln, err := e.Listen(local, func(s *loop.Conn) {
		defer close(done)
		c := Server(s, serverConfig(version))
		defer c.Close()
		deadlines(c)
		f(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	return tls.Client(nc, clientConfig(version)), finish(t, done)
}

// dial runs f for the client side of a TLS connection to a server that crypto/tls
// runs with g.
func dial(t *testing.T, e *loop.Engine, cfg, scfg *tls.Config, f func(*Conn), g func(*tls.Conn)) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(served)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(10 * time.Second))
		g(tls.Server(nc, scfg))
	}()
	l := e.Next()
	l.Post(func() {
		defer close(done)
		s, err := l.Dial(ln.Addr().(*net.TCPAddr).AddrPort(), time.Second)
		if err != nil {
			t.Error(err)
			return
		}
		c := Client(s, cfg)
		defer c.Close()
		deadlines(c)
		f(c)
	})
	finish(t, done)()
	finish(t, served)()
}

func deadlines(c *Conn) {
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	c.SetWriteDeadline(time.Now().Add(10 * time.Second))
}

func finish(t *testing.T, done chan struct{}) func() {
	return func() {
		t.Helper()
		select {
		case <-done:
		case <-time.After(15 * time.Second):
			t.Fatal("does not end")
		}
	}
}

func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Errorf("%q (%d) %v, want %q", b[:n], n, err, want)
	}
}

func TestServer(t *testing.T) {
	each(t, func(t *testing.T, e *loop.Engine, version uint16) {
		c, wait := serve(t, e, version, func(c *Conn) {
			if err := c.Handshake(); err != nil {
				t.Error(err)
			}
			if s := c.State(); s.Version != version || s.NegotiatedProtocol != "http/1.1" || s.ServerName != "example.com" {
				t.Errorf("%+v", s)
			}
			expect(t, c, "question")
			if c.Ready() || !c.Quiet() {
				t.Error("ready", c.Ready(), "quiet", c.Quiet())
			}
			c.WriteTwo([]byte("an"), []byte("swer"))
			if err := c.WaitRead(); err != nil {
				t.Error(err)
			}
			if n, err := c.Read(make([]byte, 10)); err != io.EOF {
				t.Error(n, err)
			}
			if _, err := c.Write([]byte(" and more")); err != nil {
				t.Error(err)
			}
		})
		c.Write([]byte("question"))
		expect(t, c, "answer")
		c.CloseWrite()
		rest, err := io.ReadAll(c) // ends with close_notify, else it is an error
		if string(rest) != " and more" || err != nil {
			t.Errorf("%q %v", rest, err)
		}
		wait()
	})
}

func TestClient(t *testing.T) {
	each(t, func(t *testing.T, e *loop.Engine, version uint16) {
		next := make(chan struct{})
		dial(t, e, clientConfig(version), serverConfig(version), func(c *Conn) {
			for i := range 3 {
				if _, err := c.Write([]byte("question")); err != nil {
					t.Error(err)
				}
				expect(t, c, "answer")
				if !c.Quiet() { // session tickets came before the answer
					t.Error("round", i, "not quiet")
				}
			}
			c.Loop().Await(func() { next <- struct{}{}; <-next })
			for c.Quiet() {
				c.WaitRead()
			}
			expect(t, c, "unasked")
			if !c.State().HandshakeComplete || c.LocalAddr() == c.RemoteAddr() {
				t.Error("state")
			}
			c.CloseWrite()
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Error(err)
			}
		}, func(s *tls.Conn) {
			for range 3 {
				expect(t, s, "question")
				s.Write([]byte("answer"))
			}
			<-next
			s.Write([]byte("unasked"))
			next <- struct{}{}
			if n, err := s.Read(make([]byte, 1)); err != io.EOF {
				t.Error(n, err)
			}
			s.Close()
		})
	})
}

func TestHandshakeFailures(t *testing.T) {
	each(t, func(t *testing.T, e *loop.Engine, version uint16) {
		// The client says something that is not TLS.
		result, limit := make(chan error, 1), make(chan time.Duration, 1)
		ln, err := e.Listen(local, func(s *loop.Conn) {
			c := Server(s, serverConfig(version))
			defer c.Close()
			c.SetReadDeadline(time.Now().Add(<-limit)) // which is there before the client is
			err := c.Handshake()
			if again := c.Handshake(); err == nil || again != err {
				t.Error("the second time:", again)
			}
			if _, werr := c.Write([]byte("x")); werr == nil {
				t.Error("can write")
			}
			if _, rerr := c.Read(make([]byte, 1)); rerr == nil || c.Quiet() {
				t.Error("can read")
			}
			result <- err
		})
		if err != nil {
			t.Fatal(err)
		}
		var header tls.RecordHeaderError
		for _, say := range []string{"GET / HTTP/1.1\r\n\r\n", "", "\x16\x03\x01"} {
			if silent := !strings.HasPrefix(say, "GET"); silent {
				limit <- 50 * time.Millisecond
			} else {
				limit <- time.Minute
			}
			nc, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			nc.Write([]byte(say))
			err = <-result
			if say != "" && say[0] == 'G' {
				if !errors.As(err, &header) {
					t.Errorf("%q: %v", say, err)
				}
			} else if !errors.Is(err, loop.ErrTimeout) {
				t.Errorf("%q: %v", say, err)
			}
			nc.Close()
		}
		// The client does not trust the certificate, and says so.
		limit <- time.Minute
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		cfg := clientConfig(version)
		cfg.ServerName = "example.org"
		if err := tls.Client(nc, cfg).Handshake(); err == nil {
			t.Error("trusted")
		}
		if version == tls.VersionTLS12 { // with 1.3 the server may be done before
			if err := <-result; err == nil || !strings.Contains(err.Error(), "bad certificate") {
				t.Error(err)
			}
		} else {
			<-result
		}
	})
}

// The certificate of an upstream is checked, and the alert reaches it.
func TestClientRefuses(t *testing.T) {
	each(t, func(t *testing.T, e *loop.Engine, version uint16) {
		cfg := clientConfig(version)
		cfg.ServerName = "example.org"
		dial(t, e, cfg, serverConfig(version), func(c *Conn) {
			var want *tls.CertificateVerificationError
			if err := c.Handshake(); !errors.As(err, &want) {
				t.Error(err)
			}
		}, func(s *tls.Conn) {
			if _, err := s.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad certificate") {
				t.Error(err)
			}
		})
	})
}

// A read deadline passes, and afterwards the connection can still be read.
func TestReadDeadline(t *testing.T) {
	each(t, func(t *testing.T, e *loop.Engine, version uint16) {
		gate := make(chan struct{})
		c, wait := serve(t, e, version, func(c *Conn) {
			expect(t, c, "one")
			c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); err != loop.ErrTimeout {
				t.Error(err)
			}
			c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			l, me := c.Loop(), c.Loop().Task()
			fired := false
			c.OnReadable(func(any) { fired = true; me.Wake() }, nil)
			l.Park()
			if _, err := c.Read(make([]byte, 1)); !fired || err != loop.ErrTimeout {
				t.Error("idle:", fired, err)
			}
			deadlines(c)
			close(gate)
			expect(t, c, "two")
		})
		c.Write([]byte("one"))
		<-gate
		c.Write([]byte("two"))
		wait()
	})
}
