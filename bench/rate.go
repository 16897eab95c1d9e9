//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// atRate sends requests at a steady rate, whether or not answers come, and measures
// each from the moment it was due (an open loop): ADDRESS CONNECTIONS DURATION RATE. One
// thread does all of it, and sleeps until the next request is due or an answer comes.
func atRate(args []string) (result, error) {
	addr, conns, d, err := common(args)
	if err != nil {
		return result{}, err
	}
	rate, err := strconv.ParseFloat(args[3], 64)
	if err != nil {
		return result{}, err
	}
	l := &rateLoad{every: time.Duration(float64(time.Second) / rate), left: int(rate * d.Seconds())}
	if l.epoll, err = unix.EpollCreate1(0); err != nil {
		return result{}, err
	}
	for i := range conns {
		if err := l.connect(i, addr); err != nil {
			return result{}, err
		}
	}
	return l.run()
}

type rateLoad struct {
	epoll int
	fds   []int       // of the connections
	due   []time.Time // when what a connection waits for was due
	idle  []int       // connections that wait for nothing
	every time.Duration
	left  int // requests to be sent yet
	size  int // bytes of one answer
	got   []int
	times []time.Duration
}

func (l *rateLoad) connect(i int, addr string) error {
	ap, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: ap.Port, Addr: [4]byte(ap.IP.To4())}); err != nil {
		return err
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if l.size == 0 { // the first answer tells how long each is
		if _, err := unix.Write(fd, rateRequest); err != nil {
			return err
		}
		buf := make([]byte, 4096)
		for {
			n, err := unix.Read(fd, buf[l.size:])
			if err != nil || n == 0 {
				return fmt.Errorf("no answer: %w", err)
			}
			l.size += n
			if head, body, ok := bytes.Cut(buf[:l.size], []byte("\r\n\r\n")); ok && len(body) == 128 {
				if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
					return fmt.Errorf("answered %q", head)
				}
				break
			}
		}
	}
	unix.SetNonblock(fd, true)
	l.fds, l.due, l.got, l.idle = append(l.fds, fd), append(l.due, time.Time{}), append(l.got, 0), append(l.idle, i)
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)})
}

var rateRequest = []byte("GET /b/128 HTTP/1.1\r\nHost: " + hostName + "\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")

// run sends what is due and takes what comes, until all was sent and answered.
func (l *rateLoad) run() (result, error) {
	start := time.Now()
	next := start
	events := make([]unix.EpollEvent, 256)
	buf := make([]byte, 64<<10)
	for l.left > 0 || len(l.idle) < len(l.fds) {
		now := time.Now()
		for l.left > 0 && !next.After(now) && len(l.idle) > 0 {
			if err := l.send(next); err != nil {
				return result{}, err
			}
			next = next.Add(l.every)
		}
		wait := 5 * time.Second
		if l.left > 0 && len(l.idle) > 0 {
			wait = max(0, time.Until(next))
		}
		n, err := epollWait(l.epoll, events, wait)
		if err != nil {
			return result{}, err
		}
		if n == 0 && wait == 5*time.Second {
			return result{}, errors.New("no answer for 5 s")
		}
		for _, ev := range events[:n] {
			if err := l.read(int(ev.Fd), buf); err != nil {
				return result{}, err
			}
		}
	}
	r := result{Done: len(l.times), Took: time.Since(start)}
	r.P50, r.P99, r.P999 = percentiles(l.times)
	return r, nil
}

func (l *rateLoad) send(due time.Time) error {
	i := l.idle[len(l.idle)-1]
	l.idle = l.idle[:len(l.idle)-1]
	l.due[i], l.got[i] = due, 0
	l.left--
	_, err := unix.Write(l.fds[i], rateRequest)
	return err
}

func (l *rateLoad) read(i int, buf []byte) error {
	n, err := unix.Read(l.fds[i], buf)
	switch {
	case err == unix.EAGAIN:
		return nil
	case err != nil:
		return err
	case n == 0:
		return errors.New("a connection was closed")
	}
	if l.got[i] == 0 && !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("answered %q", buf[:min(n, 40)])
	}
	if l.got[i] += n; l.got[i] < l.size {
		return nil
	}
	l.times = append(l.times, time.Since(l.due[i]))
	l.idle = append(l.idle, i)
	return nil
}

// epollWait waits with the precision of nanoseconds: a wait in whole milliseconds would
// make bursts of what should be steady.
func epollWait(epoll int, events []unix.EpollEvent, wait time.Duration) (int, error) {
	ts := unix.NsecToTimespec(int64(wait))
	n, errno := epollPwait2(epoll, events, &ts)
	if errno == syscall.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, errno
	}
	return n, nil
}
