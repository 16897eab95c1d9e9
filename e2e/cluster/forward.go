package cluster

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// A forwarder leads from a loopback port of the machine to the API server: the only way
// into the namespace, for kubectl.
type forwarder struct {
	listener net.Listener
	dial     func(context.Context) (net.Conn, error)
	mu       sync.Mutex
	conns    map[net.Conn]bool // nil after close
	running  sync.WaitGroup
}

func newForwarder(dial func(context.Context) (net.Conn, error)) (*forwarder, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &forwarder{listener: l, dial: dial, conns: map[net.Conn]bool{}}
	f.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.running.Go(func() { f.carry(c) })
		}
	})
	return f, nil
}

func (f *forwarder) addr() string { return f.listener.Addr().String() }

func (f *forwarder) carry(c net.Conn) {
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	u, err := f.dial(ctx)
	cancel()
	if err != nil {
		return
	}
	defer u.Close()
	f.mu.Lock()
	if f.conns == nil {
		f.mu.Unlock()
		return
	}
	f.conns[c], f.conns[u] = true, true
	f.mu.Unlock()
	f.running.Go(func() {
		io.Copy(u, c)
		u.(*net.TCPConn).CloseWrite()
	})
	io.Copy(c, u)
	c.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
	delete(f.conns, u)
}

func (f *forwarder) close() {
	f.listener.Close()
	f.mu.Lock()
	for c := range f.conns {
		c.Close()
	}
	f.conns = nil
	f.mu.Unlock()
	f.running.Wait()
}
