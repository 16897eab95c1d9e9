package http1

import (
	"io"
	"time"

	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/wire/pace"
)

// Bounds on what may stand around the chunks of a body.
const (
	maxExtension  = 256      // bytes of the extensions of one chunk
	maxExtensions = 16 << 10 // of all chunks of a body
	maxTrailer    = 4 << 10  // bytes of a trailer section
)

// body reads the body of a message. What the buffer of the connection does not hold
// goes straight from the stream into the memory of the reader.
type body struct {
	in      *input
	mode    bodyMode
	begun   bool  // somebody has read from it
	done    bool  // the end was read
	inChunk bool  // of byChunks: a chunk has begun
	left    int64 // of byLength, or of the chunk
	ext     int   // bytes of chunk extensions so far
	err     error // once reading has failed
	trailer *message.Header
	pace    pace.Pace // unbounded: the stream's deadline is left alone
	since   time.Time // when the wait began
	asks    *answer   // the client waits for a 100 (Continue) before it sends
}

// begin makes b ready for the next message.
func (b *body) begin(in *input, mode bodyMode, length int64, trailer *message.Header, p pace.Pace) {
	*b = body{in: in, mode: mode, left: length, trailer: trailer, pace: p}
	b.done = mode == noBody || mode == byLength && length == 0
}

// Read reads a piece of the body. The last piece may come together with io.EOF.
func (b *body) Read(p []byte) (n int, err error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.done:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	b.begun = true
	if b.asks != nil {
		if err = b.asks.sendContinue(); err != nil {
			b.err = err
			return 0, err
		}
	}
	if b.mode == byChunks {
		n, err = b.readChunks(p)
	} else {
		n, err = b.readPlain(p)
	}
	if err != nil {
		b.err = err
		if n > 0 {
			return n, nil
		}
		return 0, err
	}
	if b.done {
		return n, io.EOF
	}
	return n, nil
}

// readPlain reads what has no framing inside.
func (b *body) readPlain(p []byte) (int, error) {
	if b.mode == byLength {
		p = p[:min(int64(len(p)), b.left)]
	}
	n, err := b.fetch(p)
	if b.mode == byLength {
		b.left -= int64(n)
		b.done = b.left == 0
		return n, whole(err)
	}
	if err == io.EOF {
		b.done, err = true, nil
	}
	return n, err
}

// readChunks reads bytes of chunks: as many as are at hand and fit, and waits only
// for the first.
func (b *body) readChunks(p []byte) (n int, err error) {
	for n < len(p) {
		if b.left > 0 {
			if n > 0 && b.in.r == b.in.w {
				return n, nil
			}
			k, err := b.fetch(p[n:min(int64(len(p)), int64(n)+b.left)])
			n += k
			if b.left -= int64(k); err != nil {
				return n, whole(err)
			}
			continue
		}
		ready, err := b.next(n == 0)
		if err != nil || b.done || !ready {
			return n, err
		}
	}
	// The end costs nothing when it is at hand, and saves the caller a call.
	if b.left == 0 {
		_, err = b.next(false)
	}
	return n, err
}

// next reads what stands between two chunks, or the end of the body. It waits for
// it only when told so; ready tells whether a chunk has begun.
func (b *body) next(wait bool) (ready bool, err error) {
	for {
		at, ext := b.in.buffered(), b.ext
		n, size, fault := between(at, b.inChunk, &b.ext)
		if fault != NoFault {
			return false, fault
		}
		if n > 0 && size > 0 {
			b.in.r += n
			b.inChunk, b.left = true, size
			return true, nil
		}
		if n > 0 {
			if n, fault = b.end(at, n); fault != NoFault {
				b.trailer.Reset()
				return false, fault
			}
			if n > 0 {
				b.in.r += n
				b.done = true
				return false, nil
			}
			b.ext = ext // the line will be read again
		}
		if !wait {
			return false, nil
		}
		b.bound()
		err = b.in.more()
		b.lift()
		if err == io.ErrShortBuffer {
			return false, TrailerTooLarge
		}
		if err != nil {
			return false, whole(err)
		}
	}
}

// between reads the end of a chunk and the line before the next one. It returns how
// many bytes they take, or 0 when they are not complete.
func between(at []byte, inChunk bool, ext *int) (n int, size int64, fault Fault) {
	i := 0
	if inChunk {
		switch {
		case len(at) > 0 && at[0] != '\r', len(at) > 1 && at[1] != '\n':
			return 0, 0, BadChunkEnd
		case len(at) < 2:
			return 0, 0, NoFault
		}
		i = 2
	}
	digits := i
	for ; i < len(at); i++ {
		d := hexDigit(at[i])
		if d < 0 {
			break
		}
		if i-digits == 15 {
			return 0, 0, BadChunkSize
		}
		size = size<<4 | int64(d)
	}
	if i == len(at) {
		return 0, 0, NoFault
	}
	if i == digits || at[i] != ';' && at[i] != '\r' {
		return 0, 0, BadChunkSize
	}
	from := i
	i = valueEnd(at, i)
	if i-from > maxExtension || *ext+i-from > maxExtensions {
		return 0, 0, ChunkExtensions
	}
	switch {
	case i == len(at):
		return 0, 0, NoFault
	case at[i] != '\r', i+1 < len(at) && at[i+1] != '\n':
		return 0, 0, BadChunkSize
	case i+1 == len(at):
		return 0, 0, NoFault
	}
	*ext += i - from
	return i + 2, size, NoFault
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// end reads the trailer section, which begins at at[i]. It returns the position
// after it, or 0 when it is not complete.
func (b *body) end(at []byte, i int) (int, Fault) {
	b.trailer.Reset()
	var f fieldLine
	for start := i; ; i = f.end {
		end, more, fault := sectionEnd(at, i)
		if fault != NoFault || end > 0 {
			return end, fault
		}
		if !more {
			if fault = f.parse(at, i); fault != NoFault {
				return 0, fault
			}
			more = f.end == 0
		}
		if max(i, f.end)-start > maxTrailer || more && len(at)-start >= maxTrailer || b.trailer.Len() == maxFields {
			return 0, TrailerTooLarge
		}
		if more {
			return 0, NoFault
		}
		if k := message.LookupKnown(f.name); !trailerForbidden(k) {
			b.trailer.Append(k, f.name, f.value)
		}
	}
}

// fetch reads bytes of the body: those of the buffer, else straight from the stream.
func (b *body) fetch(p []byte) (int, error) {
	if b.in.r < b.in.w {
		n := copy(p, b.in.buffered())
		b.in.r += n
		b.pace.Got(n)
		return n, nil
	}
	b.bound()
	n, err := b.in.s.Read(p)
	b.lift()
	b.pace.Got(n)
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	return n, err
}

// bound limits how long the next read may wait.
func (b *body) bound() {
	if b.pace.Bounded() {
		b.since = b.in.s.Loop().Now()
		b.in.s.SetReadDeadline(b.since.Add(b.pace.Next()))
	}
}

// lift takes the bound back: it is for reads of this body only.
func (b *body) lift() {
	if b.pace.Bounded() {
		b.pace.Waited(b.in.s.Loop().Now().Sub(b.since))
		b.in.s.SetReadDeadline(time.Time{})
	}
}

// whole makes the end of the stream inside a body an error.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
