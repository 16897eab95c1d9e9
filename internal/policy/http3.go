package policy

import "crypto/tls"

var (
	http3 = Bool("use-http3", false, "Serve HTTP/3 on the UDP port of the https listener's number, and tell clients so by Alt-Svc. It needs TLSv1.3, and that the port is open to clients.", only)
	early = Bool("http3-early-data", false, "Take GET, HEAD and OPTIONS over HTTP/3 before the handshake is over; somebody may have recorded them and send them again. The upstream is told by Early-Data: 1; other methods get 425.", only)
)

// HTTP/3 reads what others have decided, so its unit comes after theirs by name: see
// Units.
var _ = Register(Unit{
	Name: "use-http3", Doc: "HTTP/3 for clients. What else belongs to HTTP/2 here counts for it as well, http2-max-concurrent-streams and keep-alive-requests included.",
	Follows: "RFC 9114, RFC 8470",
	Keys:    []Key{http3, early},
	Settings: func(d *Draft, g *Global) {
		s := &g.Settings
		s.HTTP3, s.EarlyData = http3.Get(d), early.Get(d)
		switch {
		case s.EarlyData && !s.HTTP3:
			d.Warn(early, "there is no early data without HTTP/3", "set use-http3")
		case s.HTTP3 && g.ProxyProtocol:
			d.Warn(http3, "HTTP/3 is not served: the listeners expect the PROXY protocol, which UDP has not", "remove use-proxy-protocol, or use-http3")
		case s.HTTP3 && s.TLSMax < tls.VersionTLS13:
			d.Warn(http3, "HTTP/3 is not served: it needs TLSv1.3, which ssl-protocols leaves out", "name TLSv1.3 in ssl-protocols")
		default:
			return
		}
		s.HTTP3, s.EarlyData = false, false
	},
})
