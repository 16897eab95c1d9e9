package http1

import (
	"io"

	"github.com/pierhead/pierhead/internal/loop"
)

// minRoom is how much room after a head the lines between the chunks of its body
// must have; with less, they get a buffer of their own.
const minRoom = 4 << 10

// input is the reading side of a connection. It holds a buffer of the loop while
// something in it is still needed, and none otherwise.
//
// The buffer holds, in this order: a head that is in use (below base), bytes that
// are done with, bytes that were read and not used yet (r to w), room.
type input struct {
	s    loop.Stream
	buf  []byte
	base int
	r, w int
	head []byte // buffer of a head whose body needed another one
}

// buffered returns the bytes that were read and not used yet.
func (in *input) buffered() []byte { return in.buf[in.r:in.w] }

// read reads more into the buffer, which has room. It may wait.
func (in *input) read() error {
	n, err := in.s.Read(in.buf[in.w:])
	in.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// trier is a Stream that can be read without waiting.
type trier interface {
	TryRead(p []byte) (int, error)
}

// first begins to read a head. It returns false when nothing has come, and then
// holds no buffer; what else there is to know, the next read tells.
func (in *input) first() bool {
	s, ok := in.s.(trier)
	if !ok {
		return true
	}
	in.buf = in.s.Loop().Small()
	in.r, in.w, in.base = 0, 0, 0
	n, err := s.TryRead(in.buf)
	in.w = n
	return n > 0 || err != nil || in.s.Ready()
}

// moreHead reads more of a head of at most limit bytes. It reports whether the bytes
// at hand have moved.
func (in *input) moreHead(limit int) (moved bool, err error) {
	switch {
	case in.buf == nil:
		in.buf = in.s.Loop().Small()
		in.r, in.w, in.base = 0, 0, 0
	case in.w < len(in.buf):
	case in.r > 0:
		in.w = copy(in.buf, in.buffered())
		in.r, moved = 0, true
	default:
		old := in.buf
		in.buf = buffer(in.s.Loop(), max(limit+minRoom, 2*len(old)))
		copy(in.buf, old)
		putBuffer(in.s.Loop(), old)
		moved = true
	}
	return moved, in.read()
}

// take marks n bytes as used: a head, which stays where it is until drop.
func (in *input) take(n int) {
	in.r += n
	in.base = in.r
}

// more reads more of a body: the head stays where it is.
func (in *input) more() error {
	if in.buf == nil {
		in.buf = in.s.Loop().Small()
		in.r, in.w, in.base = 0, 0, 0
	}
	if in.r == in.w {
		in.r, in.w = in.base, in.base
	}
	if len(in.buf)-in.base < minRoom {
		fresh := in.s.Loop().Small()
		in.w = copy(fresh, in.buffered())
		in.head, in.buf, in.r, in.base = in.buf, fresh, 0, 0
	} else if in.w == len(in.buf) && in.r > in.base {
		in.w = in.base + copy(in.buf[in.base:], in.buffered())
		in.r = in.base
	}
	if in.w == len(in.buf) {
		return io.ErrShortBuffer
	}
	return in.read()
}

// drop ends the use of the head; bytes that were not used yet stay.
func (in *input) drop() {
	if in.head != nil {
		putBuffer(in.s.Loop(), in.head)
		in.head = nil
	}
	in.base = 0
	if in.r == in.w {
		in.release()
	}
}

// release gives all buffers back.
func (in *input) release() {
	if in.head != nil {
		putBuffer(in.s.Loop(), in.head)
	}
	if in.buf != nil {
		putBuffer(in.s.Loop(), in.buf)
	}
	*in = input{s: in.s}
}

// buffer takes a buffer of at least n bytes from the loop.
func buffer(l *loop.Loop, n int) []byte {
	switch {
	case n <= loop.SmallSize:
		return l.Small()
	case n <= loop.BigSize:
		return l.Big()
	}
	return make([]byte, n)
}

// putBuffer gives a buffer back to the loop it came from.
func putBuffer(l *loop.Loop, b []byte) {
	b = b[:cap(b)]
	switch len(b) {
	case loop.SmallSize:
		l.PutSmall(b)
	case loop.BigSize:
		l.PutBig(b)
	}
}
