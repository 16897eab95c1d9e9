package http1

import (
	"strconv"
	"time"
	"unsafe"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// How the end of a body is told.
type bodyMode uint8

const (
	noBody     bodyMode = iota // there is none
	byLength                   // Content-Length
	byChunks                   // Transfer-Encoding: chunked
	untilClose                 // the end of the connection
)

// copyLimit is up to which size a piece of a body is copied behind what is held
// back, so that both leave in one piece of memory.
const copyLimit = 4 << 10

// output is the writing side of a connection: it frames a body and holds back a
// head until the first piece of body. It holds a buffer only while something in it
// waits to be sent.
type output struct {
	s     loop.Stream
	buf   []byte
	mode  bodyMode
	left  int64 // of byLength
	sent  int64
	err   error // of the first write that failed
	armed bool  // the stream has a bound of ours
	final bool  // nothing follows this message
}

// begin makes o ready for the next message. In each timeout the other side must take
// something of it; 0 leaves the stream's bound alone, unless it is one of ours.
func (o *output) begin(timeout time.Duration) {
	if timeout > 0 || o.armed {
		o.s.SetWriteTimeout(timeout)
		o.armed = timeout > 0
	}
	o.mode, o.left, o.sent, o.final = noBody, 0, 0, false
}

// room makes sure that n more bytes can be appended to buf without moving it.
func (o *output) room(n int) {
	if cap(o.buf)-len(o.buf) >= n {
		return
	}
	b := buffer(o.s.Loop(), len(o.buf)+n)
	b = append(b[:0], o.buf...)
	o.release()
	o.buf = b
}

// release gives the buffer back, and with it what it holds.
func (o *output) release() {
	if o.buf != nil {
		putBuffer(o.s.Loop(), o.buf)
		o.buf = nil
	}
}

// flush sends what is held back.
func (o *output) flush() error {
	if o.err != nil || len(o.buf) == 0 {
		return o.err
	}
	_, o.err = o.s.Write(o.buf)
	o.done(int64(len(o.buf)))
	return o.err
}

// done follows a write of n bytes, which was all that was held back.
func (o *output) done(n int64) {
	if o.err == nil {
		o.sent += n
	}
	o.release()
}

// send sends what is held back and then p, if possible in one system call.
func (o *output) send(p []byte) error {
	n := int64(len(o.buf) + len(p))
	switch {
	case o.err != nil || n == 0:
		return o.err
	case len(p) == 0:
		return o.flush()
	case len(o.buf) == 0:
		_, o.err = o.s.Write(p)
	case len(p) <= copyLimit:
		o.room(len(p))
		o.buf = append(o.buf, p...)
		return o.flush()
	default:
		o.err = o.s.WriteTwo(o.buf, p)
	}
	o.done(n)
	return o.err
}

// write sends a piece of the body.
func (o *output) write(p []byte) error {
	if len(p) == 0 || o.err != nil {
		return o.err
	}
	switch o.mode {
	case noBody:
		return ErrSequence
	case byLength:
		if int64(len(p)) > o.left {
			return ErrSequence
		}
		o.left -= int64(len(p))
	case byChunks:
		o.size(len(p))
		if len(p) <= copyLimit {
			o.room(len(p) + 2)
			o.buf = append(append(o.buf, p...), '\r', '\n')
			return o.flush()
		}
		if err := o.send(p); err != nil {
			return err
		}
		o.room(2) // leaves with what comes next
		o.buf = append(o.buf, '\r', '\n')
		return nil
	}
	return o.send(p)
}

// size appends the line before a chunk of n bytes.
func (o *output) size(n int) {
	o.room(20)
	o.buf = append(strconv.AppendInt(o.buf, int64(n), 16), '\r', '\n')
}

// finish sends the last piece of the body, which may be empty, and its end.
func (o *output) finish(p []byte, trailer *message.Header) error {
	if o.err != nil {
		return o.err
	}
	if o.mode != byChunks {
		o.ending()
		if err := o.write(p); err != nil {
			return err
		}
		if o.left > 0 {
			return ErrSequence
		}
		return o.flush()
	}
	switch {
	case len(p) > copyLimit:
		if err := o.write(p); err != nil {
			return err
		}
	case len(p) > 0:
		o.size(len(p))
		o.room(len(p) + 2)
		o.buf = append(append(o.buf, p...), '\r', '\n')
	}
	o.room(8 + fieldBytes(trailer))
	o.buf = append(o.buf, "0\r\n"...)
	if trailer != nil {
		for i := range trailer.Len() {
			if f := trailer.At(i); !trailerForbidden(f.Known()) {
				if fault := o.field(f); fault != NoFault {
					return fault
				}
			}
		}
	}
	o.buf = append(o.buf, '\r', '\n')
	o.ending()
	return o.flush()
}

// ending tells the stream that the next write is its last one, where it is: TLS says
// goodbye along with it.
func (o *output) ending() {
	if s, ok := o.s.(interface{ Last() }); ok && o.final {
		s.Last()
	}
}

// fieldBytes returns how many bytes the fields of h take at most.
func fieldBytes(h *message.Header) int {
	if h == nil {
		return 0
	}
	n := 0
	for i := range h.Len() {
		f := h.At(i)
		n += len(f.Name) + len(f.Value) + 4
	}
	return n
}

// fields appends the fields of h but for those that frame the body or the
// connection.
func (o *output) fields(h *message.Header) Fault {
	for i := range h.Len() {
		if f := h.At(i); !framed(f.Known()) {
			if fault := o.field(f); fault != NoFault {
				return fault
			}
		}
	}
	return NoFault
}

// field appends one field line. It looks at the name and value again, since they
// may have been made by a policy out of anything.
func (o *output) field(f *message.Field) Fault {
	if f.Known() == message.Other && !isToken(view(f.Name)) {
		return BadName
	}
	v := view(f.Value)
	if valueEnd(v, 0) != len(v) {
		return BadValue
	}
	o.buf = append(o.buf, f.Name...)
	o.buf = append(o.buf, ':', ' ')
	o.buf = append(o.buf, f.Value...)
	o.buf = append(o.buf, '\r', '\n')
	return NoFault
}

// contentLength appends the field of that name.
func (o *output) contentLength(n int64) {
	o.buf = append(o.buf, "Content-Length: "...)
	o.buf = append(strconv.AppendInt(o.buf, n, 10), '\r', '\n')
}

// view looks at the bytes of s, which nobody may change.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
