//go:build !linux

package l4

import "net"

func tellsDestination(*net.UDPConn, string) bool { return false }

func sourceOf([]byte) []byte { return nil }

// receiver reads the datagrams of one socket.
type receiver struct {
	socket *net.UDPConn
	buf    []byte
}

func newReceiver(c *net.UDPConn) *receiver { return &receiver{c, make([]byte, largest)} }

// receive waits for one datagram and gives it to f.
func (r *receiver) receive(f func([]byte)) error {
	n, err := r.socket.Read(r.buf)
	if err == nil {
		f(r.buf[:n])
	}
	return err
}
