// Package message holds HTTP messages in no wire format: a request or response
// head plus its body (RFC 9110). The codecs in wire read and write them; policies
// look at them and change them; neither knows the other.
package message

import "io"

// Version is the protocol a message arrived by or leaves by.
type Version uint8

// The versions, in the order of their age.
const (
	HTTP10 Version = iota
	HTTP11
	HTTP2
	HTTP3
)

// String returns the version as nginx's $server_protocol has it.
func (v Version) String() string {
	return [...]string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"}[v]
}

// Body is a stream of bytes. A Read of the body of a message that came from a
// connection may wait for that connection; at the end it answers io.EOF, and the
// message's Trailer is then complete. The last bytes may come together with io.EOF,
// as io.Reader allows.
type Body interface{ io.Reader }

// Length of a body whose size is told by its end only.
const Unknown int64 = -1

// Request is one request head and its body.
type Request struct {
	Version Version
	Method  string
	Scheme  string // "http" or "https": how it arrived, or how it is to be sent
	Host    string // Host field or :authority, as sent, port included; of the URI when absolute-form
	Target  string // path and query as the client wrote them; "*" for OPTIONS *
	Header  Header // without Host and Expect, and without the fields that frame the body or the connection
	Upgrade string // value of Upgrade when the client asks to switch protocols, else ""
	Body    Body   // nil: none
	Length  int64  // bytes of Body, or Unknown
	Trailer Header // complete once Body has answered io.EOF
	Size    int64  // bytes of the head as it arrived, request line included
}

// Reset empties the request and keeps the memory of its headers.
func (r *Request) Reset() {
	h, t := r.Header, r.Trailer
	h.Reset()
	t.Reset()
	*r = Request{Header: h, Trailer: t}
}

// Response is one response head and its body.
type Response struct {
	Status  int
	Header  Header // without the fields that frame the body or the connection
	Upgrade string // with 101: the protocol switched to
	Body    Body   // nil: none
	Length  int64  // bytes of Body, or Unknown; of the body a GET would get when the request is HEAD
	Trailer Header // complete once Body has answered io.EOF
}

// Reset empties the response and keeps the memory of its headers.
func (r *Response) Reset() {
	h, t := r.Header, r.Trailer
	h.Reset()
	t.Reset()
	*r = Response{Header: h, Trailer: t}
}

// Writer is where the answer to one request goes: the downstream side of an
// exchange, made by a codec. Its methods may wait for the client.
type Writer interface {
	// WriteHead sends a head: any number of 1xx, then one final one. The bytes may
	// stay with the codec until the first Write, Flush or Finish, so that a head
	// and a small body leave together.
	WriteHead(*Response) error
	// Write sends bytes of the body. The codec drops them for HEAD, 204 and 304.
	Write([]byte) (int, error)
	// Flush sends what the codec holds back.
	Flush() error
	// Finish ends the body; trailer may be nil.
	Finish(trailer *Header) error
	// Abort gives up an answer whose head was sent: HTTP/1 closes the connection,
	// HTTP/2 resets the stream, so that the client sees that the body is not whole.
	Abort(error)
	// Sent returns how many bytes of this answer went out, head included.
	Sent() int64
}

// LastWriter is what a Writer may have besides: the end of a body in one call, so
// that its last bytes and what ends it leave together.
type LastWriter interface {
	// WriteLast is Write and then Finish.
	WriteLast(p []byte, trailer *Header) error
}

// Handler answers requests. A codec calls it in a coroutine of the connection's
// loop, once for each request; when it returns, the request is over.
type Handler interface {
	Handle(*Request, Writer)
}
