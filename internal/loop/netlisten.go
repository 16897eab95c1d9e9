package loop

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// netSource is a listening socket of package net with a goroutine that accepts.
type netSource struct {
	ln    *net.TCPListener
	done  chan struct{} // closed by close
	ended chan struct{} // closed when nothing is accepted any more
}

func listenNet(e *Engine, ln *Listener, addr netip.AddrPort) error {
	network := "tcp4"
	if addr.Addr().Is6() {
		network = "tcp6"
	}
	cfg := net.ListenConfig{KeepAlive: -1}
	nl, err := cfg.Listen(e.ctx, network, addr.String())
	if err != nil {
		return plain(err)
	}
	s := &netSource{ln: nl.(*net.TCPListener), done: make(chan struct{}), ended: make(chan struct{})}
	ln.addr, ln.source = netAddr(nl.Addr()), s
	e.away.Add(1)
	go s.accept(e, ln)
	return nil
}

// accept gives every connection to the loop that has the fewest.
func (s *netSource) accept(e *Engine, ln *Listener) {
	defer e.away.Done()
	defer close(s.ended)
	for {
		nc, err := s.ln.Accept()
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		to := e.leastLoaded(e.Next())
		if err != nil { // no descriptors left
			to.pauses.Add(1)
			select {
			case <-s.done:
				return
			case <-time.After(pause):
			}
			continue
		}
		to.accepted.Add(1)
		to.coming.Add(1)
		to.Adopt(nc, func(c *Conn) {
			to.coming.Add(-1)
			ln.serve(c)
		})
	}
}

// close serves whoever stands in the queue and ends the listening.
func (s *netSource) close() error {
	close(s.done)
	s.ln.SetDeadline(time.Now().Add(queueWait))
	<-s.ended
	return s.ln.Close()
}

// queueWait is how long close accepts what stands in the queue.
const queueWait = 5 * time.Millisecond
