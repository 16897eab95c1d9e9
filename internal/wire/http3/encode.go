package http3

import (
	"fmt"
	"strconv"

	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/quic-go/quicvarint"
)

// Heads are written without QPACK's tables but for the name of the status: that costs
// some bytes on the wire, and neither memory per connection nor time.

// prefix begins every field section: nothing of the dynamic table is needed (RFC 9204,
// section 4.5.1).
const prefix = "\x00\x00"

// staticStatus returns the index of a whole :status field in QPACK's static table.
func staticStatus(status int) byte {
	switch status {
	case 103:
		return 24
	case 200:
		return 25
	case 304:
		return 26
	case 404:
		return 27
	case 503:
		return 28
	}
	return 0
}

// frameRoom is what the type and the length of a HEADERS frame take.
const frameRoom = 1 + 4

// appendHead appends a HEADERS frame with a head; a bodyless one has no Content-Length
// of 0.
func appendHead(b []byte, r *message.Response, bodyless bool) ([]byte, error) {
	at := len(b)
	b = append(b, make([]byte, frameRoom)...)
	b = append(b, prefix...)
	if i := staticStatus(r.Status); i != 0 {
		b = append(b, 0xc0|i)
	} else {
		b = append(b, 0x5f, 24-15, 3, byte('0'+r.Status/100), byte('0'+r.Status/10%10), byte('0'+r.Status%10))
	}
	if r.Length >= 0 && !(bodyless && r.Length == 0) && r.Status >= 200 && r.Status != 204 {
		b = append(b, 0x54) // content-length is 4 in the static table
		n := len(b)
		b = append(b, 0)
		b = strconv.AppendInt(b, r.Length, 10)
		b[n] = byte(len(b) - n - 1)
	}
	b, err := appendFields(b, &r.Header)
	if err != nil {
		return nil, err
	}
	return endFrame(b, at), nil
}

// appendTrailers appends a HEADERS frame with a trailer section.
func appendTrailers(b []byte, h *message.Header) ([]byte, error) {
	at := len(b)
	b = append(b, make([]byte, frameRoom)...)
	b = append(b, prefix...)
	b, err := appendFields(b, h)
	if err != nil {
		return nil, err
	}
	return endFrame(b, at), nil
}

// endFrame fills in the header of the HEADERS frame that begins at at.
func endFrame(b []byte, at int) []byte {
	b[at] = frameHeaders
	quicvarint.AppendWithLen(b[:at+1], uint64(len(b)-at-frameRoom), frameRoom-1)
	return b
}

// appendFields appends the fields of a header, without those that frame the body or
// belong to a connection.
func appendFields(b []byte, h *message.Header) ([]byte, error) {
	for i := range h.Len() {
		f := h.At(i)
		first := byte(0x20)
		switch f.Known() {
		case message.Connection, message.ContentLength, message.KeepAlive, message.ProxyConnection,
			message.TransferEncoding, message.Upgrade, message.TE:
			continue
		case message.SetCookie, message.Authorization:
			first |= 0x10 // for values that compression could leak
		}
		b = appendInt(b, first, 3, len(f.Name))
		var ok bool
		if b, ok = http2.AppendLower(b, f.Name); !ok {
			return nil, fmt.Errorf("field name %q: must be a token", f.Name)
		}
		if !http2.Sendable(f.Value) {
			return nil, fmt.Errorf("value of field %q: must not have control characters", f.Name)
		}
		b = appendInt(b, 0, 7, len(f.Value))
		b = append(b, f.Value...)
	}
	return b, nil
}

// appendInt appends n with a prefix of so many bits; first is the rest of that byte
// (RFC 7541, section 5.1).
func appendInt(b []byte, first byte, bits uint, n int) []byte {
	most := 1<<bits - 1
	if n < most {
		return append(b, first|byte(n))
	}
	b = append(b, first|byte(most))
	for n -= most; n >= 128; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}
