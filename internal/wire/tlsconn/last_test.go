package tlsconn

import (
	"bytes"
	"io"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
)

// counted counts the writes of a stream.
type counted struct {
	loop.Stream
	writes int
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes++
	return c.Stream.Write(p)
}

// TestLast: what is written last carries the close_notify, all of it, in one write where
// it fits in one. The other side sees the end before the connection is closed.
func TestLast(t *testing.T) {
	for _, size := range []int{100, 5000, 300 << 10} {
		each(t, func(t *testing.T, e *loop.Engine, version uint16) {
			seen := make(chan struct{})
			c, wait := serve(t, e, version, func(c *Conn) {
				if err := c.Handshake(); err != nil {
					t.Error(err)
					return
				}
				below := &counted{Stream: c.below}
				c.below = below
				c.Last()
				if err := c.WriteTwo(make([]byte, 50), make([]byte, size-50)); err != nil {
					t.Error(err)
				}
				if size < loop.BigSize && below.writes != 1 {
					t.Errorf("%d bytes took %d writes", size, below.writes)
				}
				c.Loop().Await(func() { <-seen })
			})
			got, err := io.ReadAll(c)
			close(seen)
			if err != nil || !bytes.Equal(got, make([]byte, size)) {
				t.Errorf("received %d of %d bytes, then %v", len(got), size, err)
			}
			wait()
		})
	}
}
