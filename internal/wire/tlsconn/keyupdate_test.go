package tlsconn

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	_ "crypto/sha256"
	_ "crypto/sha512"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/pierhead/pierhead/internal/loop"
)

// hand encrypts TLS 1.3 records by hand, from the key log of a tls.Conn that has
// sent nothing: crypto/tls has no way to send a key update.
type hand struct {
	t      *testing.T
	suite  uint16
	secret []byte
	seq    uint64
}

func (h *hand) expand(label string, n int) []byte {
	hash := crypto.SHA256
	if h.suite == tls.TLS_AES_256_GCM_SHA384 {
		hash = crypto.SHA384
	}
	label = "tls13 " + label
	info := string([]byte{byte(n >> 8), byte(n), byte(len(label))}) + label + "\x00"
	key, err := hkdf.Expand(hash.New, h.secret, info, n)
	if err != nil {
		h.t.Fatal(err)
	}
	return key
}

func (h *hand) record(kind byte, p []byte) []byte {
	var aead cipher.AEAD
	switch h.suite {
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		aead, _ = chacha20poly1305.New(h.expand("key", 32))
	case tls.TLS_AES_256_GCM_SHA384:
		b, _ := aes.NewCipher(h.expand("key", 32))
		aead, _ = cipher.NewGCM(b)
	default:
		b, _ := aes.NewCipher(h.expand("key", 16))
		aead, _ = cipher.NewGCM(b)
	}
	nonce := h.expand("iv", 12)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^h.seq)
	h.seq++
	plain := append(append([]byte(nil), p...), kind)
	head := []byte{23, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(head[3:], uint16(len(plain)+aead.Overhead()))
	return aead.Seal(head, nonce, plain, head)
}

// update returns a KeyUpdate that asks for one in return, and goes on with the next
// key.
func (h *hand) update() []byte {
	r := h.record(22, []byte{24, 0, 0, 1, 1})
	h.secret, h.seq = h.expand("traffic upd", len(h.secret)), 0
	return r
}

// keyLog catches the client's secret.
type keyLog struct{ secret []byte }

func (k *keyLog) Write(p []byte) (int, error) {
	if f := strings.Fields(string(p)); f[0] == "CLIENT_TRAFFIC_SECRET_0" {
		k.secret, _ = hex.DecodeString(f[2])
	}
	return len(p), nil
}

// The answer to a key update is written by tls.Conn while it reads. It must leave,
// alone when there is nothing else to send, and in order when there is.
func TestKeyUpdate(t *testing.T) {
	for _, kind := range []loop.Kind{loop.DefaultKind(), loop.Goroutines} {
		t.Run(string(kind), func(t *testing.T) {
			e, err := loop.New(kind, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			woken := make(chan bool, 10)
			ln, err := e.Listen(local, func(s *loop.Conn) {
				cfg := serverConfig(tls.VersionTLS13)
				cfg.SessionTicketsDisabled = true
				c := Server(s, cfg)
				defer c.Close()
				deadlines(c)
				if err := c.Handshake(); err != nil {
					t.Error(err)
				}
				me := c.Loop().Task()
				c.OnReadable(func(any) { woken <- true; me.Wake() }, nil)
				c.Loop().Park()
				expect(t, c, "first")
				c.Write([]byte("answer"))
				expect(t, c, "second")
				c.Write([]byte("answer"))
			})
			if err != nil {
				t.Fatal(err)
			}
			nc, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(10 * time.Second))
			cfg := clientConfig(tls.VersionTLS13)
			log := &keyLog{}
			cfg.KeyLogWriter = log
			count := &counter{Conn: nc}
			c := tls.Client(count, cfg)
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			h := &hand{t: t, suite: c.ConnectionState().CipherSuite, secret: log.secret}

			count.seen = make(chan bool, 10)
			got := make(chan string, 1)
			go func() {
				b := make([]byte, 12)
				n, _ := io.ReadFull(c, b)
				got <- string(b[:n])
			}()
			nc.Write(h.update()) // to an idle connection: answered, and nobody is woken
			<-count.seen
			if len(woken) > 0 {
				t.Error("a key update woke the idle connection")
			}
			nc.Write(append(h.record(23, []byte("first")), h.update()...))
			<-woken
			<-count.seen // "answer"
			<-count.seen // and the answer to the update
			nc.Write(append(h.update(), h.record(23, []byte("second"))...))
			<-count.seen
			<-count.seen
			if s := <-got; s != "answeranswer" { // all of it was decrypted
				t.Errorf("%q", s)
			}
		})
	}
}

// counter tells of every record that arrives.
type counter struct {
	net.Conn
	bounds
	seen chan bool
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.records = 0
	c.follow(p[:n])
	for range c.records {
		if c.seen != nil {
			c.seen <- true
		}
	}
	return n, err
}

// An idle connection holds no coroutine and no buffer of ours.
func TestIdleHoldsNothing(t *testing.T) {
	each(t, func(t *testing.T, e *loop.Engine, version uint16) {
		idle := make(chan *Conn, 1)
		ln, err := e.Listen(local, func(s *loop.Conn) {
			c := Server(s, serverConfig(version))
			expect(t, c, "request")
			c.Write([]byte("response"))
			c.OnReadable(func(any) { c.Close() }, nil)
			idle <- c
		})
		if err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		c := tls.Client(nc, clientConfig(version))
		c.Write([]byte("request"))
		expect(t, c, "response")
		s := <-idle
		coroutines := make(chan int)
		s.Loop().Post(func() { coroutines <- e.Stats().Coroutines })
		if n := <-coroutines; n != 1 { // the one that counts
			t.Errorf("%d coroutines", n)
		}
		done := make(chan struct{})
		s.Loop().Post(func() {
			defer close(done)
			if s.inBuf != nil || s.in != nil || s.gather != nil || s.pending != nil || s.soon != nil {
				t.Errorf("%+v", s)
			}
		})
		<-done
	})
}
