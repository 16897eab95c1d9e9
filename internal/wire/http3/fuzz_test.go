package http3

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/qpack"
)

// fed returns a request stream whose bytes are those of r.
func fed(r io.Reader) *stream {
	lim := http2.DefaultLimits
	lim.Underscores, lim.InvalidNames = true, true
	c := &ServerConn{cfg: &ServerConfig{Limits: func() *http2.Limits { return &lim }}}
	c.failed.Store(true) // there is no client to tell
	return &stream{c: c, in: reader{src: r}, toCome: message.Unknown, promised: message.Unknown}
}

// taken is what becomes of a request stream.
type taken struct {
	err   error
	fault http2.Fault
	body  string
}

func (s *stream) take() (k taken) {
	if k.err = s.readHead(); k.err != nil || s.fault != http2.NoFault {
		k.fault = s.fault
		return k
	}
	for p := make([]byte, 64); k.err == nil; {
		var n int
		n, k.err = s.readBody(p)
		k.body += string(p[:n])
	}
	return k
}

// FuzzRequest reads any bytes as a request: the outcome is the same however they are cut,
// and what is taken for a request is one.
func FuzzRequest(f *testing.F) {
	f.Add(request("GET"))
	f.Add(join(appendFrame(0x21, []byte("x")), request("POST", "content-length", "3", "cookie", "a", "cookie", "b"), data("ab"), data(""), data("c"), headers("x-sum", "1")))
	f.Add(join(request("POST", "te", "trailers", "host", "h.test"), data(strings.Repeat("x", 100)), appendFrame(0x40, nil)))
	f.Add(join(headers(":method", "CONNECT", ":authority", "x:1"), data("x")))
	f.Add(join(request("GET", "connection", "x"), appendFrame(frameSettings, nil)))
	f.Fuzz(func(t *testing.T, p []byte) {
		s := fed(bytes.NewReader(p))
		k := s.take()
		o := fed(iotest.OneByteReader(iotest.DataErrReader(bytes.NewReader(p)))).take()
		if told(t, k.err) != told(t, o.err) || k.fault != o.fault || k.body != o.body {
			t.Errorf("at once %v %+v, byte by byte %v %+v", k.err, k, o.err, o)
		}
		if k.err == io.EOF && k.fault == http2.NoFault {
			check(t, &s.req, k.body)
		}
	})
}

// told returns what an error tells the client.
func told(t *testing.T, err error) uint64 {
	var c *connError
	var s *streamError
	switch {
	case errors.As(err, &c):
		return uint64(c.code)
	case errors.As(err, &s):
		return uint64(s.code)
	case err != nil && err != io.EOF && !errors.Is(err, http2.ErrClosed):
		t.Errorf("error %v tells the client nothing", err)
	}
	return 0
}

// check fails the test when r is no request that may be sent on.
func check(t *testing.T, r *message.Request, body string) {
	if r.Method == "" || r.Target == "" || !message.ValidHost(r.Host) || r.Scheme != "https" || r.Version != message.HTTP3 {
		t.Errorf("%q %q %q %q %v", r.Method, r.Target, r.Host, r.Scheme, r.Version)
	}
	if r.Length != message.Unknown && r.Length != int64(len(body)) {
		t.Errorf("the body has %d bytes, not %d", len(body), r.Length)
	}
	for _, h := range []*message.Header{&r.Header, &r.Trailer} {
		for i := range h.Len() {
			if f := h.At(i); f.Name == "" || f.Name != strings.ToLower(f.Name) && !f.Is("Cookie") || strings.ContainsAny(f.Name, ": \r\n") || strings.ContainsAny(f.Value, "\r\n\x00") {
				t.Errorf("field %q: %q", f.Name, f.Value)
			}
		}
		for _, name := range []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade"} {
			if v, ok := h.Lookup(name); ok {
				t.Errorf("%s is %q", name, v)
			}
		}
	}
}

// FuzzControl reads any bytes as the streams of control and of QPACK.
func FuzzControl(f *testing.F) {
	f.Add(appendFrame(frameSettings, []byte{1, 0, 6, 40}))
	f.Add(join(appendFrame(frameSettings, nil), appendFrame(frameGoAway, []byte{8}), appendFrame(frameMaxPushID, []byte{3}), appendFrame(0x21, []byte("x"))))
	f.Add([]byte{0x20, 0x44, 0x7f, 0x80, 0x01})
	f.Fuzz(func(t *testing.T, p []byte) {
		for _, read := range []func(*reader) error{fed(nil).c.readControl, readEncoder, readDecoder} {
			if read(smallReader(bytes.NewReader(p))) == nil {
				t.Error("a critical stream ends well")
			}
		}
	})
}

// FuzzEncode writes a head and has qpack read it.
func FuzzEncode(f *testing.F) {
	f.Add(200, int64(5), "Content-Type", "text/html")
	f.Add(599, int64(-1), "x-long-name-of-a-field", strings.Repeat("v", 200))
	f.Fuzz(func(t *testing.T, status int, length int64, name, value string) {
		if status < 100 || status > 999 {
			return
		}
		r := message.Response{Status: status, Length: length}
		r.Header.Add(name, value)
		p, err := appendHead(nil, &r, false)
		if err != nil {
			return
		}
		in := &reader{src: bytes.NewReader(p)}
		kind, n, err := in.header()
		if kind != frameHeaders || int(n) != len(in.left()) || err != nil {
			t.Fatalf("%x is no HEADERS: %v", p, err)
		}
		found := 0
		for next := qpack.NewDecoder().Decode(in.left()); ; {
			field, err := next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%x: %v", p, err)
			}
			if field.Name == strings.ToLower(name) && field.Value == value {
				found++
			}
		}
		switch r.Header.At(0).Known() {
		case message.Connection, message.ContentLength, message.KeepAlive, message.ProxyConnection, message.TransferEncoding, message.Upgrade, message.TE:
		default:
			if found == 0 {
				t.Errorf("field %q: %q is not in %x", name, value, p)
			}
		}
	})
}
