package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pires "github.com/pires/go-proxyproto"
	"go.uber.org/goleak"

	"github.com/pierhead/pierhead/internal/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// v2 builds a header of version 2 by hand.
func v2(command, family byte, rest string) string {
	n := len(rest)
	return signature + string([]byte{command, family, byte(n >> 8), byte(n)}) + rest
}

const (
	four = "\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x67\x00\x50" // 192.0.2.1:4711 to 192.0.2.2:80
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x12\x67\x00\x50"
)

// checksummed returns a header of version 2 with a CRC option, right or wrong.
func checksummed(wrong uint32) string {
	h := []byte(v2(0x21, 0x11, four+"\x03\x00\x04\x00\x00\x00\x00"+"\x04\x00\x02xx"))
	at := headV2 + 12 + 3
	binary.BigEndian.PutUint32(h[at:], crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli))^wrong)
	return string(h)
}

var good = map[string]Header{
	"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n":             {1, ap("192.0.2.1:4711"), ap("192.0.2.2:80")},
	"PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n": {1, ap("255.255.255.255:65535"), ap("255.255.255.255:0")},
	"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n":         {1, ap("[2001:db8::1]:4711"), ap("[2001:db8::2]:80")},
	"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 4711 80\r\n":    {1, ap("192.0.2.1:4711"), ap("[2001:db8::2]:80")},
	"PROXY UNKNOWN\r\n": {Version: 1},
	"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n": {Version: 1},
	v2(0x21, 0x11, four):                        {2, ap("192.0.2.1:4711"), ap("192.0.2.2:80")},
	v2(0x21, 0x21, six):                         {2, ap("[2001:db8::1]:4711"), ap("[2001:db8::2]:80")},
	v2(0x21, 0x11, four+"\x02\x00\x04host"):     {2, ap("192.0.2.1:4711"), ap("192.0.2.2:80")},
	v2(0x21, 0x11, four+"\x04\x00\x00"):         {2, ap("192.0.2.1:4711"), ap("192.0.2.2:80")},
	checksummed(0):                              {2, ap("192.0.2.1:4711"), ap("192.0.2.2:80")},
	v2(0x20, 0x00, ""):                          {Version: 2},
	v2(0x20, 0x11, four):                        {Version: 2}, // LOCAL: ignored
	v2(0x20, 0xff, "any"):                       {Version: 2},
	v2(0x21, 0x00, ""):                          {Version: 2}, // UNSPEC
	v2(0x21, 0x12, four):                        {Version: 2}, // UDP
	v2(0x21, 0x31, strings.Repeat("\x00", 216)): {Version: 2}, // UNIX
	v2(0x20, 0x00, strings.Repeat("x", maxV2)):  {Version: 2},
}

func TestParse(t *testing.T) {
	for text, want := range good {
		for _, after := range []string{"", "GET / HTTP/1.1\r\n", "\n", "PROXY "} {
			h, n, err := Parse([]byte(text + after))
			if h != want || n != len(text) || err != nil {
				t.Errorf("%q: %+v %d %v, want %+v %d", text, h, n, err, want, len(text))
			}
			if h.Known() != want.Source.IsValid() {
				t.Errorf("%q: known %v", text, h.Known())
			}
		}
		for i := range len(text) { // every beginning of it asks for more
			if _, n, err := Parse([]byte(text[:i])); n != 0 || err != nil {
				t.Errorf("%q: %d %v, want more", text[:i], n, err)
			}
		}
	}
}

