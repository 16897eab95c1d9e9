package listen_test

import (
	"crypto/tls"
	"testing"

	"github.com/pierhead/pierhead/internal/listen"
	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/model"
)

// TestManyHandshakes: with as many RSA signatures waited for as may be, further handshakes
// fail at once and are counted; those that need none go on.
func TestManyHandshakes(t *testing.T) {
	pairs := keyPairs(t, nil, pair(t, "rsa", true, "r.test"), pair(t, "ecdsa", false, "e.test"))
	certs := certificates(t, pairs, "", model.Host{Name: "r.test", Certificate: "rsa"}, model.Host{Name: "e.test", Certificate: "ecdsa"})
	onBoth(t, func(t *testing.T, kind loop.Kind) {
		f := start(t, kind, certs)
		listen.Signing.Add(listen.MostSigning)
		c := tls.Client(f.dial("https"), &tls.Config{InsecureSkipVerify: true, ServerName: "r.test"})
		err := c.Handshake()
		f.shake("e.test")
		listen.Signing.Add(-listen.MostSigning)
		if err == nil {
			t.Error("the handshake was done")
		}
		f.shake("r.test")
		if n := f.set.Counts().HandshakesFailed; n != 1 {
			t.Errorf("%d handshakes failed, want 1", n)
		}
	})
}
