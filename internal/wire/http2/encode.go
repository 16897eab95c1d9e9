package http2

import (
	"fmt"
	"strconv"

	"github.com/pierhead/pierhead/internal/message"
)

// Answers are written without HPACK's dynamic table: names from the static table
// where it has them, everything else as it is. That costs some bytes on the wire
// and neither memory per connection nor time.

// staticName holds the index of a known name in HPACK's static table (RFC 7541,
// appendix A), 0 when it is not there.
var staticName = func() (t [256]uint8) {
	for k, i := range map[message.Known]uint8{
		message.Accept: 19, message.AcceptEncoding: 16, message.Age: 21, message.Authorization: 23,
		message.CacheControl: 24, message.ContentEncoding: 26, message.ContentLength: 28, message.ContentType: 31,
		message.Cookie: 32, message.Date: 33, message.ETag: 34, message.Expect: 35, message.Host: 38,
		message.Location: 46, message.ProxyAuthenticate: 48, message.ProxyAuthorization: 49, message.Range: 50,
		message.Referer: 51, message.Refresh: 52, message.RetryAfter: 53, message.Server: 54, message.SetCookie: 55,
		message.StrictTransportSecurity: 56, message.UserAgent: 58, message.Vary: 59, message.Via: 60,
		message.WWWAuthenticate: 61,
	} {
		t[k] = i
	}
	return t
}()

const (
	nameStatus        = 8
	nameContentLength = 28
	noTable           = 0x20 // dynamic table size update to 0
	neverIndexed      = 0x10 // for values that compression could leak
)

// staticStatus returns the index of a whole :status field in the static table.
func staticStatus(status int) byte {
	switch status {
	case 200:
		return 8
	case 204:
		return 9
	case 206:
		return 10
	case 304:
		return 11
	case 400:
		return 12
	case 404:
		return 13
	case 500:
		return 14
	}
	return 0
}

// head queues a head, and returns where it begins. When a field is not valid
// nothing is queued.
func (s *stream) head(r *message.Response, flags uint8) (int, error) {
	c := s.c
	c.queue(0, frameHeaders, flags|flagEndHeaders, s.id)
	at := len(c.out) - headerSize
	sized := c.sized
	if !c.sized {
		c.sized = true
		c.out = append(c.out, noTable)
	}
	c.out = appendStatus(c.out, r.Status)
	if r.Length >= 0 && !(s.bodyless && r.Length == 0) && r.Status >= 200 && r.Status != 204 {
		c.out = appendName(c.out, nameContentLength)
		c.out = appendNumber(c.out, r.Length)
	}
	out, err := appendFields(c.out, &r.Header, false)
	if err != nil {
		c.out, c.sized = c.out[:at], sized
		return 0, err
	}
	c.out = out
	s.endBlock(at)
	return at, nil
}

// trailers queues the trailer section, which ends the stream.
func (s *flow) trailers(t *message.Header) error {
	c := s.conn
	c.queue(0, frameHeaders, flagEndHeaders|flagEndStream, s.id)
	at := len(c.out) - headerSize
	out, err := appendFields(c.out, t, false)
	if err != nil {
		c.out = c.out[:at]
		return err
	}
	c.out = out
	s.endBlock(at)
	return nil
}

// endBlock completes the frame that begins at at, and cuts it in several when it is
// too large for one.
func (s *flow) endBlock(at int) {
	c := s.conn
	n := len(c.out) - at - headerSize
	if n <= maxFrame {
		setLength(c.out, at, n)
		s.sent += int64(headerSize + n)
		return
	}
	setLength(c.out, at, maxFrame)
	c.out[at+4] &^= flagEndHeaders
	rest := append([]byte(nil), c.out[at+headerSize+maxFrame:]...)
	c.out = c.out[:at+headerSize+maxFrame]
	s.sent += headerSize + maxFrame
	for len(rest) > 0 {
		k, flags := min(len(rest), maxFrame), uint8(0)
		if k == len(rest) {
			flags = flagEndHeaders
		}
		c.out = appendFrame(c.out, k, frameContinuation, flags, s.id)
		c.out = append(c.out, rest[:k]...)
		rest = rest[k:]
		s.sent += int64(headerSize + k)
	}
}

// appendFields appends the fields of a header, without those that frame the body or
// belong to a connection. A request may say that it takes trailers.
func appendFields(out []byte, h *message.Header, request bool) ([]byte, error) {
	for i := range h.Len() {
		f := h.At(i)
		known, first := f.Known(), byte(0)
		switch known {
		case message.Connection, message.ContentLength, message.KeepAlive, message.ProxyConnection,
			message.TransferEncoding, message.Upgrade:
			continue
		case message.TE:
			if !request || f.Value != "trailers" {
				continue
			}
		case message.Host:
			if request { // it stands in :authority
				continue
			}
		case message.SetCookie, message.Authorization:
			first = neverIndexed
		}
		at := len(out)
		if k := staticName[known]; k != 0 {
			out = appendName(out, k)
			out[at] |= first
		} else {
			out = append(out, first)
			out = appendInt(out, len(f.Name))
			var ok bool
			if out, ok = AppendLower(out, f.Name); !ok {
				return nil, fmt.Errorf("field name %q: must be a token", f.Name)
			}
		}
		if !Sendable(f.Value) {
			return nil, fmt.Errorf("value of field %q: must not have control characters", f.Name)
		}
		out = appendInt(out, len(f.Value))
		out = append(out, f.Value...)
	}
	return out, nil
}

// AppendLower appends the name of a field in lower case, and reports whether it is one.
func AppendLower(b []byte, name string) ([]byte, bool) {
	for i := 0; i < len(name); i++ {
		x := lower[name[i]]
		if x == 0 {
			return b, false
		}
		b = append(b, x)
	}
	return b, name != ""
}

// Sendable reports whether v can be sent as a value: what would make a client call
// the whole answer malformed.
func Sendable(v string) bool {
	for i := 0; i < len(v); i++ {
		if c := v[i]; c == 0 || c == '\r' || c == '\n' {
			return false
		}
	}
	return true
}

func appendStatus(b []byte, status int) []byte {
	if i := staticStatus(status); i != 0 {
		return append(b, 0x80|i)
	}
	b = appendName(b, nameStatus)
	return append(b, 3, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
}

// appendName begins a literal field without indexing whose name is in the static
// table.
func appendName(b []byte, index uint8) []byte {
	if index < 15 {
		return append(b, index)
	}
	return append(b, 15, index-15)
}

// appendNumber appends n as a value.
func appendNumber(b []byte, n int64) []byte {
	at := len(b)
	b = append(b, 0)
	b = strconv.AppendInt(b, n, 10)
	b[at] = byte(len(b) - at - 1)
	return b
}

// appendInt appends a length with a prefix of seven bits (RFC 7541, section 5.1).
func appendInt(b []byte, n int) []byte {
	if n < 127 {
		return append(b, byte(n))
	}
	b = append(b, 127)
	for n -= 127; n >= 128; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}
