package loop

import (
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a Conn over a descriptor of its own, and that Conn's link. Its system
// calls never block, so the Go scheduler is not told of them.
type socket struct {
	Conn
	fd  int32
	age int32
}

// add makes a connection of a connected or connecting descriptor.
func (p *epoll) add(fd int, remote netip.AddrPort) (*socket, error) {
	if p.age++; p.age <= 0 {
		p.age = 1
	}
	s := &socket{Conn: Conn{loop: p.loop, remote: remote}, fd: int32(fd), age: p.age}
	s.link = (*wire)(s)
	if err := control(p.fd, unix.EPOLL_CTL_ADD, fd, connEvents, s.age); err != nil {
		return nil, err
	}
	if fd >= len(p.conns) {
		p.conns = append(p.conns, make([]*socket, fd+1-len(p.conns)+len(p.conns)/4)...)
	}
	p.conns[fd] = s
	p.loop.conns.Add(1)
	return s, nil
}

// wire is a socket as a link.
type wire socket

func (w *wire) recv(p []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(w.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		switch {
		case e == 0 && n > 0:
			return int(n), nil
		case e == 0:
			return 0, io.EOF
		case e == syscall.EAGAIN:
			return 0, errAgain
		case e != syscall.EINTR:
			return 0, e
		}
	}
}

func (w *wire) send(p []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(w.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_NOSIGNAL, 0, 0)
		switch {
		case e == 0:
			return int(n), nil
		case e == syscall.EAGAIN:
			return 0, errAgain
		case e != syscall.EINTR:
			return 0, e
		}
	}
}

func (w *wire) sendTwo(a, b []byte) (int, error) {
	iov := [2]syscall.Iovec{{Base: unsafe.SliceData(a)}, {Base: unsafe.SliceData(b)}}
	iov[0].SetLen(len(a))
	iov[1].SetLen(len(b))
	msg := syscall.Msghdr{Iov: &iov[0]}
	msg.Iovlen = 2
	for {
		n, _, e := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&msg)), syscall.MSG_NOSIGNAL)
		switch {
		case e == 0:
			return int(n), nil
		case e == syscall.EAGAIN:
			return 0, errAgain
		case e != syscall.EINTR:
			return 0, e
		}
	}
}

func (w *wire) push(p []byte) (int, error) { return w.send(p) }

func (w *wire) unsent() int { return outQueue(int(w.fd)) }

// outQueue returns how much of what was sent the peer's system has not acknowledged.
func outQueue(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// netQueue is outQueue for a net.Conn.
func netQueue(nc net.Conn) (n int) {
	if s, ok := nc.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) { n = outQueue(int(fd)) })
		}
	}
	return n
}

func (w *wire) empty() bool {
	var b [1]byte
	_, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(w.fd), uintptr(unsafe.Pointer(&b)), 1, syscall.MSG_PEEK, 0, 0)
	return e == syscall.EAGAIN
}

func (w *wire) closeWrite() error { return unix.Shutdown(int(w.fd), unix.SHUT_WR) }

func (w *wire) linger(seconds int) error {
	return unix.SetsockoptLinger(int(w.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: int32(seconds)})
}

func (w *wire) local() netip.AddrPort {
	sa, err := unix.Getsockname(int(w.fd))
	if err != nil {
		return netip.AddrPort{}
	}
	return addrPort(sa)
}

func (w *wire) close(p []byte) {
	if len(p) > 0 {
		w.send(p)
	}
	w.loop.driver.(*epoll).conns[w.fd] = nil
	unix.Close(int(w.fd))
}

// newSocket opens a TCP socket for addresses like addr.
func newSocket(addr netip.Addr) (int, error) {
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zoneID(a.Addr().Zone())}
}

func zoneID(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(withZone(netip.AddrFrom16(a.Addr), a.ZoneId), uint16(a.Port))
	}
	return netip.AddrPort{}
}

func withZone(a netip.Addr, id uint32) netip.Addr {
	if id == 0 || !a.Is6() || a.Is4In6() {
		return a.Unmap()
	}
	return a.WithZone(strconv.FormatUint(uint64(id), 10))
}
