package proxy

import (
	"io"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
)

// trickle gives so many bytes and then lets look see what is held for them.
type trickle struct {
	left int
	look func()
}

func (r *trickle) Read(p []byte) (int, error) {
	if r.left == 0 {
		r.look()
		return 0, io.EOF
	}
	n := min(r.left, len(p))
	r.left -= n
	return n, nil
}

// What is held for a body is no more than what came of it, rounded up: a client that
// sends a little and then stops cannot make us hold much.
func TestHeldMemory(t *testing.T) {
	e, err := loop.New(loop.Goroutines, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	l := e.Next()
	done := make(chan struct{})
	dir := t.TempDir()
	l.Post(func() {
		defer close(done)
		for _, size := range []int{1, 1000, 17000, 60000, heldInMemory, heldInMemory + 1, 1 << 20} {
			var h heldBody
			look := func() {
				memory := 0
				for _, b := range h.mem {
					memory += len(b)
				}
				if most := size + loop.SmallSize; memory > most {
					t.Errorf("%d bytes of memory for %d of a body", memory, size)
				}
			}
			if err := h.fill(l, &trickle{size, look}, 0, dir); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
			sent := 0
			h.writeTo(func(p []byte) error { sent += len(p); return nil })
			if sent != size || h.size != int64(size) {
				t.Errorf("%d of %d bytes were sent", sent, size)
			}
			h.drop()
		}
	})
	<-done
}
