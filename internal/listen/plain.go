package listen

import (
	"crypto/tls"
	"errors"
	"strconv"
	"time"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/loop"
)

// statusPlainOnTLS is nginx's number for a plain HTTP request on a TLS port. It
// chooses the page; the client sees 400.
const statusPlainOnTLS = 497

// answerPlain answers a client that speaks plain HTTP to a TLS port, when that is
// why the handshake failed. The request is not read: whatever it is, the answer is
// the same, and the connection ends.
func answerPlain(c *loop.Conn, handshake error, o *options) {
	var first tls.RecordHeaderError
	if !errors.As(handshake, &first) || !looksPlain(first.RecordHeader) {
		return
	}
	page := exchange.ErrorPage(statusPlainOnTLS, o.Settings.ServerTokens)
	head := "HTTP/1.1 400 Bad Request\r\n" +
		"Date: " + c.Loop().Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") + "\r\n" +
		"Content-Type: " + exchange.PageType + "\r\n" +
		"Content-Length: " + strconv.Itoa(len(page)) + "\r\n" +
		"Connection: close\r\n\r\n"
	if c.WriteTwo([]byte(head), page) == nil && c.CloseWrite() == nil {
		readAway(c)
	}
}

// looksPlain tells whether bytes that are no TLS record are the beginning of a
// request line.
func looksPlain(b [5]byte) bool {
	for i, c := range b {
		if c == ' ' && i >= 3 {
			return true
		}
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// readAway reads for a moment what the client still sends, so that the answer is
// not lost to a connection reset.
func readAway(c *loop.Conn) {
	c.SetReadDeadline(c.Loop().Now().Add(2 * time.Second))
	buf := c.Loop().Small()
	defer c.Loop().PutSmall(buf)
	for left := 1 << 20; left > 0; {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		left -= n
	}
}
