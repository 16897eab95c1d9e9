package proxy

import (
	"errors"
	"io"
	"os"

	"github.com/pierhead/pierhead/internal/loop"
)

// heldInMemory is the largest request body that is held in memory; a larger one
// goes to a temporary file.
const heldInMemory = 64 << 10

// heldBody is a request body read whole before an endpoint is asked, so that a slow
// client does not occupy one and another try can send it again.
type heldBody struct {
	l    *loop.Loop
	mem  []byte   // a buffer of the loop: all of the body, or what the file does not have yet
	n    int      // bytes of mem in use
	file *os.File // nil while everything is in mem; has no name any more
	size int64    // bytes in all
}

// fill reads body to its end. More than limit bytes are errBodyTooLarge; 0 is no
// limit. The files are made in dir.
func (h *heldBody) fill(l *loop.Loop, body io.Reader, limit int64, dir string) error {
	h.l = l
	h.mem = l.Small()
	for {
		if h.n == len(h.mem) || h.file == nil && h.n >= heldInMemory {
			if err := h.grow(dir); err != nil {
				return err
			}
		}
		n, err := body.Read(h.mem[h.n:])
		h.n += n
		h.size += int64(n)
		if limit > 0 && h.size > limit {
			return errBodyTooLarge
		}
		if err == io.EOF {
			if h.file == nil {
				return nil
			}
			return h.spill()
		}
		if err != nil {
			return err
		}
	}
}

// grow makes room: first by a larger buffer, then by a file.
func (h *heldBody) grow(dir string) error {
	if len(h.mem) == loop.SmallSize {
		big := h.l.Big()
		copy(big, h.mem[:h.n])
		h.l.PutSmall(h.mem)
		h.mem = big
		return nil
	}
	if h.file == nil {
		if err := h.open(dir); err != nil {
			return err
		}
	}
	return h.spill()
}

// open makes the file and removes its name at once: whatever happens to this
// process, nothing of the body stays on the disk.
func (h *heldBody) open(dir string) (err error) {
	if stopped := h.l.Await(func() {
		if h.file, err = os.CreateTemp(dir, "pierhead-body-*"); err == nil {
			err = os.Remove(h.file.Name())
		}
	}); stopped != nil {
		return stopped
	}
	if err != nil {
		return &holdError{err}
	}
	return nil
}

// spill moves what is in memory to the end of the file.
func (h *heldBody) spill() (err error) {
	if h.n == 0 {
		return nil
	}
	if stopped := h.l.Await(func() { _, err = h.file.Write(h.mem[:h.n]) }); stopped != nil {
		return stopped
	}
	h.n = 0
	if err != nil {
		return &holdError{err}
	}
	return nil
}

// writeTo sends the whole body with write, as often as it is called.
func (h *heldBody) writeTo(write func([]byte) error) error {
	if h.file == nil {
		if h.n == 0 {
			return nil
		}
		return write(h.mem[:h.n])
	}
	for off := int64(0); off < h.size; {
		var n int
		var err error
		if stopped := h.l.Await(func() { n, err = h.file.ReadAt(h.mem, off) }); stopped != nil {
			return stopped
		}
		if n == 0 {
			return &holdError{errors.Join(io.ErrUnexpectedEOF, err)}
		}
		if err := write(h.mem[:n]); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// drop gives the memory and the file back.
func (h *heldBody) drop() {
	switch len(h.mem) {
	case loop.SmallSize:
		h.l.PutSmall(h.mem)
	case loop.BigSize:
		h.l.PutBig(h.mem)
	}
	if h.file != nil {
		go h.file.Close() // giving back the blocks of a large file takes a while
	}
	*h = heldBody{}
}

// holdError is a failure of this machine, not of the client: the temporary file
// could not be made, written or read.
type holdError struct{ err error }

func (e *holdError) Error() string { return "request body cannot be held: " + e.err.Error() }
func (e *holdError) Unwrap() error { return e.err }

var errBodyTooLarge = errors.New("request body is larger than proxy-body-size")
