package upstream

import (
	"crypto/tls"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/wire/tlsconn"
)

// secure runs a TLS handshake as client on a connection, under its deadlines.
func secure(nc *loop.Conn, cfg *tls.Config) (loop.Stream, error) {
	tc := tlsconn.Client(nc, cfg)
	if err := tc.Handshake(); err != nil {
		return nil, err
	}
	return tc, nil
}
