package listen

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/pierhead/pierhead/internal/loop"
)

// tickets makes and reads the session tickets of all listeners and loops: it has the
// keys, which crypto/tls makes and renews every day.
var tickets tls.Config

// tlsConfig makes the TLS configuration of a listener for the connections of one
// loop.
func tlsConfig(d Listener, l *loop.Loop) *tls.Config {
	c := &tls.Config{
		MinVersion:                  d.Settings.TLSMin,
		MaxVersion:                  d.Settings.TLSMax,
		CipherSuites:                d.Settings.CipherSuites,
		NextProtos:                  []string{"http/1.1"},
		SessionTicketsDisabled:      !d.Settings.SessionTickets,
		DynamicRecordSizingDisabled: true, // the records of one turn leave in one send
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return signedBy(l, d.Certificates.For(hello.ServerName)), nil
		},
	}
	if d.Settings.SessionTickets {
		c.WrapSession, c.UnwrapSession = tickets.EncryptTicket, tickets.DecryptTicket
	}
	if d.Settings.HTTP2 {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	return c
}

// signedBy returns the certificate with a key that signs away from the loop, where
// signing takes long: an RSA signature is most of a millisecond, in which the loop
// would serve dozens of requests, against a few microseconds for the way to a
// goroutine and back. An ECDSA one is not worth the way.
//
// The handshake waits inside crypto/tls then, which holds locks of this connection
// only: nobody else takes them before the handshake is over.
func signedBy(l *loop.Loop, pair *tls.Certificate) *tls.Certificate {
	key, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return pair
	}
	c := *pair
	c.PrivateKey = &awaitSigner{l, key}
	return &c
}

// awaitSigner is a key whose signatures are made on a goroutine.
type awaitSigner struct {
	l   *loop.Loop
	key *rsa.PrivateKey
}

func (s *awaitSigner) Public() crypto.PublicKey { return s.key.Public() }

// signing counts the signatures that are made or wait for it. With more than mostSigning
// clients would give up before their turn comes: their handshakes fail at once.
var (
	signing     atomic.Int64
	mostSigning = 512 * int64(runtime.GOMAXPROCS(0))
	errSigning  = errors.New("too many handshakes at once")
)

func (s *awaitSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	defer signing.Add(-1)
	if signing.Add(1) > mostSigning {
		return nil, errSigning
	}
	if stopped := s.l.Await(func() { sig, err = s.key.Sign(rand, digest, opts) }); stopped != nil {
		return nil, stopped
	}
	return sig, err
}
