package takeover

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

const possible = true

// sameUser returns an error unless the process at the other end runs as our user.
func sameUser(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	failed := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	if own := os.Geteuid(); int(peer.Uid) != own {
		return fmt.Errorf("process %d runs as user %d, want %d as we do", peer.Pid, peer.Uid, own)
	}
	return nil
}

// copyOf returns a descriptor of its own for a file.
func copyOf(f *os.File) (int, bool) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, false
	}
	fd := -1
	failed := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, failed == nil && err == nil
}

func inUse(err error) bool { return errors.Is(err, unix.EADDRINUSE) }
