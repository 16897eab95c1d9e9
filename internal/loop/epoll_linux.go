package loop

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const haveEpoll = true

// epoll is the driver of the Loops engine. Sockets are registered once, for
// everything, edge-triggered. An event carries the descriptor and, because
// descriptors are used again, the generation of who registered it.
type epoll struct {
	loop    *Loop
	fd      int
	bell    int // an eventfd, written by wake
	one     uint64
	events  []unix.EpollEvent
	conns   []*socket // by descriptor
	age     int32     // the last generation given out, from 1
	sources []*socketSource
	pipes   pipes
	quiet   int // looks in a row that found nothing
}

// When looking pays: after quietLooks in vain it does not, before more than busyEvents
// have come at once.
const (
	quietLooks = 8
	busyEvents = 4
)

// The generations of what is not a connection.
const (
	bellAge   = -1
	sourceAge = -2
)

const connEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

func newEpoll(l *Loop) (driver, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err == nil {
		if err = control(fd, unix.EPOLL_CTL_ADD, bell, unix.EPOLLIN|unix.EPOLLET, bellAge); err != nil {
			unix.Close(bell)
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &epoll{loop: l, fd: fd, bell: bell, one: 1, events: make([]unix.EpollEvent, 512)}, nil
}

func control(epfd, op, fd int, events uint32, age int32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: age}
	return unix.EpollCtl(epfd, op, fd, &ev)
}

// poll first looks without the scheduler's knowledge, then lets other goroutines
// run, and only then sleeps. When there is so little to do that looking found nothing
// several times in a row, it sleeps at once, until more than a little comes at a time.
func (p *epoll) poll(wait time.Duration) {
	n := 0
	if p.quiet < quietLooks || wait == 0 {
		n = p.ask()
	}
	switch {
	case n > 0:
		p.quiet = 0
	case wait != 0:
		runtime.Gosched()
		if n = p.sleep(wait); n > busyEvents {
			p.quiet = 0
		} else if p.quiet < quietLooks {
			p.quiet++
		}
	}
	p.loop.tick()
	for i := range p.events[:n] {
		p.event(&p.events[i])
	}
}

func (p *epoll) ask() int {
	n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

func (p *epoll) sleep(wait time.Duration) int {
	ms := -1
	if wait > 0 {
		ms = int(min((wait+time.Millisecond-1)/time.Millisecond, 1<<30))
	}
	n, _, e := syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(ms), 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

func (p *epoll) event(ev *unix.EpollEvent) {
	switch ev.Pad {
	case bellAge: // edge-triggered: need not be read
	case sourceAge:
		p.accept(int(ev.Fd))
	default:
		if s := p.find(ev.Fd); s != nil && s.age == ev.Pad {
			s.event(ev.Events&unix.EPOLLIN != 0, ev.Events&unix.EPOLLOUT != 0,
				ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
		}
	}
}

func (p *epoll) find(fd int32) *socket {
	if int(fd) < len(p.conns) {
		return p.conns[fd]
	}
	return nil
}

func (p *epoll) wake() {
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(p.bell), uintptr(unsafe.Pointer(&p.one)), 8)
}

func (p *epoll) each(f func(*Conn)) {
	for _, s := range p.conns {
		if s != nil {
			f(&s.Conn)
		}
	}
	for c := range p.loop.open {
		f(c)
	}
}

func (p *epoll) close() {
	p.pipes.close()
	unix.Close(p.bell)
	unix.Close(p.fd)
}
