package loop

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bytes are moved through a pipe, by splice(2): what arrived in one socket is handed to
// the other inside the kernel.
type pipe struct{ r, w int }

// moveSize is how much a pipe holds. More pipes than maxPipes are not opened on one loop,
// and keepPipes are kept for the next taker.
const (
	moveSize  = BigSize
	maxPipes  = 256
	keepPipes = 16
)

// pipes are those of one loop.
type pipes struct {
	free []pipe
	open int
}

func (p *pipes) take() (pipe, bool) {
	if n := len(p.free); n > 0 {
		x := p.free[n-1]
		p.free = p.free[:n-1]
		return x, true
	}
	if p.open >= maxPipes {
		return pipe{}, false
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return pipe{}, false
	}
	unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, moveSize) // else it is smaller
	p.open++
	return pipe{fds[0], fds[1]}, true
}

// put takes a pipe back that is empty.
func (p *pipes) put(x pipe) {
	if len(p.free) < keepPipes {
		p.free = append(p.free, x)
		return
	}
	p.drop(x)
}

func (p *pipes) drop(x pipe) {
	unix.Close(x.r)
	unix.Close(x.w)
	p.open--
}

func (p *pipes) close() {
	for _, x := range p.free {
		p.drop(x)
	}
	p.free = nil
}

// Move moves at most n bytes of what has arrived on c to another connection of the loop,
// past the memory of this program. It waits for room there but not for bytes here: 0
// without an error means that there are none. It reports with ok whether it can be done
// at all; where not, nothing has happened. The error of reading comes as rerr, that of
// writing, after which neither connection can be used, as werr.
func (c *Conn) Move(to *Conn, n int64) (moved int64, ok bool, rerr, werr error) {
	from, isSocket := c.link.(*wire)
	into, both := to.link.(*wire)
	if !isSocket || !both || len(c.back) > 0 {
		return 0, false, nil, nil
	}
	if rerr = c.over(); rerr != nil || !c.readable {
		return 0, true, rerr, nil
	}
	if werr = to.canWrite(); werr != nil {
		return 0, true, nil, werr
	}
	ps := &c.loop.driver.(*epoll).pipes
	p, ok := ps.take()
	if !ok {
		return 0, false, nil, nil
	}
	k, e := splice(int(from.fd), p.w, int(min(n, moveSize)))
	switch {
	case e == syscall.EAGAIN:
		c.readable = c.ended
		ps.put(p)
		return 0, true, nil, nil
	case e != 0 || k == 0:
		ps.put(p)
		if rerr = io.EOF; e != 0 {
			rerr = e
		}
		return 0, true, rerr, nil
	}
	c.in += int64(k)
	if t := c.loop.cur; t != nil {
		t.spent += k + readCost
	}
	if werr = to.drain(p, into, k); werr != nil {
		ps.drop(p) // something is left in it
		return 0, true, nil, werr
	}
	ps.put(p)
	return int64(k), true, nil, nil
}

// drain sends the k bytes that a pipe holds.
func (c *Conn) drain(p pipe, into *wire, k int) error {
	for fresh := true; ; {
		n, e := splice(p.r, int(into.fd), k)
		if e == 0 && n == 0 {
			return io.ErrUnexpectedEOF
		}
		c.out += int64(n)
		if k -= n; k == 0 {
			return nil
		}
		if e != 0 && e != syscall.EAGAIN {
			return e
		}
		if n > 0 || fresh {
			c.renew()
			fresh = false
		}
		if err := c.waitRoom(); err != nil {
			return err
		}
	}
}

func splice(from, to, n int) (int, syscall.Errno) {
	for {
		k, _, e := syscall.RawSyscall6(syscall.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch e {
		case 0:
			return int(k), 0
		case syscall.EINTR:
		default:
			return 0, e
		}
	}
}
