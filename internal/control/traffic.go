package control

// Traffic is what goes through the process, in the numbers that nginx tells of itself.
type Traffic struct {
	Accepted uint64 // client connections since the start
	Requests uint64 // since the start, also those that no route took
	Active   int64  // client connections now
	Reading  int64  // of those, the ones that have sent a part of an HTTP/1 request head
	Writing  int64  // requests being served; an HTTP/2 connection can have many
	Waiting  int64  // connections that are neither
}

// Traffic returns the numbers of all controllers. Any goroutine may call it.
func (c *Control) Traffic() Traffic {
	n := c.runs.listeners.Counts()
	t := Traffic{Accepted: n.Accepted, Active: n.Active, Reading: n.Reading}
	for _, s := range c.serving() {
		requests, inFlight := s.Totals()
		t.Requests += requests
		t.Writing += inFlight
	}
	t.Waiting = max(t.Active-t.Reading-t.Writing, 0)
	return t
}
