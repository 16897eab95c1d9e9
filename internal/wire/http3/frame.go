package http3

import (
	"io"

	"github.com/quic-go/quic-go/quicvarint"
)

// The types of frames (RFC 9114, section 7.2).
const (
	frameData        = 0x0
	frameHeaders     = 0x1
	frameCancelPush  = 0x3
	frameSettings    = 0x4
	framePushPromise = 0x5
	frameGoAway      = 0x7
	frameMaxPushID   = 0xd
)

// known reports whether a frame type has a meaning in HTTP/3, or is forbidden since it
// had one in HTTP/2. All others are passed over.
func known(kind uint64) bool {
	return kind <= frameGoAway && kind != 0x2 || fromHTTP2(kind) || kind == frameMaxPushID
}

// fromHTTP2 reports whether a frame type is one of HTTP/2 that HTTP/3 has no use for.
func fromHTTP2(kind uint64) bool { return kind == 0x2 || kind == 0x6 || kind == 0x8 || kind == 0x9 }

// readSize is the memory of a reader: enough for most heads.
const readSize = 2 << 10

// reader reads frames from a stream. Only one goroutine at a time uses it.
type reader struct {
	src io.Reader
	buf []byte
	off int  // of buf, what was taken
	eof bool // nothing follows what is in buf
}

// smallSize is the memory of a reader of a stream on which little comes: three of them
// stay as long as a connection.
const smallSize = 64

func smallReader(src io.Reader) *reader { return &reader{src: src, buf: make([]byte, 0, smallSize)} }

// fill reads more, keeping what was not taken.
func (r *reader) fill() error {
	if r.eof {
		return io.EOF
	}
	if r.buf == nil {
		r.buf = make([]byte, 0, readSize)
	}
	if r.off > 0 {
		n := copy(r.buf[:cap(r.buf)], r.buf[r.off:])
		r.buf, r.off = r.buf[:n], 0
	}
	n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf = r.buf[:len(r.buf)+n]
	if err == io.EOF {
		r.eof = true
		if n > 0 {
			err = nil
		}
	}
	return err
}

// left returns what was read and not taken.
func (r *reader) left() []byte { return r.buf[r.off:] }

// ended reports whether it is known that nothing follows.
func (r *reader) ended() bool { return r.eof && r.off == len(r.buf) }

// number reads a variable-length integer. At the regular end it answers io.EOF, within a
// number io.ErrUnexpectedEOF.
func (r *reader) number() (uint64, error) {
	for {
		if b := r.left(); len(b) > 0 {
			if size := 1 << (b[0] >> 6); len(b) >= size {
				v, n, err := quicvarint.Parse(b)
				r.off += n
				return v, err
			}
		}
		if err := r.fill(); err != nil {
			if err == io.EOF && len(r.left()) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

// header reads the type and the length of a frame; io.EOF only before it.
func (r *reader) header() (kind, length uint64, err error) {
	if kind, err = r.number(); err != nil {
		return 0, 0, err
	}
	if length, err = r.number(); err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return kind, length, err
}

// Read takes what was read before, or reads.
func (r *reader) Read(p []byte) (int, error) {
	if b := r.left(); len(b) > 0 {
		n := copy(p, b)
		r.off += n
		return n, nil
	}
	if r.eof {
		return 0, io.EOF
	}
	n, err := r.src.Read(p)
	if err == io.EOF {
		r.eof = true
		if n > 0 {
			err = nil
		}
	}
	return n, err
}

// payload reads n bytes, which the caller has bounded.
func (r *reader) payload(n int) ([]byte, error) {
	if b := r.left(); len(b) >= n {
		r.off += n
		return b[:n], nil
	}
	p := make([]byte, n)
	_, err := io.ReadFull(r, p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return p, err
}

// skip reads n bytes and forgets them.
func (r *reader) skip(n uint64) error {
	for n > 0 {
		if b := r.left(); len(b) > 0 {
			k := min(n, uint64(len(b)))
			r.off += int(k)
			n -= k
			continue
		}
		if err := r.fill(); err == io.EOF {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
	}
	return nil
}
