package http1

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pierhead/pierhead/internal/loop"
)

// hopeful is a connection whose first Ready is wrong, as epoll's first event may
// make it.
type hopeful struct {
	*loop.Conn
	asked bool
}

func (h *hopeful) Ready() bool {
	first := !h.asked
	h.asked = true
	return first || h.Conn.Ready()
}

func (h *hopeful) WaitRead() error {
	if !h.asked {
		return h.Conn.WaitRead()
	}
	return nil // Ready said so
}

// A connection on which nothing came parks, whatever Ready said: it holds no buffer
// and Drain closes it.
func TestParksWhenReadyWasWrong(t *testing.T) {
	eachKind(t, func(t *testing.T, kind loop.Kind) {
		e := engine(t, kind)
		conns, closed := make(chan *ServerConn, 1), make(chan struct{})
		ln, err := e.Listen(netip.MustParseAddrPort("127.0.0.1:0"), func(c *loop.Conn) {
			sc := NewServer(&hopeful{Conn: c}, &ServerConfig{Closed: func() { close(closed) }})
			conns <- sc
			sc.Serve()
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		sc := <-conns
		l := sc.Stream().Loop()
		onLoop(t, l, func() {
			if !sc.parked || sc.work != nil {
				t.Error("the connection waits with a buffer")
			}
		})
		onLoop(t, l, sc.Drain)
		select {
		case <-closed:
		default:
			t.Error("Drain left the connection open")
		}
	})
}
