package http3

import (
	"github.com/pierhead/pierhead/internal/wire/http2"
	"github.com/quic-go/quic-go"
)

// The error codes of HTTP/3 (RFC 9114, section 8.1) and QPACK (RFC 9204, section 6).
const (
	codeNo                = 0x100
	codeGeneral           = 0x101
	codeInternal          = 0x102
	codeStreamCreation    = 0x103
	codeClosedCritical    = 0x104
	codeFrameUnexpected   = 0x105
	codeFrame             = 0x106
	codeExcessiveLoad     = 0x107
	codeID                = 0x108
	codeSettings          = 0x109
	codeMissingSettings   = 0x10a
	codeRequestRejected   = 0x10b
	codeRequestCancelled  = 0x10c
	codeRequestIncomplete = 0x10d
	codeMessage           = 0x10e
	codeDecompression     = 0x200
	codeEncoderStream     = 0x201
	codeDecoderStream     = 0x202
)

// connError ends the whole connection: the client broke the protocol.
type connError struct {
	code quic.ApplicationErrorCode
	text string
}

func (e *connError) Error() string { return "http3: " + e.text }

// streamError ends one request.
type streamError struct {
	code quic.StreamErrorCode
	text string
}

func (e *streamError) Error() string { return "http3: " + e.text }

// Is tells errors.Is that the message is invalid.
func (e *connError) Is(target error) bool { return target == http2.ErrInvalid }

// Is tells errors.Is that the message is invalid.
func (e *streamError) Is(target error) bool { return target == http2.ErrInvalid }
