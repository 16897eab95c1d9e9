package loop

// The sizes of the buffers that a loop lends: a head or a small message, and a
// piece of a body.
const (
	SmallSize = 16 << 10
	BigSize   = 128 << 10
)

// How many of each a loop keeps for the next taker.
const (
	keepSmall = 512
	keepBig   = 64
)

// Small returns a buffer of SmallSize, the taker's own until PutSmall.
func (l *Loop) Small() []byte { return take(&l.small, SmallSize) }

// Big returns a buffer of BigSize, the taker's own until PutBig.
func (l *Loop) Big() []byte { return take(&l.big, BigSize) }

// PutSmall gives a buffer of Small back.
func (l *Loop) PutSmall(b []byte) { put(&l.small, b, SmallSize, keepSmall) }

// PutBig gives a buffer of Big back.
func (l *Loop) PutBig(b []byte) { put(&l.big, b, BigSize, keepBig) }

// lend returns a buffer of size bytes at least, for takeBack.
func (l *Loop) lend(size int) []byte {
	switch {
	case size <= SmallSize:
		return l.Small()
	case size <= BigSize:
		return l.Big()
	}
	return make([]byte, size)
}

func (l *Loop) takeBack(b []byte) {
	switch cap(b) {
	case SmallSize:
		l.PutSmall(b)
	case BigSize:
		l.PutBig(b)
	}
}

// Records returns the loop's memory, empty, in which package tlsconn collects TLS
// records: enough for a big buffer's worth. It is valid until the next wait.
func (l *Loop) Records() []byte {
	if l.records == nil {
		l.records = make([]byte, 0, BigSize+recordsExtra)
	}
	return l.records
}

// recordsExtra is room for what encryption adds to the records of a big buffer.
const recordsExtra = 4 << 10

func take(list *[][]byte, size int) []byte {
	if n := len(*list); n > 0 {
		b := (*list)[n-1]
		(*list)[n-1] = nil
		*list = (*list)[:n-1]
		return b
	}
	return make([]byte, size)
}

func put(list *[][]byte, b []byte, size, keep int) {
	if cap(b) == size && len(*list) < keep {
		*list = append(*list, b[:size])
	}
}