func TestParseInvalid(t *testing.T) {
	for text, want := range map[string]string{
		"GET / HTTP/1.1\r\n":   `the connection begins with "GET / HTTP/1.1\r\n"`,
		"\x16\x03\x01":         `the connection begins with "\x16\x03\x01"`,
		"proxy TCP4":           "begins with",
		"PROXYTCP4":            "begins with",
		"\r\n\r\n\x00\r\nQUIX": "begins with",
		"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\n": "does not end in CR LF",
		"PROXY \r\n":         "must be PROXY, TCP4 or TCP6",
		"PROXY UNKNOWNS\r\n": "must be PROXY, TCP4 or TCP6",
		"PROXY TCP5 192.0.2.1 192.0.2.2 4711 80\r\n":         "must be PROXY, TCP4 or TCP6",
		"PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n":            "two ports",
		"PROXY TCP4  192.0.2.1 192.0.2.2 4711 80\r\n":        "two ports",
		"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80 \r\n":        "two ports",
		"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\r\n":       "port \"80\\r\"",
		"PROXY TCP4 192.0.2.256 192.0.2.2 4711 80\r\n":       `address "192.0.2.256"`,
		"PROXY TCP4 192.0.02.1 192.0.2.2 4711 80\r\n":        `address "192.0.02.1"`,
		"PROXY TCP4 2001:db8::1 192.0.2.2 4711 80\r\n":       `address "2001:db8::1"`,
		"PROXY TCP6 192.0.2.1 2001:db8::1 4711 80\r\n":       `address "192.0.2.1"`,
		"PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 80\r\n":    `address "fe80::1%eth0"`,
		"PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n":        `port "65536"`,
		"PROXY TCP4 192.0.2.1 192.0.2.2 4711 080\r\n":        `port "080"`,
		"PROXY TCP4 192.0.2.1 192.0.2.2 +1 80\r\n":           `port "+1"`,
		"PROXY TCP4 192.0.2.1 192.0.2.2 -1 80\r\n":           `port "-1"`,
		"PROXY TCP4 192.0.2.1 192.0.2.2  80\r\n":             `port ""`,
		"PROXY UNKNOWN " + strings.Repeat("x", 107) + "\r\n": "longer than 107",
		"PROXY " + strings.Repeat("x", 101):                  "longer than 107",
		v2(0x11, 0x11, four):                                 "version and command 0x11",
		v2(0x22, 0x11, four):                                 "version and command 0x22",
		v2(0x21, 0x41, four):                                 "address family 0x41",
		v2(0x21, 0x13, four):                                 "address family 0x13",
		v2(0x21, 0x11, four[:11]):                            "11 bytes for the addresses: must be 12",
		v2(0x21, 0x21, four):                                 "12 bytes for the addresses: must be 36",
		v2(0x21, 0x31, four):                                 "12 bytes for the addresses: must be 216",
		v2(0x21, 0x11, four+"\x02\x00"):                      "2 bytes after the options",
		v2(0x21, 0x11, four+"\x02\x00\x05host"):              "option 0x2 has 5 bytes: there are 4",
		v2(0x21, 0x11, four+"\x03\x00\x03abc"):               "the checksum has 3 bytes",
		checksummed(1):                                       "checksum 0x",
		v2(0x21, 0x11, strings.Repeat("\x00", maxV2+1)):      "at most",
	} {
		_, n, err := Parse([]byte(text))
		if n != 0 || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %d %v, want %q", text, n, err, want)
		}
	}
}

var pairs = []struct{ src, dst, wantSrc, wantDst netip.AddrPort }{
	{ap("192.0.2.1:4711"), ap("192.0.2.2:80"), ap("192.0.2.1:4711"), ap("192.0.2.2:80")},
	{ap("[2001:db8::1]:4711"), ap("[2001:db8::2]:80"), ap("[2001:db8::1]:4711"), ap("[2001:db8::2]:80")},
	{ap("192.0.2.1:1"), ap("[2001:db8::2]:80"), ap("192.0.2.1:1"), ap("[2001:db8::2]:80")},
	{ap("[fe80::1%eth0]:1"), ap("[fe80::2]:2"), ap("[fe80::1]:1"), ap("[fe80::2]:2")},
	{ap("[::ffff:192.0.2.1]:1"), ap("192.0.2.2:2"), ap("192.0.2.1:1"), ap("192.0.2.2:2")},
	{netip.AddrPort{}, ap("192.0.2.2:2"), netip.AddrPort{}, netip.AddrPort{}},
}

func TestAppend(t *testing.T) {
	for _, p := range pairs {
		for i, text := range [][]byte{AppendV1([]byte("before"), p.src, p.dst), AppendV2([]byte("before"), p.src, p.dst)} {
			text, _ := bytes.CutPrefix(text, []byte("before"))
			h, n, err := Parse(text)
			if want := (Header{i + 1, p.wantSrc, p.wantDst}); h != want || n != len(text) || err != nil {
				t.Errorf("%q: %+v %d %v", text, h, n, err)
			}
		}
	}
	if s := string(AppendV1(nil, ap("192.0.2.1:4711"), ap("[2001:db8::2]:80"))); s != "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 4711 80\r\n" {
		t.Error(s)
	}
}

