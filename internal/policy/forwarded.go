package policy

import (
	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
)

var (
	fullForwardedFor = Bool("compute-full-forwarded-for", false, "Append to the client's X-Forwarded-For instead of replacing it; only with use-forwarded-headers.", only)
	originalURI      = Bool("proxy-add-original-uri-header", false, "Send X-Original-URI, the request URI as the client wrote it.", only)
)

var _ = Register(Unit{
	Name: "forwarded-headers",
	Doc: "What the upstream is told of the client. Fields of these names that the client sent are replaced, " +
		"so that an upstream can believe them.",
	Follows: "ingress-nginx",
	Keys:    []Key{fullForwardedFor, originalURI, forwardedHost},
	Apply: func(d *Draft) {
		d.Use(&Forwarded{
			Append:      fullForwardedFor.Get(d) && forwardedHeaders.Get(d),
			OriginalURI: originalURI.Get(d), HostHeader: forwardedHost.Get(d),
			Aliases: underscores.Get(d) || !ignoreInvalid.Get(d),
		})
	},
	Settings: func(d *Draft, g *Global) {
		g.Settings.AppendForwardedFor, g.Settings.OriginalURI = fullForwardedFor.Get(d), originalURI.Get(d)
	},
	Example: `
-- conversation --
request: GET https://app.example.com/a?b=c from 192.0.2.7
  X-Request-ID: 0123456789abcdef0123456789abcdef
  X-Forwarded-For: 10.9.9.9
  X-Forwarded-Proto: gopher
  Proxy: http://evil.example
upstream:
  X-Request-ID: 0123456789abcdef0123456789abcdef
  X-Real-IP: 192.0.2.7
  X-Forwarded-For: 192.0.2.7
  X-Forwarded-Host: app.example.com
  X-Forwarded-Port: 443
  X-Forwarded-Proto: https
  X-Forwarded-Scheme: https
  X-Scheme: https
  X-Original-Forwarded-For: 10.9.9.9
  !Proxy
`,
})

// Forwarded tells the upstream who asks.
type Forwarded struct {
	Used
	Append      bool   `json:"append,omitempty"`
	OriginalURI bool   `json:"originalURI,omitempty"`
	HostHeader  string `json:"hostHeader,omitempty"`
	Aliases     bool   `json:"aliases,omitempty"` // clients may use names that look like ours
}

// PolicyName returns "forwarded-headers".
func (*Forwarded) PolicyName() string { return "forwarded-headers" }

// Phase returns Rewrite.
func (*Forwarded) Phase() exchange.Phase { return exchange.Rewrite }

// Build makes the step.
func (p *Forwarded) Build(*Env) (any, error) { return p, nil }

// ours marks the fields that only we may send.
var ours = func() (t [256]bool) {
	for _, k := range []message.Known{
		message.Proxy, message.XForwardedFor, message.XForwardedHost, message.XForwardedPort, message.XForwardedProto,
		message.XForwardedScheme, message.XOriginalForwardedFor, message.XOriginalForwardedHost, message.XRealIP,
		message.XRequestID, message.XScheme,
	} {
		t[k] = true
	}
	return t
}()

func isOurs(f *message.Field) bool { return ours[f.Known()] }

// Request sets the fields. It allocates nothing.
func (p *Forwarded) Request(x *exchange.Exchange) *exchange.Reply {
	in, out := &x.In.Header, &x.Out.Header
	out.DeleteFunc(isOurs)
	if p.Aliases {
		out.DeleteFunc(isAlias)
	}
	client := x.Text(x.ClientIP.AppendTo(x.Bytes()))
	if x.RequestID != "" {
		out.AddKnown(message.XRequestID, x.RequestID)
	}
	out.AddKnown(message.XRealIP, client)
	theirs := joined(x, in)
	if p.Append && theirs != "" {
		b := append(append(x.Bytes(), theirs...), ", "...)
		out.AddKnown(message.XForwardedFor, x.Text(x.Conn.Client.Addr().Unmap().AppendTo(b)))
	} else {
		out.AddKnown(message.XForwardedFor, client)
	}
	out.AddKnown(message.XForwardedHost, x.Host)
	out.AddKnown(message.XForwardedPort, x.Port)
	out.AddKnown(message.XForwardedProto, x.Scheme)
	out.AddKnown(message.XForwardedScheme, x.Scheme)
	out.AddKnown(message.XScheme, x.Scheme)
	if theirs != "" {
		out.AddKnown(message.XOriginalForwardedFor, theirs)
	}
	if v := in.Get(p.HostHeader); v != "" {
		out.AddKnown(message.XOriginalForwardedHost, v)
	}
	if p.OriginalURI {
		out.Set("X-Original-URI", x.In.Target)
	}
	return nil
}

// joined returns the client's X-Forwarded-For, several fields as one list.
func joined(x *exchange.Exchange, h *message.Header) string {
	one, n := "", 0
	for i := range h.Len() {
		if f := h.At(i); f.Known() == message.XForwardedFor && f.Value != "" {
			one = f.Value
			n++
		}
	}
	if n < 2 {
		return one
	}
	b := x.Bytes()
	for i := range h.Len() {
		if f := h.At(i); f.Known() == message.XForwardedFor && f.Value != "" {
			if len(b) > 0 {
				b = append(b, ", "...)
			}
			b = append(b, f.Value...)
		}
	}
	return x.Text(b)
}
