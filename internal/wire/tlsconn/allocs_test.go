//go:build !race

package tlsconn

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/pierhead/pierhead/internal/loop"
)

// A request and its answer allocate nothing here or in loop.
func TestRoundTripAllocations(t *testing.T) {
	if loop.DefaultKind() != loop.Loops {
		return
	}
	e, err := loop.New(loop.Loops, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ln, err := e.Listen(local, func(s *loop.Conn) {
		c := Server(s, serverConfig(tls.VersionTLS13))
		var step func(any)
		step = func(any) {
			b := c.Loop().Small()
			defer c.Loop().PutSmall(b)
			n, err := c.Read(b)
			if err != nil {
				c.Close()
				return
			}
			c.WriteTwo(b[:n/2], b[n/2:n])
			c.OnReadable(step, nil)
		}
		c.OnReadable(step, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	l := e.Next()
	l.Post(func() {
		defer close(done)
		s, err := l.Dial(ln.Addr(), time.Second)
		if err != nil {
			t.Error(err)
			return
		}
		c := Client(s, clientConfig(tls.VersionTLS13))
		defer c.Close()
		p := make([]byte, 500)
		trip := func() {
			c.Write(p[:400])
			for n := 0; n < 400; {
				k, err := c.Read(p[n:])
				if err != nil {
					t.Error(err)
					return
				}
				n += k
			}
		}
		for range 50 {
			trip()
		}
		// Two are crypto/tls's own, one for each side that reads.
		if n := testing.AllocsPerRun(200, trip); n > 2 {
			t.Errorf("%v allocations per round trip", n)
		}
	})
	<-done
}
