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
// client does not occupy one and another try can send it again. It takes memory as
// bytes come: a client that sends little and slowly costs little.
type heldBody struct {
	l    *loop.Loop
	mem  [heldInMemory / loop.SmallSize][]byte // buffers of the loop: all of the body, or what the file does not have yet
	n    int                                   // bytes of mem in use
	file *os.File                              // nil while everything is in mem; has no name any more
	size int64                                 // bytes in all
}

// fill reads body to its end. More than limit bytes are errBodyTooLarge; 0 is no
// limit. The files are made in dir.
func (h *heldBody) fill(l *loop.Loop, body io.Reader, limit int64, dir string) error {
	h.l = l
	for {
		if h.n == heldInMemory {
			if err := h.spill(dir); err != nil {
				return err
			}
		}
		n, err := body.Read(h.room())
		h.n += n
		h.size += int64(n)
		if limit > 0 && h.size > limit {
			return errBodyTooLarge
		}
		if err == io.EOF {
			if h.file == nil {
				return nil
			}
			return h.spill(dir)
		}
		if err != nil {
			return err
		}
	}
}

// room returns memory for the next bytes.
func (h *heldBody) room() []byte {
	i, used := h.n/loop.SmallSize, h.n%loop.SmallSize
	if h.mem[i] == nil {
		h.mem[i] = h.l.Small()
	}
	return h.mem[i][used:]
}

// each calls f for the bytes in memory, piece by piece.
func (h *heldBody) each(f func([]byte) error) error {
	for i, left := 0, h.n; left > 0; i++ {
		p := h.mem[i][:min(left, loop.SmallSize)]
		left -= len(p)
		if err := f(p); err != nil {
			return err
		}
	}
	return nil
}

// spill moves what is in memory to the end of the file, which it makes first. The
// name of the file goes at once: whatever happens to this process, nothing of the
// body stays on the disk.
func (h *heldBody) spill(dir string) (err error) {
	if stopped := h.store(func() {
		if h.file == nil {
			if h.file, err = os.CreateTemp(dir, "pierhead-body-*"); err == nil {
				err = os.Remove(h.file.Name())
			}
		}
		if err == nil {
			err = h.each(func(p []byte) error { _, err := h.file.Write(p); return err })
		}
	}); stopped != nil {
		return stopped
	}
	h.n = 0
	if err != nil {
		return &holdError{err}
	}
	return nil
}

// storing bounds how many bodies are written or read at once: each takes a thread of the
// system while the disk is slow, and Go ends a process that has ten thousand.
var storing = make(chan struct{}, 256)

// store uses the disk away from the loop.
func (h *heldBody) store(f func()) error {
	return h.l.Await(func() {
		storing <- struct{}{}
		defer func() { <-storing }()
		f()
	})
}

// writeTo sends the whole body with write, as often as it is called.
func (h *heldBody) writeTo(write func([]byte) error) error {
	if h.file == nil {
		return h.each(write)
	}
	for off := int64(0); off < h.size; off += int64(h.n) {
		if err := h.load(off); err != nil {
			return err
		}
		if err := h.each(write); err != nil {
			return err
		}
	}
	return nil
}

// load reads the next bytes of the file into memory.
func (h *heldBody) load(off int64) (err error) {
	h.n = 0
	if stopped := h.store(func() {
		for i := range h.mem {
			var n int
			n, err = h.file.ReadAt(h.mem[i], off+int64(h.n))
			if h.n += n; err != nil {
				return
			}
		}
	}); stopped != nil {
		return stopped
	}
	if h.n == 0 {
		return &holdError{errors.Join(io.ErrUnexpectedEOF, err)}
	}
	return nil
}

// drop gives the memory and the file back.
func (h *heldBody) drop() {
	for _, b := range h.mem {
		if b != nil {
			h.l.PutSmall(b)
		}
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
