package tlsconn

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
)

// hello is the first flight of a client that asks for a name.
func hello(t testing.TB, cfg *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		c := tls.Client(client, cfg)
		c.Handshake()
		c.Close()
	}()
	defer client.Close()
	defer server.Close()
	buf := make([]byte, MaxHello)
	n, err := server.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// fragmented spreads the handshake message of one record over records of n bytes.
func fragmented(record []byte, n int) (out []byte) {
	for body := record[5:]; len(body) > 0; {
		part := body[:min(n, len(body))]
		body = body[len(part):]
		out = append(out, record[0], record[1], record[2], byte(len(part)>>8), byte(len(part)))
		out = append(out, part...)
	}
	return out
}

func TestServerName(t *testing.T) {
	for want, cfg := range map[string]*tls.Config{
		"shop.example.com": {ServerName: "Shop.Example.com"},
		"old.example.com":  {ServerName: "old.example.com", MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}},
		"":                 {InsecureSkipVerify: true},
	} {
		whole := hello(t, cfg)
		for _, b := range [][]byte{whole, fragmented(whole, 1), fragmented(whole, 7), fragmented(whole, 100), append(bytes.Clone(whole), "early data"...)} {
			if name, more, err := ServerName(b); name != want || more || err != nil {
				t.Errorf("%q of %d bytes: %q, %v, %v", want, len(b), name, more, err)
			}
		}
		for _, b := range [][]byte{whole, fragmented(whole, 33)} {
			for n := range len(b) {
				if name, more, err := ServerName(b[:n]); name != "" || !more || err != nil {
					t.Fatalf("%d of %d bytes: %q, %v, %v", n, len(b), name, more, err)
				}
			}
		}
	}
}

func TestServerNameOfOthers(t *testing.T) {
	whole := hello(t, &tls.Config{ServerName: "a.example.com"})
	change := func(at int, to byte) []byte {
		b := bytes.Clone(whole)
		b[at] = to
		return b
	}
	for what, b := range map[string][]byte{
		"a request":            []byte("GET / HTTP/1.1\r\n"),
		"an alert":             {21, 3, 1, 0, 2, 2, 40},
		"SSL 2":                {0x80, 0x2e, 1, 0, 2},
		"a record without end": {22, 3, 1, 0xff, 0xff},
		"an empty record":      {22, 3, 1, 0, 0},
		"another message":      change(5, 2),
		"a huge message":       change(6, 1),
		"a length too large":   change(43, 255),
		"never the end":        append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0x40, 0}, make([]byte, MaxHello)...),
	} {
		if name, more, err := ServerName(b); name != "" || more || !errors.Is(err, ErrNotHello) {
			t.Errorf("%s: %q, %v, %v", what, name, more, err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { ServerName(whole) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzServerName(f *testing.F) {
	whole := hello(f, &tls.Config{ServerName: "shop.example.com"})
	f.Add(whole)
	f.Add(fragmented(whole, 40))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, more, err := ServerName(b)
		if err != nil && (name != "" || more) || more && name != "" || more && len(b) >= MaxHello {
			t.Fatalf("%q, %v, %v", name, more, err)
		}
		if name != strings.ToLower(name) {
			t.Fatalf("%q is not in lower case", name)
		}
		// What is decided does not change with what follows.
		if !more {
			again, later, same := ServerName(append(bytes.Clone(b), 0))
			if again != name || later || (same == nil) != (err == nil) {
				t.Fatalf("%q, %v; with a byte more %q, %v, %v", name, err, again, later, same)
			}
		}
	})
}
