package loop

// Gone reports whether the peer of s has ended or broken the connection, as far as
// is known without asking the system. Bytes that arrived before may still be there
// to read. A server that waits for something else learns by it that nobody waits for
// the answer.
func Gone(s Stream) bool {
	c := bottom(s)
	return c != nil && (c.ended || c.closed)
}
