package loop

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// dial connects without blocking: the socket becomes writable when the connection
// stands or has failed.
func (p *epoll) dial(local netip.Addr, addr netip.AddrPort, timeout time.Duration) (*Conn, error) {
	s, err := p.connect(local, addr)
	if err != nil {
		return nil, err
	}
	if timeout > 0 {
		s.SetWriteDeadline(p.loop.clock.Add(timeout))
	}
	for !s.writable && err == nil {
		err = s.waitWrite()
	}
	if err == nil {
		var code int
		if code, err = unix.GetsockoptInt(int(s.fd), unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
			err = unix.Errno(code)
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	s.SetWriteDeadline(time.Time{})
	return &s.Conn, nil
}

// connect starts a connection.
func (p *epoll) connect(local netip.Addr, addr netip.AddrPort) (*socket, error) {
	fd, err := newSocket(addr.Addr())
	if err != nil {
		return nil, err
	}
	if local.IsValid() {
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // old kernels take a port now
		if err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(local.Unmap(), 0))); err != nil {
			err = fmt.Errorf("from %s: %w", local, err)
		}
	}
	if err == nil {
		if err = unix.Connect(fd, sockaddr(addr)); err == unix.EINPROGRESS {
			err = nil
		}
	}
	var s *socket
	if err == nil {
		s, err = p.add(fd, addr)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return s, nil
}
