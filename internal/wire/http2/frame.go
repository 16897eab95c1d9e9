package http2

import (
	"encoding/binary"
	"fmt"
)

// The frame types (RFC 9113, section 6).
const (
	frameData         = 0
	frameHeaders      = 1
	framePriority     = 2
	frameRSTStream    = 3
	frameSettings     = 4
	framePushPromise  = 5
	framePing         = 6
	frameGoAway       = 7
	frameWindowUpdate = 8
	frameContinuation = 9

	framePriorityUpdate = 16 // RFC 9218
)

// The flags that frames carry.
const (
	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// The settings that we look at or send (RFC 9113, section 6.5.2).
const (
	settingEnablePush        = 2
	settingMaxStreams        = 3
	settingInitialWindowSize = 4
	settingMaxFrameSize      = 5
	settingMaxHeaderList     = 6
	settingNoPriorities      = 9 // RFC 9218: those of RFC 7540 are not used
)

const (
	preface    = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	headerSize = 9     // of a frame
	maxFrame   = 16384 // what SETTINGS_MAX_FRAME_SIZE is when nobody changes it: neither side of ours does
	maxWindow  = 1<<31 - 1
	idMask     = 1<<31 - 1
)

// ErrCode is an error code of RST_STREAM and GOAWAY (RFC 9113, section 7).
type ErrCode uint32

// The codes in use.
const (
	CodeNo              ErrCode = 0x0
	CodeProtocol        ErrCode = 0x1
	CodeInternal        ErrCode = 0x2
	CodeFlowControl     ErrCode = 0x3
	CodeStreamClosed    ErrCode = 0x5
	CodeFrameSize       ErrCode = 0x6
	CodeRefusedStream   ErrCode = 0x7
	CodeCancel          ErrCode = 0x8
	CodeCompression     ErrCode = 0x9
	CodeEnhanceYourCalm ErrCode = 0xb
)

var codeNames = map[ErrCode]string{
	CodeNo: "NO_ERROR", CodeProtocol: "PROTOCOL_ERROR", CodeInternal: "INTERNAL_ERROR",
	CodeFlowControl: "FLOW_CONTROL_ERROR", CodeStreamClosed: "STREAM_CLOSED", CodeFrameSize: "FRAME_SIZE_ERROR",
	CodeRefusedStream: "REFUSED_STREAM", CodeCancel: "CANCEL", CodeCompression: "COMPRESSION_ERROR",
	CodeEnhanceYourCalm: "ENHANCE_YOUR_CALM",
}

// String returns the code's name in the standard.
func (c ErrCode) String() string {
	if s := codeNames[c]; s != "" {
		return s
	}
	return fmt.Sprintf("error code %#x", uint32(c))
}

// ConnError is why a connection was ended by us: the client broke the protocol or
// strained the server.
type ConnError struct {
	Code   ErrCode
	Reason string
}

// Error returns the code and the reason.
func (e *ConnError) Error() string { return "http2: " + e.Code.String() + ": " + e.Reason }

// frame is the head of one frame.
type frame struct {
	length int
	kind   uint8
	flags  uint8
	id     uint32
}

// parseFrame reads the nine bytes that begin a frame.
func parseFrame(p []byte) frame {
	_ = p[8]
	return frame{
		length: int(p[0])<<16 | int(p[1])<<8 | int(p[2]),
		kind:   p[3],
		flags:  p[4],
		id:     binary.BigEndian.Uint32(p[5:]) & idMask,
	}
}

func (f frame) has(flag uint8) bool { return f.flags&flag != 0 }

// appendFrame appends the head of a frame.
func appendFrame(b []byte, length int, kind, flags uint8, id uint32) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(b, id)
}

// setLength writes the length of the frame that begins at b[at].
func setLength(b []byte, at, n int) {
	b[at], b[at+1], b[at+2] = byte(n>>16), byte(n>>8), byte(n)
}
