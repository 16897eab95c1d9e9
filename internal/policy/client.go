package policy

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
)

var (
	forwardedHeaders = Bool("use-forwarded-headers", false, "Believe X-Forwarded-For of trusted addresses, and X-Forwarded-Proto, -Host and -Port of everyone.", only)
	realIP           = Bool("enable-real-ip", false, "Believe the client address of trusted addresses, and nothing else.", only)
	trusted          = CIDRs("proxy-real-ip-cidr", "The addresses that are believed, in X-Forwarded-For and the PROXY protocol. Present and empty: none.", only, shown("0.0.0.0/0,::/0"), emptyCounts)
	forwardedFor     = Text("forwarded-for-header", "X-Forwarded-For", "[A-Za-z0-9_-]+", "header name", "The field that tells the client's address; proxy_protocol stands for the PROXY protocol.", only)
	requestID        = Bool("generate-request-id", true, "Make an X-Request-ID when the client sends none.", only)
	forwardedHost    = Text("forwarded-host-header", "X-Forwarded-Host", "[A-Za-z0-9_-]+", "header name", "The field that is sent on as X-Original-Forwarded-Host.", only)
)

var _ = Register(Unit{
	Name: "client",
	Doc: "Who asks: the client's address, and the scheme, host and port it used. They are those of the connection " +
		"(or of its PROXY protocol header), unless the ConfigMap says which fields of which senders are believed.",
	Follows: "nginx realip",
	Keys:    []Key{forwardedHeaders, realIP, trusted, forwardedFor, requestID},
	Apply: func(d *Draft) {
		c := &Client{ForwardedHeaders: forwardedHeaders.Get(d), RealIP: realIP.Get(d), Header: forwardedFor.Get(d), MakeID: requestID.Get(d)}
		if c.ForwardedHeaders || c.RealIP {
			c.Trusted = trustedBy(d)
		}
		d.Use(c)
	},
	Settings: func(d *Draft, g *Global) {
		s := &g.Settings
		s.ForwardedHeaders, s.RealIP, s.TrustedProxies = forwardedHeaders.Get(d), realIP.Get(d), trustedBy(d)
		s.ForwardedForHeader, s.GenerateRequestID = forwardedFor.Get(d), requestID.Get(d)
	},
	Example: `
-- configmap --
use-forwarded-headers: "true"
proxy-real-ip-cidr: 10.0.0.0/8
-- conversation --
request: GET http://app.example.com/ from 10.0.0.1
  X-Forwarded-For: 192.0.2.66, 198.51.100.7, 10.0.0.9
  X-Forwarded-Proto: https
upstream:
  X-Real-IP: 198.51.100.7
  X-Forwarded-Proto: https
request: GET http://app.example.com/ from 203.0.113.5
  X-Forwarded-For: 198.51.100.7
upstream:
  X-Real-IP: 203.0.113.5
`,
})

func trustedBy(d *Draft) []netip.Prefix {
	if list, set := trusted.Lookup(d); set {
		return list
	}
	return everyone
}

// Client settles who asks, before anything is decided by it.
type Client struct {
	Used
	ForwardedHeaders bool           `json:"forwardedHeaders,omitempty"`
	RealIP           bool           `json:"realIP,omitempty"`
	Trusted          []netip.Prefix `json:"trusted,omitempty"`
	Header           string         `json:"header,omitempty"`
	MakeID           bool           `json:"makeID,omitempty"`
}

// PolicyName returns "client".
func (*Client) PolicyName() string { return "client" }

// Phase returns PostRead.
func (*Client) Phase() exchange.Phase { return exchange.PostRead }

// Build makes the step.
func (p *Client) Build(*Env) (any, error) {
	s := &clientStep{forwarded: p.ForwardedHeaders, makeID: p.MakeID, trusted: p.Trusted}
	if (p.ForwardedHeaders || p.RealIP) && !strings.EqualFold(p.Header, "proxy_protocol") {
		s.header = p.Header
	}
	return s, nil
}

type clientStep struct {
	forwarded bool
	makeID    bool
	header    string // that tells the address, or ""
	trusted   []netip.Prefix
}

// Request fills in address, scheme, host, port and request id.
func (s *clientStep) Request(x *exchange.Exchange) *exchange.Reply {
	c, h := x.Conn, &x.In.Header
	x.ClientIP = c.Client.Addr().Unmap()
	if s.header != "" {
		x.ClientIP = s.walk(x.ClientIP, h)
	}
	x.Scheme, x.Host, x.Port = c.Scheme(), x.In.Host, c.ServerPort
	if x.Host == "" {
		x.Host = x.HostName
	}
	if s.forwarded {
		x.Scheme = forwardedScheme(h, x.Scheme)
		if v := firstElement(h.GetKnown(message.XForwardedHost)); v != "" {
			x.Host = v
		}
		if v := firstElement(h.GetKnown(message.XForwardedPort)); isPort(v) {
			x.Port = v
		}
	}
	if c.UseProxy && c.ProxyPort == 443 { // TLS ended in front of the PROXY protocol
		x.Scheme = "https"
		if !s.forwarded || h.GetKnown(message.XForwardedPort) == "" {
			x.Port = "443"
		}
	}
	x.RequestID = h.GetKnown(message.XRequestID)
	if x.RequestID == "" && s.makeID {
		x.RequestID = newID(x)
	}
	return nil
}

// walk goes through the addresses that the field tells, from the last one on: each
// is believed when the one that told it is trusted.
func (s *clientStep) walk(a netip.Addr, h *message.Header) netip.Addr {
	for i := h.Len() - 1; i >= 0; i-- {
		f := h.At(i)
		if !f.Is(s.header) {
			continue
		}
		rest := f.Value
		for rest != "" {
			if !contains(s.trusted, a) {
				return a
			}
			last := rest
			if j := strings.LastIndexByte(rest, ','); j >= 0 {
				rest, last = rest[:j], rest[j+1:]
			} else {
				rest = ""
			}
			told, ok := parseTold(strings.Trim(last, " \t"))
			if !ok {
				return a
			}
			a = told
		}
	}
	return a
}

// parseTold reads an address, with a port or without.
func parseTold(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), true
	}
	ap, err := netip.ParseAddrPort(s)
	return ap.Addr().Unmap().WithZone(""), err == nil
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for i := range list {
		if list[i].Contains(a) {
			return true
		}
	}
	return false
}

func forwardedScheme(h *message.Header, scheme string) string {
	v := firstElement(h.GetKnown(message.XForwardedProto))
	switch {
	case strings.EqualFold(v, "https"), strings.EqualFold(v, "wss"):
		return "https"
	case strings.EqualFold(v, "http"), strings.EqualFold(v, "ws"):
		return "http"
	}
	return scheme
}

// firstElement returns the first element of a comma-separated list.
func firstElement(s string) string {
	s, _, _ = strings.Cut(s, ",")
	return strings.Trim(s, " \t")
}

func isPort(s string) bool {
	return s != "" && len(s) <= 5 && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// newID makes the 32 hex digits of a request id.
func newID(x *exchange.Exchange) string {
	var raw [16]byte
	binary.LittleEndian.PutUint64(raw[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(raw[8:], rand.Uint64())
	return x.Text(hex.AppendEncode(x.Bytes(), raw[:]))
}

// under reports whether a route's path begins with one of the prefixes.
func under(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(path, p) })
}
