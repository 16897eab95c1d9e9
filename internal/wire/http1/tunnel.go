package http1

import "github.com/pierhead/pierhead/internal/loop"

// tunnel is a stream from which bytes were read that are not ours.
type tunnel struct {
	loop.Stream
	first []byte // come before what the stream has
}

// unread returns a stream that gives b first, and then what s gives.
func unread(s loop.Stream, b []byte) loop.Stream {
	if len(b) == 0 {
		return s
	}
	return &tunnel{Stream: s, first: append([]byte(nil), b...)}
}

// Read gives the first bytes, then those of the stream.
func (t *tunnel) Read(p []byte) (int, error) {
	if len(t.first) == 0 {
		return t.Stream.Read(p)
	}
	n := copy(p, t.first)
	t.first = t.first[n:]
	return n, nil
}

// Ready reports whether a Read may find something without waiting.
func (t *tunnel) Ready() bool { return len(t.first) > 0 || t.Stream.Ready() }

// Quiet reports whether the stream is open and nothing has arrived.
func (t *tunnel) Quiet() bool { return len(t.first) == 0 && t.Stream.Quiet() }

// WaitRead waits until Ready.
func (t *tunnel) WaitRead() error {
	if len(t.first) > 0 {
		return nil
	}
	return t.Stream.WaitRead()
}

// OnReadable runs f when there is something to read.
func (t *tunnel) OnReadable(f func(any), arg any) {
	if f != nil && len(t.first) > 0 {
		t.Loop().Post(func() { f(arg) })
		return
	}
	t.Stream.OnReadable(f, arg)
}

// Below returns the stream that the tunnel stands on.
func (t *tunnel) Below() loop.Stream { return t.Stream }

var _ loop.Wrapper = (*tunnel)(nil)
