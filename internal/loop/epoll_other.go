//go:build !linux

package loop

import (
	"errors"
	"net"
	"net/netip"
)

const haveEpoll = false

var errNoEpoll = errors.New(`engine "loops": this system has no epoll: must be "goroutines"`)

func newEpoll(*Loop) (driver, error) { return nil, errNoEpoll }

func listenEpoll(*Engine, *Listener, netip.AddrPort) error { return errNoEpoll }

// netQueue is not known here: of a net.Conn's progress only its writes tell.
func netQueue(net.Conn) int { return 0 }
