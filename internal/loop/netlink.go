package loop

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// The least and the most that one background read of a net.Conn takes.
const (
	leastFill = 4 << 10
	mostFill  = 64 << 10
)

// netLink carries a Conn over any net.Conn. One background read is always under
// way while nothing that was read is left: so the connection learns of bytes and
// of its end as it would from epoll.
type netLink struct {
	conn *Conn
	nc   net.Conn

	buf   []byte // the memory of the background read
	in    []byte // what it read and nobody took yet
	inErr error  // why there is nothing to read after in

	writing bool
	wrote   bool // a push is over: n and outErr are its result
	n       int
	outErr  error
	left    atomic.Int64 // of the push under way
}

// Adopt runs f in a coroutine of l with a Conn over nc, which may be one end of a
// net.Pipe. Any goroutine may call it. When the engine is closed, nc is closed.
func (l *Loop) Adopt(nc net.Conn, f func(*Conn)) {
	ok := l.post(job{kind: jobRun, f: func() {
		if l.stopping {
			nc.Close()
			return
		}
		l.Go(func(c any) { f(c.(*Conn)) }, l.wrap(nc))
	}})
	if !ok {
		nc.Close()
	}
}

// wrap makes a Conn of nc.
func (l *Loop) wrap(nc net.Conn) *Conn {
	c := &Conn{loop: l, remote: netAddr(nc.RemoteAddr())}
	k := &netLink{conn: c, nc: nc, buf: make([]byte, leastFill)}
	c.link = k
	l.open[c] = struct{}{}
	l.conns.Add(1)
	k.fill()
	return c
}

func netAddr(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// background runs f on a goroutine and then done on the loop.
func (k *netLink) background(f, done func()) {
	l := k.conn.loop
	l.engine.away.Add(1)
	go func() {
		defer l.engine.away.Done()
		f()
		l.post(job{kind: jobRun, f: done})
	}()
}

// fill starts the next background read.
func (k *netLink) fill() {
	var n int
	var err error
	k.background(func() { n, err = k.nc.Read(k.buf) }, func() {
		k.in = k.buf[:n]
		if err != nil && err != io.EOF {
			err = plain(err)
		}
		k.inErr = err
		k.conn.event(true, false, err != nil)
	})
}

func (k *netLink) recv(p []byte) (int, error) {
	if len(k.in) == 0 {
		if k.inErr != nil {
			return 0, k.inErr
		}
		return 0, errAgain
	}
	n := copy(p, k.in)
	if k.in = k.in[n:]; len(k.in) > 0 {
		return n, nil
	}
	if k.inErr == nil {
		if n == len(k.buf) && n < mostFill {
			k.buf = make([]byte, 2*n)
		}
		k.fill()
	}
	return n, nil
}

// send and sendTwo send nothing: p would have to stay as it is.
func (k *netLink) send([]byte) (int, error) { return 0, errAgain }

func (k *netLink) sendTwo(_, _ []byte) (int, error) { return 0, errAgain }

// push writes p on a goroutine; called again, it answers with the result. After an
// unfinished write nothing can follow.
func (k *netLink) push(p []byte) (int, error) {
	switch {
	case k.outErr != nil:
		n := k.n
		k.n = 0
		return n, k.outErr
	case k.wrote:
		k.wrote = false
		return k.n, nil
	case !k.writing:
		k.writing = true
		var n int
		var err error
		k.left.Store(int64(len(p)))
		k.background(func() { n, err = k.write(p) }, func() {
			k.writing, k.wrote = false, true
			k.n = n
			if err != nil {
				k.outErr = plain(err)
			}
			k.conn.event(false, true, false)
		})
	}
	return 0, errAgain
}

// writePiece is how much goes to a net.Conn at once, so that its progress shows.
const writePiece = 16 << 10

// write runs on a goroutine.
func (k *netLink) write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = k.nc.Write(p[n:min(n+writePiece, len(p))])
		n += m
		k.left.Add(-int64(m))
	}
	return n, err
}

func (k *netLink) unsent() int { return int(k.left.Load()) + netQueue(k.nc) }

func (k *netLink) empty() bool { return len(k.in) == 0 && k.inErr == nil }

func (k *netLink) closeWrite() error {
	if h, ok := k.nc.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errNoHalfClose
}

func (k *netLink) linger(seconds int) error {
	if t, ok := k.nc.(*net.TCPConn); ok {
		return t.SetLinger(seconds)
	}
	return nil
}

func (k *netLink) local() netip.AddrPort { return netAddr(k.nc.LocalAddr()) }

// lastWord is how long a net.Conn may take for the last bytes before it is closed.
const lastWord = 100 * time.Millisecond

func (k *netLink) close(p []byte) {
	delete(k.conn.loop.open, k.conn)
	if len(p) == 0 || k.outErr != nil {
		k.nc.Close()
		return
	}
	p = bytes.Clone(p)
	k.nc.SetDeadline(time.Now().Add(lastWord)) // of the background read, too
	k.background(func() { k.nc.Write(p); k.nc.Close() }, func() {})
}
