package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
)

// frame is one WebSocket frame (RFC 6455, section 5.2).
type frame struct {
	final   bool
	opcode  byte
	payload []byte
}

// append writes the frame; with mask as a client does.
func (f frame) append(b []byte, mask bool) []byte {
	first, second := f.opcode, byte(0)
	if f.final {
		first |= 0x80
	}
	if mask {
		second = 0x80
	}
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, first, second|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, second|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, second|127), uint64(n))
	}
	if !mask {
		return append(b, f.payload...)
	}
	key := [4]byte{1, 2, 3, 0xfe}
	b = append(b, key[:]...)
	for i, c := range f.payload {
		b = append(b, c^key[i%4])
	}
	return b
}

// fragments cuts a message into frames of n bytes.
func fragments(opcode byte, payload []byte, n int) (fs []frame) {
	for len(payload) > n {
		fs = append(fs, frame{false, opcode, payload[:n]})
		payload, opcode = payload[n:], 0
	}
	return append(fs, frame{true, opcode, payload})
}

// socketCases are what a tunnel can get wrong of what the public test suites for
// WebSocket send, under their chapters. What a frame means is the ends' matter: also what
// breaks the protocol must arrive as it was sent.
func socketCases() map[string][]frame {
	text := func(n int) []byte { return bytes.Repeat([]byte("*"), n) }
	cases := map[string][]frame{
		"2 ping without payload":     {{true, 9, nil}},
		"2 ping of 125 bytes":        {{true, 9, text(125)}},
		"2 ping of 126 bytes":        {{true, 9, text(126)}},
		"2 pong unasked, then ping":  {{true, 10, []byte("x")}, {true, 9, []byte("y")}},
		"3 reserved bits":            {{true, 0x41, text(5)}, {true, 0x21, text(5)}, {true, 0x71, nil}},
		"4 reserved opcodes":         {{true, 3, nil}, {true, 7, text(5)}, {true, 11, nil}, {true, 15, text(5)}},
		"5 ping between fragments":   {{false, 1, text(5)}, {true, 9, []byte("p")}, {true, 0, text(5)}},
		"5 continuation of nothing":  {{true, 0, text(5)}},
		"6 octets that are no UTF-8": {{true, 1, []byte("\xce\xba\xe1\xbd\xb9\xed\xa0\x80")}, {true, 1, []byte{0xf4, 0x90, 0x80, 0x80}}},
		"6 UTF-8 cut between frames": fragments(1, []byte("κόσμε κόσμε"), 1),
		"7 close without code":       {{true, 8, nil}},
		"7 close with a reason":      {{true, 8, append([]byte{3, 232}, text(123)...)}},
		"7 close, then more":         {{true, 8, []byte{3, 232}}, {true, 1, text(5)}},
		"7 codes nobody may send":    {{true, 8, []byte{0, 0}}, {true, 8, []byte{3, 237}}, {true, 8, []byte{255, 255}}},
		"2 ten pings":                nil, "10 one hundred messages": nil,
	}
	for i := range 10 {
		cases["2 ten pings"] = append(cases["2 ten pings"], frame{true, 9, fmt.Append(nil, "payload-", i)})
	}
	for range 100 {
		cases["10 one hundred messages"] = append(cases["10 one hundred messages"], frame{true, 1, text(1300)})
	}
	for _, n := range []int{0, 125, 126, 127, 128, 65535, 65536, 1 << 20} {
		for _, opcode := range []byte{1, 2} {
			cases[fmt.Sprintf("1 message of %d bytes, opcode %d", n, opcode)] = []frame{{true, opcode, text(n)}}
		}
	}
	for _, n := range []int{64, 4096, 65536, 1 << 20} {
		cases[fmt.Sprintf("9 a mebibyte in fragments of %d", n)] = fragments(2, text(1<<20), n)
	}
	return cases
}

// TestWebSocketCases sends each case both ways, in pieces of several sizes, and holds that
// what arrives is what was sent.
func TestWebSocketCases(t *testing.T) {
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		s := site(t, kind, []string{rawApp(t, func(c net.Conn, r *bufio.Reader) {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			io.Copy(c, r)
		})})
		for _, listener := range []string{"http", "https"} {
			for name, frames := range socketCases() {
				var sent []byte
				for _, f := range frames {
					sent = f.append(sent, true)
				}
				for _, piece := range []int{1, 997, 1 << 30} {
					if piece == 1 && len(sent) > 4096 {
						continue
					}
					if c := dialSocket(t, s.Addr(listener), listener == "https"); !c.passes(sent, piece) {
						t.Errorf("%s over %s in pieces of %d", name, listener, piece)
					}
				}
			}
		}
	})
}

func dialSocket(t *testing.T, addr string, secure bool) *client {
	t.Helper()
	c := dial(t, addr)
	if secure {
		c = rawClient(t, tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}))
	}
	c.send(askUpgrade)
	if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("answer is %v, %v", resp, err)
	}
	return c
}

// passes sends bytes in pieces and reports whether the same come back, and then the end.
func (c *client) passes(sent []byte, piece int) bool {
	defer c.Close()
	go func() {
		for p := sent; len(p) > 0; {
			n := min(piece, len(p))
			c.Write(p[:n])
			p = p[n:]
		}
		c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(c.r)
	return err == nil && bytes.Equal(got, sent)
}
