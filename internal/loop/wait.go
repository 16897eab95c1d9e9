package loop

// Ready reports whether a Read may find something, the end included.
func (c *Conn) Ready() bool { return c.readable }

// WaitRead waits until Ready. A coroutine that has read a lot since its last wait
// gives way to others first.
func (c *Conn) WaitRead() error {
	for !c.readable {
		if err := c.waitRead(); err != nil {
			return err
		}
	}
	if t := c.loop.cur; t != nil && t.spent >= budget && !c.loop.stopping {
		c.loop.yield()
	}
	return c.over()
}

// waitRead waits for one event or the read deadline.
func (c *Conn) waitRead() error {
	if err := c.startRead(); err != nil {
		return err
	}
	c.rd = c.loop.cur
	err := c.loop.suspend(waiting)
	c.rd = nil
	if err == nil && c.loop.stopping {
		err = ErrStopped
	}
	return err
}

// startRead prepares a wait for something to read.
func (c *Conn) startRead() error {
	if err := c.over(); err != nil {
		return err
	}
	if c.rd != nil {
		panic("loop: two coroutines read from one connection")
	}
	if c.readBy != 0 {
		if c.readBy <= c.loop.nanos {
			return ErrTimeout
		}
		c.arm(c.readBy)
	}
	return nil
}

// Quiet reports whether the connection is open and nothing has arrived on it. It
// asks the system when it is not sure.
func (c *Conn) Quiet() bool {
	if c.closed || c.ended || len(c.back) > 0 {
		return false
	}
	if c.readable {
		c.readable = !c.link.empty()
	}
	return !c.readable
}

// OnReadable runs f in a new coroutine when something can be read, the peer has
// ended or broken the connection, the read deadline has passed or the engine is
// being closed; a Read then tells which. A nil f takes the wish back. Close drops it.
func (c *Conn) OnReadable(f func(any), arg any) {
	if f == nil || c.closed {
		c.idle, c.idleArg = nil, nil
		return
	}
	c.idle, c.idleArg = f, arg
	if c.readable && !c.loop.stopping {
		c.loop.next = append(c.loop.next, later{c: c})
		return
	}
	c.arm(c.readBy)
}

// Wrapper is a Stream that stands on another, such as TLS. When it is not Ready it
// becomes so only when the stream below does.
type Wrapper interface {
	Stream
	Below() Stream
}

// bottom returns the Conn that s stands on, or nil.
func bottom(s Stream) *Conn {
	for {
		switch x := s.(type) {
		case *Conn:
			return x
		case Wrapper:
			s = x.Below()
		default:
			return nil
		}
	}
}

// WaitEither waits until a or b may be Ready. When the read deadline of one of
// them passes first, it answers ErrTimeout.
func WaitEither(a, b Stream) error {
	if a.Ready() || b.Ready() {
		return nil
	}
	x, y := bottom(a), bottom(b)
	if x == nil || y == nil {
		return waitAny(a, b)
	}
	for !x.readable && !y.readable {
		if err := x.startRead(); err != nil {
			return err
		}
		if err := y.startRead(); err != nil {
			return err
		}
		t := x.loop.cur
		x.rd, y.rd = t, t
		err := x.loop.suspend(waiting)
		x.rd, y.rd = nil, nil
		if err == nil && x.loop.stopping {
			err = ErrStopped
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// waitAny waits by OnReadable, which every Stream has.
func waitAny(a, b Stream) error {
	l := a.Loop()
	t := l.Task()
	a.OnReadable(wakeTask, t)
	b.OnReadable(wakeTask, t)
	err := l.Park()
	a.OnReadable(nil, nil)
	b.OnReadable(nil, nil)
	return err
}

func wakeTask(t any) { t.(*Task).Wake() }
