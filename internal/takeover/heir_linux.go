package takeover

import (
	"errors"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// What the two processes say, one word a packet. The process before answers wordAsk with
// its sockets, a packet for each: what it is, and its descriptor; then wordAll.
const (
	wordAsk  = "pierhead 1"
	wordAll  = "all"
	wordLive = "live"
	wordLeft = "left"
)

// patience bounds a packet.
const patience = 5 * time.Second

// heir is a process that asked for our sockets.
type heir struct {
	conn *net.UnixConn
	has  map[string]bool
	live bool
}

func say(c *net.UnixConn, word string) error {
	c.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.Write([]byte(word))
	return err
}

// ask gets the sockets of the process before, once. The caller holds mu.
func (p *Place) ask() {
	if p.asked || p.closed {
		return
	}
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: p.name, Net: "unixpacket"})
	if err != nil {
		return // there is none; the next Take looks again
	}
	left, err := request(c)
	if err != nil {
		c.Close()
		p.log.Warn("takeover: the sockets of the process before were not handed over", "error", err)
		for _, f := range left {
			f.Close()
		}
		return
	}
	p.asked, p.before, p.left = true, c, left
	p.ended.Go(func() { p.watch(c) })
}

// watch notices the end of the process before, which says nothing more.
func (p *Place) watch(c *net.UnixConn) {
	for buf := make([]byte, 1); ; {
		if n, err := c.Read(buf); n == 0 || err != nil {
			break
		}
	}
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = nil
}

// request asks for sockets and receives them.
func request(c *net.UnixConn) (map[string]*os.File, error) {
	left := map[string]*os.File{}
	if err := sameUser(c); err != nil {
		return nil, err
	}
	if err := say(c, wordAsk); err != nil {
		return nil, err
	}
	c.SetReadDeadline(time.Now().Add(patience))
	defer c.SetReadDeadline(time.Time{})
	for {
		buf, rights := make([]byte, 256), make([]byte, syscall.CmsgSpace(4))
		n, m, _, _, err := c.ReadMsgUnix(buf, rights)
		if err != nil {
			return left, err
		}
		word := string(buf[:n])
		if word == wordAll {
			return left, nil
		}
		f, err := fileOf(rights[:m], word)
		if err != nil {
			return left, err
		}
		if old := left[word]; old != nil {
			old.Close()
		}
		left[word] = f
	}
}

// fileOf returns the descriptor that came with a packet.
func fileOf(rights []byte, name string) (*os.File, error) {
	messages, err := syscall.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
		}
		if len(fds) == 1 {
			return os.NewFile(uintptr(fds[0]), name), nil
		}
	}
	return nil, errors.New("a packet came without a socket")
}

// receive answers processes that come after until Close: as soon as the name is free,
// and as long as none of them is live.
func (p *Place) receive() {
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		if !p.Followed() && !p.leaves() {
			p.answer()
		}
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
	}
}

// answer answers processes until the door is closed.
func (p *Place) answer() {
	door, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: p.name, Net: "unixpacket"})
	if err != nil || !p.openDoor(door) {
		return
	}
	defer door.Close()
	for {
		c, err := door.AcceptUnix()
		if err != nil {
			return
		}
		p.ended.Go(func() { p.serve(c, door) })
	}
}

// openDoor keeps the door, unless the place is closed.
func (p *Place) openDoor(door *net.UnixListener) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.leaving {
		door.Close()
		return false
	}
	p.door = door
	return true
}

// serve hands our sockets to one process, and gives it the name when it is live. When it
// ends before us we are the last again.
func (p *Place) serve(c *net.UnixConn, door *net.UnixListener) {
	h := &heir{conn: c, has: map[string]bool{}}
	defer p.lose(h)
	if err := sameUser(c); err != nil {
		p.log.Warn("takeover: a process was refused", "error", err)
		return
	}
	buf := make([]byte, 64)
	c.SetReadDeadline(time.Now().Add(patience))
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != wordAsk {
		return
	}
	if err := p.hand(h); err != nil {
		p.log.Warn("takeover: the sockets were not handed over", "error", err)
		return
	}
	c.SetReadDeadline(time.Time{})
	for {
		n, err := c.Read(buf)
		if err != nil || n == 0 {
			return
		}
		switch string(buf[:n]) {
		case wordLeft:
			p.mu.Lock()
			h.live = false
			p.mu.Unlock()
			p.log.Info("takeover: the other process is about to end")
		case wordLive:
			p.mu.Lock()
			h.live = true
			p.mu.Unlock()
			p.log.Info("takeover: another process serves now")
			door.Close() // the name is the other one's
			p.once.Do(func() { close(p.succeeded) })
		}
	}
}

// lose forgets a process that ended.
func (p *Place) lose(h *heir) {
	h.conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.after, h)
	if len(h.has) > 0 && !p.closed {
		p.log.Warn("takeover: the process that asked for the sockets has ended", "live", h.live)
	}
}

// hand sends copies of all sockets.
func (p *Place) hand(h *heir) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	all := map[string]*os.File{}
	for key, s := range p.own {
		if f, err := s.File(); err == nil {
			all[key] = f
		} else {
			delete(p.own, key) // it was closed
		}
	}
	for _, source := range p.sources {
		for addr, fd := range source() {
			all["tcp "+addr.String()] = os.NewFile(uintptr(fd), addr.String())
		}
	}
	defer func() {
		for _, f := range all {
			f.Close()
		}
	}()
	h.conn.SetWriteDeadline(time.Now().Add(patience))
	names := make([]string, 0, len(all))
	for key := range all {
		names = append(names, key)
	}
	slices.Sort(names)
	for _, key := range names {
		if err := send(h.conn, key, all[key]); err != nil {
			return err
		}
		h.has[key] = true
	}
	p.after[h] = true
	return say(h.conn, wordAll)
}

func send(c *net.UnixConn, key string, f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) {
		_, _, err = c.WriteMsgUnix([]byte(key), syscall.UnixRights(int(fd)), nil)
	})
	return errors.Join(failed, err)
}
