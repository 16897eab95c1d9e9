package loop

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// signal is the driver of the Goroutines engine: everything that happens is posted
// by goroutines, and a channel tells that something was.
type signal struct {
	loop  *Loop
	bell  chan struct{}
	timer *time.Timer
}

func newSignal(l *Loop) driver {
	return &signal{loop: l, bell: make(chan struct{}, 1)}
}

func (s *signal) poll(wait time.Duration) {
	switch {
	case wait < 0:
		<-s.bell
	case wait == 0:
		select {
		case <-s.bell:
		default:
		}
	default:
		if s.timer == nil {
			s.timer = time.NewTimer(wait)
		} else {
			s.timer.Reset(wait)
		}
		select {
		case <-s.bell:
			s.timer.Stop()
		case <-s.timer.C:
		}
	}
	s.loop.tick()
}

func (s *signal) wake() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

func (s *signal) each(f func(*Conn)) {
	for c := range s.loop.open {
		f(c)
	}
}

func (s *signal) stop()  {}
func (s *signal) close() {}

// dial lets package net connect, on a goroutine.
func (s *signal) dial(local netip.Addr, addr netip.AddrPort, timeout time.Duration) (*Conn, error) {
	d := net.Dialer{Timeout: timeout, KeepAlive: -1}
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	var nc net.Conn
	var err error
	l := s.loop
	stopped := l.Await(func() { nc, err = d.DialContext(l.engine.ctx, "tcp", addr.String()) })
	if stopped != nil {
		if err == nil {
			nc.Close()
		}
		return nil, stopped
	}
	if err != nil {
		return nil, plain(err)
	}
	return l.wrap(nc), nil
}

// plain takes package net's words around an error away.
func plain(err error) error {
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		return ErrTimeout
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}
