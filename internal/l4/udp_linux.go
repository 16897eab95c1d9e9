package l4

import (
	"net"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tellsDestination has a socket tell at which address of this machine a datagram arrived,
// so that answers come from there. It reports whether that works.
func tellsDestination(c *net.UDPConn, network string) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	level, option := unix.IPPROTO_IP, unix.IP_PKTINFO
	if network == "udp6" {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), level, option, 1) })
	return err == nil && set == nil
}

// sourceOf returns the control message by which an answer leaves from the address that a
// datagram with these control messages arrived at; nil: the system chooses.
func sourceOf(about []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(about)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			was := (*unix.Inet4Pktinfo)(unsafe.Pointer(&m.Data[0]))
			return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: was.Spec_dst})
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			was := (*unix.Inet6Pktinfo)(unsafe.Pointer(&m.Data[0]))
			return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: was.Addr})
		}
	}
	return nil
}

// receiver reads the datagrams of one socket and holds no buffer while it waits: there
// may be thousands of them.
type receiver struct {
	raw syscall.RawConn
	err error
}

var buffers = sync.Pool{New: func() any { return new([largest]byte) }}

func newReceiver(c *net.UDPConn) *receiver {
	raw, err := c.SyscallConn()
	return &receiver{raw, err}
}

// receive waits for one datagram and gives it to f.
func (r *receiver) receive(f func([]byte)) error {
	if r.err != nil {
		return r.err
	}
	var got error
	err := r.raw.Read(func(fd uintptr) bool {
		buf := buffers.Get().(*[largest]byte)
		defer buffers.Put(buf)
		n, _, err := unix.Recvfrom(int(fd), buf[:], 0)
		for err == unix.EINTR {
			n, _, err = unix.Recvfrom(int(fd), buf[:], 0)
		}
		if err == unix.EAGAIN {
			return false
		}
		if got = err; err == nil {
			f(buf[:n])
		}
		return true
	})
	if err != nil {
		return err
	}
	return got
}