// Another implementation reads what we write, and writes what we read.
func TestAgainstAnother(t *testing.T) {
	for _, p := range pairs {
		for i, text := range [][]byte{AppendV1(nil, p.src, p.dst), AppendV2(nil, p.src, p.dst)} {
			h, err := pires.Read(bufio.NewReader(bytes.NewReader(text)))
			if err != nil || h.Version != byte(i+1) {
				t.Errorf("%q: %+v %v", text, h, err)
				continue
			}
			src, dst, ok := h.TCPAddrs()
			if ok != p.wantSrc.IsValid() {
				t.Errorf("%q: %+v", text, h)
			}
			if ok && (unmap(src) != p.wantSrc || unmap(dst) != p.wantDst) {
				t.Errorf("%q: %v %v", text, src, dst)
			}
		}
		if !p.wantSrc.IsValid() || p.wantSrc.Addr().Is4() != p.wantDst.Addr().Is4() {
			continue
		}
		for version := range 2 {
			h := pires.HeaderProxyFromAddrs(byte(version+1), net.TCPAddrFromAddrPort(p.wantSrc), net.TCPAddrFromAddrPort(p.wantDst))
			if version == 1 {
				if err := h.SetTLVs([]pires.TLV{{Type: pires.PP2_TYPE_AUTHORITY, Value: []byte("example.com")}}); err != nil {
					t.Fatal(err)
				}
			}
			text, err := h.Format()
			if err != nil {
				t.Fatal(err)
			}
			got, n, err := Parse(text)
			if got != (Header{version + 1, p.wantSrc, p.wantDst}) || n != len(text) || err != nil {
				t.Errorf("%q: %+v %d %v", text, got, n, err)
			}
		}
	}
}

func unmap(a *net.TCPAddr) netip.AddrPort {
	p := a.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// Read takes the header however it comes, and leaves what follows for the next.
func TestRead(t *testing.T) {
	header := string(AppendV2(nil, ap("192.0.2.1:4711"), ap("192.0.2.2:80")))
	line := string(AppendV1(nil, ap("192.0.2.1:4711"), ap("192.0.2.2:80")))
	for _, tt := range []struct {
		send []string
		wait bool // and then nothing comes, instead of the end
		err  error
		rest string
	}{
		{send: []string{header}},
		{send: []string{header + "GET"}, rest: "GET"},
		{send: []string{line + "GET", " /"}, rest: "GET /"},
		{send: []string{line[:1], line[1:7], line[7:] + "x"}, rest: "x"},
		{send: strings.Split(header+"ab", ""), rest: "ab"},
		{send: []string{}, err: io.EOF},
		{send: []string{line[:10]}, err: io.ErrUnexpectedEOF},
		{send: []string{"GET"}, wait: true, err: ErrInvalid},
		{send: []string{}, wait: true, err: loop.ErrTimeout},
		{send: []string{header[:20]}, wait: true, err: loop.ErrTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			e, err := loop.New(loop.Goroutines, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			near, far := net.Pipe()
			done := make(chan struct{})
			e.Next().Adopt(far, func(c *loop.Conn) {
				defer close(done)
				defer c.Close()
				c.SetReadDeadline(c.Loop().Now().Add(5 * time.Second))
				h, err := Read(c)
				if !errors.Is(err, tt.err) || err == nil && h.Source != ap("192.0.2.1:4711") {
					t.Errorf("%q: %+v %v, want %v", tt.send, h, err, tt.err)
				}
				if err != nil {
					return
				}
				c.SetReadDeadline(time.Time{})
				c.Loop().Sleep(time.Minute)
				if rest, err := io.ReadAll(c); string(rest) != tt.rest || err != nil {
					t.Errorf("%q: then %q %v, want %q", tt.send, rest, err, tt.rest)
				}
			})
			go func() {
				for _, s := range tt.send {
					near.Write([]byte(s))
				}
				if !tt.wait {
					near.Close()
				}
			}()
			<-done
			near.Close()
		})
	}
}

func FuzzParse(f *testing.F) {
	for text := range good {
		f.Add([]byte(text))
	}
	f.Add([]byte(checksummed(1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		if n < 0 || n > len(b) || err != nil && n != 0 || h.Known() != h.Destination.IsValid() {
			t.Fatal(h, n, err)
		}
		if n == 0 {
			return
		}
		if again, k, err := Parse(b[:n]); again != h || k != n || err != nil {
			t.Fatal("not the same without what follows:", again, k, err)
		}
		if _, k, err := Parse(b[:n-1]); k != 0 || err != nil {
			t.Fatal("complete before its end:", k, err)
		}
		if !h.Known() {
			return
		}
		// What we take, another implementation takes for the same.
		o, err := pires.Read(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return // it is stricter in places
		}
		src, dst, ok := o.TCPAddrs()
		if !ok || unmap(src) != h.Source || unmap(dst) != h.Destination {
			t.Fatalf("%+v, another reads %v %v %v", h, ok, src, dst)
		}
	})
}
