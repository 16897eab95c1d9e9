package upstream

import (
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/wire/tlsconn"
)

// secure runs a TLS handshake as client on a connection, under its deadlines. With
// http2 the endpoint must choose HTTP/2 (RFC 9113, section 3.3), or nothing: one that
// knows no ALPN is spoken to as nginx does, and may understand.
func secure(nc *loop.Conn, cfg *tls.Config, http2 bool) (loop.Stream, error) {
	tc := tlsconn.Client(nc, cfg)
	if err := tc.Handshake(); err != nil {
		if http2 && strings.Contains(err.Error(), "no application protocol") {
			return nil, notHTTP2(nc, "refused h2")
		}
		return nil, err
	}
	if chosen := tc.State().NegotiatedProtocol; http2 && chosen != "h2" && chosen != "" {
		return nil, notHTTP2(nc, "chose "+chosen)
	}
	return tc, nil
}

func notHTTP2(nc *loop.Conn, what string) error {
	return fmt.Errorf("endpoint %s does not speak HTTP/2, which gRPC needs: by ALPN it %s; have it offer h2, or use another backend-protocol than GRPCS", nc.RemoteAddr(), what)
}
