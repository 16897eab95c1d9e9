package http3

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds everything that a test waits for; where much else runs packets are
// lost and come late.
const patience = time.Minute

type handlerFunc func(*message.Request, message.Writer)

func (f handlerFunc) Handle(r *message.Request, w message.Writer) { f(r, w) }

// answer is a handler that answers 200 with the method, the target and the body.
func answer(r *message.Request, w message.Writer) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return
		}
	}
	text := append([]byte(r.Method+" "+r.Host+" "+r.Target+" "), body...)
	if w.WriteHead(&message.Response{Status: 200, Length: int64(len(text))}) == nil {
		w.Write(text)
		w.Finish(nil)
	}
}

// onBoth runs a test on both engines.
func onBoth(t *testing.T, f func(t *testing.T, kind loop.Kind)) {
	t.Helper()
	for _, k := range []loop.Kind{loop.Goroutines, loop.DefaultKind()} {
		t.Run(string(k), func(t *testing.T) { f(t, k) })
		if loop.DefaultKind() == loop.Goroutines {
			return
		}
	}
}

// server is a codec that serves connections over a socket of its own.
type server struct {
	addr   net.Addr
	conns  chan *ServerConn // those that were accepted
	closed chan struct{}    // one for each that has ended
}

// start serves with cfg until the test ends.
func start(t testing.TB, kind loop.Kind, cfg ServerConfig) *server {
	t.Helper()
	e, err := loop.New(kind, 1)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	carrier := &quic.Transport{Conn: packets}
	transport := QUIC(cfg.limits())
	transport.HandshakeIdleTimeout, transport.MaxIdleTimeout = patience, patience
	ln, err := carrier.Listen(&tls.Config{Certificates: []tls.Certificate{keyPair(t)}, NextProtos: []string{Proto}}, transport)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: packets.LocalAddr(), conns: make(chan *ServerConn, 1024), closed: make(chan struct{}, 1024)}
	cfg.Closed = func() { s.closed <- struct{}{} }
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			qc, err := ln.Accept(context.Background())
			if err != nil {
				return
			}
			l := e.Next()
			l.Post(func() { s.conns <- Serve(qc, l, &cfg) })
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
		carrier.Close()
		packets.Close()
		e.Close()
	})
	return s
}

// keyPair makes a certificate.
func keyPair(t testing.TB) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"h.test"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// client is a client that writes frames by hand.
type client struct {
	t       testing.TB
	qc      *quic.Conn
	control *quic.SendStream
}

// dial connects to the server and says SETTINGS, unless control is given, which is sent
// on the control stream instead.
func (s *server) dial(t testing.TB, control ...[]byte) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	qc, err := quic.DialAddr(ctx, s.addr.String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{Proto}, ServerName: "h.test"}, &quic.Config{HandshakeIdleTimeout: patience, MaxIdleTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { qc.CloseWithError(codeNo, "") })
	c := &client{t: t, qc: qc}
	if len(control) == 0 {
		control = [][]byte{appendFrame(frameSettings, nil)}
	}
	c.control = c.uni(typeControl, bytes.Join(control, nil))
	return c
}

// uni opens a stream in one direction.
func (c *client) uni(kind uint64, p []byte) *quic.SendStream {
	c.t.Helper()
	str, err := c.qc.OpenUniStream()
	if err != nil {
		c.t.Fatal(err)
	}
	str.Write(append(quicvarint.Append(nil, kind), p...))
	return str
}

// stream opens a request stream and writes to it.
func (c *client) stream(p ...[]byte) *quic.Stream {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	str, err := c.qc.OpenStreamSync(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	str.SetDeadline(time.Now().Add(patience))
	if len(p) > 0 {
		str.Write(bytes.Join(p, nil))
	}
	return str
}

// send writes a whole request.
func (c *client) send(p ...[]byte) *quic.Stream {
	c.t.Helper()
	str := c.stream(p...)
	str.Close()
	return str
}

// reply is what came on a request stream.
type reply struct {
	heads []map[string]string // 1xx, the head, the trailer section
	body  []byte
}

// read reads to the end of the stream.
func (c *client) read(str *quic.Stream) (reply, error) {
	var r reply
	in := &reader{src: str}
	for {
		kind, length, err := in.header()
		if err == io.EOF {
			return r, nil
		}
		if err != nil {
			return r, err
		}
		p, err := in.payload(int(length))
		if err != nil {
			return r, err
		}
		if kind == frameData {
			r.body = append(r.body, p...)
			continue
		}
		head := map[string]string{}
		for next := qpack.NewDecoder().Decode(p); ; {
			f, err := next()
			if err == io.EOF {
				break
			}
			if err != nil {
				c.t.Fatalf("the server's head is not valid: %v", err)
			}
			head[f.Name] = f.Value
		}
		r.heads = append(r.heads, head)
	}
}

// want reads the answer and compares it.
func (c *client) want(str *quic.Stream, status, body string) reply {
	c.t.Helper()
	r, err := c.read(str)
	if err != nil || len(r.heads) == 0 || r.heads[0][":status"] != status || body != "*" && string(r.body) != body {
		c.t.Fatalf("answer is %v %.200q, %v; want %s %q", r.heads, r.body, err, status, body)
	}
	return r
}

// wantReset reads until the server resets the stream with a code.
func (c *client) wantReset(str *quic.Stream, code quic.StreamErrorCode) {
	c.t.Helper()
	r, err := c.read(str)
	var e *quic.StreamError
	if !errors.As(err, &e) || !e.Remote || e.ErrorCode != code {
		c.t.Fatalf("stream ends with %v after %v, want reset %#x", err, r.heads, code)
	}
}

// wantClosed waits until the server closes the connection with a code.
func (c *client) wantClosed(code quic.ApplicationErrorCode) {
	c.t.Helper()
	select {
	case <-c.qc.Context().Done():
	case <-time.After(patience):
		c.t.Fatalf("connection is open, want it closed with %#x", code)
	}
	var e *quic.ApplicationError
	if err := context.Cause(c.qc.Context()); !errors.As(err, &e) || !e.Remote || e.ErrorCode != code {
		c.t.Fatalf("connection ends with %v, want %#x", err, code)
	}
}

// section encodes fields, given as name, value, name, value ...
func section(fields ...string) []byte {
	var b bytes.Buffer
	enc := qpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		enc.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	enc.Close()
	if b.Len() == 0 {
		return []byte(prefix)
	}
	return b.Bytes()
}

// headers is a HEADERS frame with these fields.
func headers(fields ...string) []byte { return appendFrame(frameHeaders, section(fields...)) }

// request is the HEADERS frame of a request, with further fields.
func request(method string, more ...string) []byte {
	return headers(append([]string{":method", method, ":scheme", "https", ":authority", "h.test", ":path", "/x"}, more...)...)
}

func data(text string) []byte { return appendFrame(frameData, []byte(text)) }

// limits returns limits that differ from the default ones.
func limits(f func(*http2.Limits)) func() *http2.Limits {
	l := http2.DefaultLimits
	f(&l)
	return func() *http2.Limits { return &l }
}

func join(p ...[]byte) []byte { return bytes.Join(p, nil) }
