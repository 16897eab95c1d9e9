package tlsconn

// Read reads decrypted bytes, or waits for them.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.Handshake(); err != nil || len(p) == 0 {
		return 0, err
	}
	for {
		if !c.held() {
			if err := c.below.WaitRead(); err != nil {
				return 0, err
			}
		}
		n, err := c.try(p)
		if len(c.pending) > 0 && !c.writing {
			if ferr := c.flush(); err == nil && n == 0 {
				err = ferr
			}
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// TryRead reads what is there and never waits: 0 without an error means that
// nothing is.
func (c *Conn) TryRead(p []byte) (int, error) {
	if c.phase != open || len(p) == 0 {
		return 0, nil
	}
	return c.try(p)
}

// try has tls.Conn decrypt what there is.
func (c *Conn) try(p []byte) (int, error) {
	if c.stashed {
		c.stashed = false
		p[0] = c.stash[0]
		if len(p) == 1 || !c.held() {
			return 1, nil
		}
		c.probing = true
		n, _ := c.ask(p[1:])
		c.probing = false
		return 1 + n, nil
	}
	return c.ask(p)
}

// ask is one Read of tls.Conn, after which it is known whether it holds more.
func (c *Conn) ask(p []byte) (int, error) {
	if c.reading {
		panic("tlsconn: two coroutines read from one connection")
	}
	c.reading = true
	n, err := c.tls.Read(p)
	c.reading = false
	if err == error(errAgain) {
		c.bounds.records, c.full, c.failed = 0, false, false
		return n, nil
	}
	c.failed = c.failed || err != nil
	if !c.full && c.bounds.records > 0 {
		c.bounds.records--
	}
	c.full = n == len(p)
	if n > 0 {
		err = nil // comes again
	}
	return n, err
}

// held reports whether something that was received may be inside still. It is an
// upper bound: records without data are counted, too.
func (c *Conn) held() bool {
	return c.bounds.records > 0 || c.full || len(c.in) > 0 || c.stashed || c.failed
}

// settle finds out whether something that was received is inside.
func (c *Conn) settle() bool {
	if c.phase != open || c.reading || !c.held() {
		return false
	}
	if c.stashed || c.failed {
		return true
	}
	c.probing = true
	c.peek()
	c.probing = false
	return c.stashed || c.failed
}

// peek reads one byte ahead.
func (c *Conn) peek() {
	n, _ := c.ask(c.stash[:])
	c.stashed = n == 1
}

// Ready reports whether a Read may find something without waiting.
func (c *Conn) Ready() bool { return c.settle() || c.below.Ready() }

// WaitRead waits until Ready.
func (c *Conn) WaitRead() error {
	if c.settle() {
		return nil
	}
	if len(c.pending) > 0 && !c.writing {
		if err := c.flush(); err != nil {
			return err
		}
	}
	return c.below.WaitRead()
}

// Quiet reports whether the connection is open and no data has arrived. What a
// peer sends besides data, such as session tickets, does not count.
func (c *Conn) Quiet() bool {
	if c.phase != open || c.reading || c.settle() {
		return false
	}
	for !c.below.Quiet() {
		if _, ok := c.below.(trier); !ok || !c.below.Ready() {
			return false
		}
		if c.peek(); c.stashed || c.failed {
			return false
		}
	}
	return c.bounds.edge()
}

// OnReadable runs f in a new coroutine when data has arrived, or the end, or the
// read deadline has passed. Session tickets and key updates do not wake it.
func (c *Conn) OnReadable(f func(any), arg any) {
	if c.soon != nil {
		c.soon.Stop()
		c.soon = nil
	}
	c.idle, c.idleArg = f, arg
	switch {
	case f == nil:
		c.below.OnReadable(nil, nil)
	case c.settle() || len(c.pending) > 0:
		c.soon = c.loop.AfterFunc(0, look, c)
	default:
		c.below.OnReadable(look, c)
	}
}

// look finds out what has arrived on an idle connection. It runs in the coroutine
// that the function of OnReadable is owed.
func look(a any) {
	c := a.(*Conn)
	c.soon = nil
	ready := c.below.Ready()
	if ready && c.phase == open && !c.stashed && !c.failed {
		c.peek()
	}
	answered := len(c.pending) > 0
	fire := c.stashed || c.failed || c.phase != open
	if !ready && !answered { // the deadline, or the engine's end
		fire = true
	}
	if answered && !c.writing && c.flush() != nil {
		fire = true
	}
	if fire {
		c.fire()
	} else if c.idle != nil {
		c.below.OnReadable(look, c)
	}
}

// fire runs the function of OnReadable, if it was not taken back.
func (c *Conn) fire() {
	f, arg := c.idle, c.idleArg
	c.idle, c.idleArg = nil, nil
	if f != nil {
		f(arg)
	}
}
