package loop

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socketSource is a listening socket that stands in the epoll of every loop. One
// socket, not one for each loop: then a port that is taken is an error, and no
// connection waits behind a loop that is busy.
type socketSource struct {
	listener *Listener
	fd       int
	users    atomic.Int32 // who may still use fd
	closing  atomic.Bool
}

// batch is how many connections a loop accepts before it serves those it has.
const batch = 16

// backlog is how many connections may wait to be accepted: as many as net.core.somaxconn
// allows, to which the system cuts it down. It is the largest number that all kernels take.
const backlog = 1<<16 - 1

func listenEpoll(e *Engine, ln *Listener, addr netip.AddrPort) error {
	fd, err := openSocket(addr)
	if err == unix.EADDRINUSE && e.heritage != nil {
		if left, ok := e.heritage.Take(addr); ok {
			fd, err = left, unix.SetNonblock(left, true)
		}
	}
	if err != nil {
		return err
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return err
	}
	s := &socketSource{listener: ln, fd: fd}
	ln.addr, ln.source = addrPort(at), s
	s.users.Store(int32(len(e.loops)) + 1) // and the listener itself
	for _, l := range e.loops {
		p := l.driver.(*epoll)
		l.post(job{kind: jobRun, f: func() { p.join(s) }})
	}
	return nil
}

// openSocket makes a socket that listens.
func openSocket(addr netip.AddrPort) (int, error) {
	fd, err := newSocket(addr.Addr())
	if err != nil {
		return -1, err
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil && addr.Addr().Is6() {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(addr))
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// join starts to accept on this loop.
func (p *epoll) join(s *socketSource) {
	if p.loop.stopping || s.closing.Load() {
		s.leave()
		return
	}
	p.sources = append(p.sources, s)
	p.watch(s)
}

// watch asks for the events of s; without memory for that it tries again later.
func (p *epoll) watch(s *socketSource) {
	if control(p.fd, unix.EPOLL_CTL_ADD, s.fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE, sourceAge) != nil {
		p.rest(s)
	}
}

// rest stops accepting from s for a moment.
func (p *epoll) rest(s *socketSource) {
	p.loop.pauses.Add(1)
	control(p.fd, unix.EPOLL_CTL_DEL, s.fd, 0, 0)
	p.loop.AfterFunc(pause, func(any) {
		if slices.Contains(p.sources, s) {
			p.watch(s)
		}
	}, nil)
}

// part ends accepting on this loop. The last loop closes the socket: its number
// may not be used again while another loop could still accept from it.
//
// A socket that another process goes on with has the loops accept once more: the system
// may have told of a connection here, and tells nobody else.
func (p *epoll) part(s *socketSource) {
	if i := slices.Index(p.sources, s); i >= 0 {
		p.sources = slices.Delete(p.sources, i, i+1)
		control(p.fd, unix.EPOLL_CTL_DEL, s.fd, 0, 0)
		s.takeQueue()
		s.leave()
	}
}

// takeQueue accepts who stands in the queue.
func (s *socketSource) takeQueue() {
	for range backlog {
		fd, addr, e := accept(s.fd)
		switch e {
		case 0:
			s.listener.engine.Next().driver.(*epoll).adopt(s.listener, fd, addr)
		case syscall.ENOBUFS, syscall.ENOMEM:
		default:
			return
		}
	}
}

func (s *socketSource) leave() {
	if s.users.Add(-1) == 0 {
		unix.Close(s.fd)
	}
}

func (p *epoll) stop() {
	for len(p.sources) > 0 {
		p.part(p.sources[0])
	}
}

// close serves whoever stands in the queue, ends the listening and has the loops
// let go of the socket. What another process goes on with is not ended.
func (s *socketSource) close() error {
	s.closing.Store(true)
	s.takeQueue()
	var err error
	if h := s.listener.engine.heritage; h == nil || !h.Left(s.listener.addr) {
		err = unix.Shutdown(s.fd, unix.SHUT_RD) // frees the port at once
	}
	for _, l := range s.listener.engine.loops {
		p := l.driver.(*epoll)
		l.post(job{kind: jobRun, f: func() { p.part(s) }})
	}
	s.leave()
	return err
}

// accept takes what connections there are, up to a batch.
func (p *epoll) accept(fd int) {
	i := slices.IndexFunc(p.sources, func(s *socketSource) bool { return s.fd == fd })
	if i < 0 {
		return
	}
	s, l := p.sources[i], p.loop
	for range batch {
		fd, addr, e := accept(s.fd)
		switch e {
		case 0:
			if to := l.engine.leastLoaded(l); to != l {
				to.driver.(*epoll).adopt(s.listener, fd, addr)
			} else {
				p.serve(s.listener, fd, addr)
			}
		case syscall.EAGAIN:
			return
		case syscall.EINVAL: // is being closed
			control(p.fd, unix.EPOLL_CTL_DEL, s.fd, 0, 0)
			return
		case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
			p.rest(s)
			return
		}
	}
}

// adopt has the loop serve a connection that was accepted elsewhere.
func (p *epoll) adopt(ln *Listener, fd int, addr netip.AddrPort) {
	p.loop.coming.Add(1)
	ok := p.loop.post(job{kind: jobRun, f: func() {
		p.loop.coming.Add(-1)
		p.serve(ln, fd, addr)
	}})
	if !ok {
		unix.Close(fd)
	}
}

// serve starts a connection's life on this loop.
func (p *epoll) serve(ln *Listener, fd int, addr netip.AddrPort) {
	if p.loop.stopping {
		unix.Close(fd)
		return
	}
	s, err := p.add(fd, addr)
	if err != nil {
		p.loop.pauses.Add(1)
		unix.Close(fd)
		return
	}
	p.loop.accepted.Add(1)
	p.loop.Go(ln.serve, &s.Conn)
}

// accept takes one connection, ready for non-blocking use. TCP_NODELAY comes from
// the listening socket.
func accept(fd int) (int, netip.AddrPort, syscall.Errno) {
	var sa syscall.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
		switch e {
		case 0:
			return int(n), rawAddr(&sa), 0
		case syscall.EINTR, syscall.ECONNABORTED:
		default:
			return -1, netip.AddrPort{}, e
		}
	}
}

func rawAddr(sa *syscall.RawSockaddrAny) netip.AddrPort {
	switch sa.Addr.Family {
	case syscall.AF_INET:
		a := (*syscall.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), bigEndian(&a.Port))
	case syscall.AF_INET6:
		a := (*syscall.RawSockaddrInet6)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(withZone(netip.AddrFrom16(a.Addr), a.Scope_id), bigEndian(&a.Port))
	}
	return netip.AddrPort{}
}

func bigEndian(port *uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(port))
	return uint16(b[0])<<8 | uint16(b[1])
}
