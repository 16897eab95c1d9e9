package message

import "strings"

// Known numbers the field names that the data plane itself looks at, so that a
// look-up compares a byte and not a string.
type Known uint8

// The known names. Other stands for all the rest.
const (
	Other Known = iota
	Accept
	AcceptEncoding
	Age
	AltSvc
	Authorization
	CacheControl
	Connection
	ContentEncoding
	ContentLength
	ContentType
	Cookie
	Date
	ETag
	Expect
	Host
	KeepAlive
	Location
	Origin
	Proxy
	ProxyAuthenticate
	ProxyAuthorization
	ProxyConnection
	Range
	Referer
	Refresh
	RetryAfter
	Server
	SetCookie
	StrictTransportSecurity
	TE
	Trailer
	TransferEncoding
	Upgrade
	UserAgent
	Vary
	Via
	WWWAuthenticate
	XForwardedFor
	XForwardedHost
	XForwardedPort
	XForwardedProto
	XForwardedScheme
	XOriginalForwardedFor
	XOriginalForwardedHost
	XRealIP
	XRequestID
	XScheme
	numKnown
)

var knownNames = [numKnown]string{
	Other: "", Accept: "Accept", AcceptEncoding: "Accept-Encoding", Age: "Age", AltSvc: "Alt-Svc",
	Authorization: "Authorization", CacheControl: "Cache-Control", Connection: "Connection",
	ContentEncoding: "Content-Encoding", ContentLength: "Content-Length", ContentType: "Content-Type",
	Cookie: "Cookie", Date: "Date", ETag: "ETag", Expect: "Expect", Host: "Host", KeepAlive: "Keep-Alive",
	Location: "Location", Origin: "Origin", Proxy: "Proxy", ProxyAuthenticate: "Proxy-Authenticate",
	ProxyAuthorization: "Proxy-Authorization", ProxyConnection: "Proxy-Connection", Range: "Range",
	Referer: "Referer", Refresh: "Refresh", RetryAfter: "Retry-After", Server: "Server", SetCookie: "Set-Cookie",
	StrictTransportSecurity: "Strict-Transport-Security", TE: "TE", Trailer: "Trailer",
	TransferEncoding: "Transfer-Encoding", Upgrade: "Upgrade", UserAgent: "User-Agent", Vary: "Vary", Via: "Via",
	WWWAuthenticate: "WWW-Authenticate", XForwardedFor: "X-Forwarded-For", XForwardedHost: "X-Forwarded-Host",
	XForwardedPort: "X-Forwarded-Port", XForwardedProto: "X-Forwarded-Proto", XForwardedScheme: "X-Forwarded-Scheme",
	XOriginalForwardedFor: "X-Original-Forwarded-For", XOriginalForwardedHost: "X-Original-Forwarded-Host",
	XRealIP: "X-Real-IP", XRequestID: "X-Request-ID", XScheme: "X-Scheme",
}

// String returns the name as it is usually written.
func (k Known) String() string { return knownNames[k] }

// knownIndex finds a name by its length and three of its letters. Two names that
// meet stand one after the other; TestKnownNames holds that few do.
var knownIndex = func() (t [1024]Known) {
	for k := Other + 1; k < numKnown; k++ {
		i := knownHash(knownNames[k])
		for t[i] != Other {
			i = (i + 1) & 1023
		}
		t[i] = k
	}
	return t
}()

func knownHash(s string) uint32 {
	n := len(s)
	a, b, c := uint32(s[0]|0x20), uint32(s[n-1]|0x20), uint32(s[n/2]|0x20)
	return (uint32(n)*131 + a*31 + b*17 + c*7) & 1023
}

// longestKnown is the length of the longest of the names above.
var longestKnown = func() (n int) {
	for _, s := range knownNames {
		n = max(n, len(s))
	}
	return n
}()

// LookupKnown returns the number of a field name, or Other.
func LookupKnown(name string) Known {
	if n := len(name); n < 2 || n > longestKnown {
		return Other
	}
	for i := knownHash(name); ; i = (i + 1) & 1023 {
		k := knownIndex[i]
		if k == Other {
			return Other
		}
		if s := knownNames[k]; s == name || len(s) == len(name) && strings.EqualFold(s, name) {
			return k
		}
	}
}
