package message

import "unsafe"

// String views b as a string without copying it. The bytes must not change while
// the string is in use: the codecs call it for buffers that live as long as the
// exchange, nobody else does.
func String(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
