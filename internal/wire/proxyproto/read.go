// Package proxyproto reads and writes the headers of the PROXY protocol, versions 1
// and 2 (HAProxy's proxy-protocol.txt): the first bytes of a connection, by which a
// load balancer tells whose connection it is.
package proxyproto

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/pierhead/pierhead/internal/loop"
)

// Header is what a load balancer told.
type Header struct {
	Version int
	// Source and Destination are the addresses of the connection as the load
	// balancer saw it. They are both the zero value when it told none: a connection
	// of its own (LOCAL), or one of another kind than TCP (UNKNOWN).
	Source, Destination netip.AddrPort
}

// Known reports whether the header has addresses. When not, those of the connection
// itself count.
func (h Header) Known() bool { return h.Source.IsValid() }

// ErrInvalid is what the errors of bytes that are no header wrap.
var ErrInvalid = errors.New("invalid PROXY protocol header")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// Source is a Stream to which bytes can be given back.
type Source interface {
	loop.Stream
	Unread(p []byte)
}

// Read reads the header that s must begin with, and not a byte beyond it: what came
// with it is still there to be read. It waits under the stream's read deadline. The
// error is io.EOF when the other side closed without a word, as probes do.
func Read(s Source) (Header, error) {
	l := s.Loop()
	if err := s.WaitRead(); err != nil {
		return Header{}, err
	}
	buf := l.Small()
	defer l.PutSmall(buf)
	for have := 0; ; {
		n, err := s.Read(buf[have:])
		if err != nil {
			if err == io.EOF && have > 0 {
				err = io.ErrUnexpectedEOF
			}
			return Header{}, err
		}
		have += n
		h, used, err := Parse(buf[:have])
		if err != nil {
			return Header{}, err
		}
		if used > 0 {
			s.Unread(buf[used:have])
			return h, nil
		}
	}
}

// Parse reads the header that b begins with and returns its length; 0 without an
// error means that b is the beginning of one and more is needed.
func Parse(b []byte) (h Header, n int, err error) {
	if prefixed(b, signature) {
		return parse2(b)
	}
	if prefixed(b, "PROXY ") {
		return parse1(b)
	}
	return Header{}, 0, invalid("the connection begins with %q", b[:min(len(b), 16)])
}

// prefixed reports whether b begins with s, as far as there is of it.
func prefixed(b []byte, s string) bool {
	n := min(len(b), len(s))
	return string(b[:n]) == s[:n]
}
