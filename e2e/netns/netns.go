// Package netns keeps network namespaces that have no name: each lives in a process of
// its own and ends with it, so that nothing stays behind whatever happens to us.
package netns

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A Namespace is a network namespace and the process that holds it.
type Namespace struct {
	anchor *exec.Cmd
	file   *os.File // the namespace
	own    *os.File // the namespace of this process, to come back to
}

// New starts the sandbox program at path with a network namespace of its own. With resolv
// it gets a mount namespace too, where that file is /etc/resolv.conf.
func New(path, resolv string) (*Namespace, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("network namespaces need root: user id is %d, must be 0 (run it with sudo)", os.Geteuid())
	}
	cmd := exec.Command(path, "pause", "-ready", "-resolv", resolv)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL, Setsid: true}
	if resolv != "" {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWNS
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	n := &Namespace{anchor: cmd}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil && err != io.EOF {
		n.Close()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	if n.file, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)); err == nil {
		n.own, err = os.Open("/proc/self/ns/net")
	}
	if err == nil {
		err = n.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0) })
	}
	if err == nil {
		err = n.loopback()
	}
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	return n, nil
}

// loopback brings the interface lo up.
func (n *Namespace) loopback() error {
	h, err := n.Netlink()
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.LinkSetUp(lo)
}

// Pid returns the process that holds the namespace.
func (n *Namespace) Pid() int { return n.anchor.Process.Pid }

// Netlink returns a handle on the interfaces in the namespace.
func (n *Namespace) Netlink() (*netlink.Handle, error) {
	return netlink.NewHandleAt(vnetns.NsHandle(n.file.Fd()), unix.NETLINK_ROUTE)
}

// Do calls f on a thread that is inside the namespace: sockets made and processes started
// by f, not by goroutines of f, belong there.
func (n *Namespace) Do(f func() error) error {
	runtime.LockOSThread()
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace: %w", err)
	}
	err := f()
	if back := unix.Setns(int(n.own.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(fmt.Sprintf("leave network namespace: %v", back)) // this thread must not go on with other work
	}
	runtime.UnlockOSThread()
	return err
}

// Listen is net.Listen inside the namespace; address must be an IP address and a port.
func (n *Namespace) Listen(network, address string) (l net.Listener, err error) {
	err = n.Do(func() error { l, err = net.Listen(network, address); return err })
	return l, err
}

// ListenPacket is net.ListenPacket inside the namespace.
func (n *Namespace) ListenPacket(network, address string) (c net.PacketConn, err error) {
	err = n.Do(func() error { c, err = net.ListenPacket(network, address); return err })
	return c, err
}

// Dial is net.Dialer.DialContext inside the namespace; address must be an IP address and a
// port.
func (n *Namespace) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if net.ParseIP(host) == nil {
		return nil, fmt.Errorf("address %q: must be an IP address and a port", address)
	}
	err = n.Do(func() error { c, err = new(net.Dialer).DialContext(ctx, network, address); return err })
	return c, err
}

// Start starts cmd inside the namespace.
func (n *Namespace) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// Close ends the process; the namespace ends with the last process in it.
func (n *Namespace) Close() error {
	n.anchor.Process.Kill()
	n.anchor.Wait()
	for _, f := range []*os.File{n.file, n.own} {
		if f != nil {
			f.Close()
		}
	}
	return nil
}
