//go:build !linux

package loop

import (
	"errors"
	"net/netip"
)

const haveEpoll = false

var errNoEpoll = errors.New(`engine "loops": this system has no epoll: must be "goroutines"`)

func newEpoll(*Loop) (driver, error) { return nil, errNoEpoll }

func listenEpoll(*Engine, *Listener, netip.AddrPort) error { return errNoEpoll }
