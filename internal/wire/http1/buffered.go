package http1

// Buffered returns how many bytes stand in the connection's buffer, behind the head
// that was read: a body has begun to arrive when there are any.
func (c *ClientConn) Buffered() int { return len(c.in.buffered()) }
