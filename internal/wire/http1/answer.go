package http1

import (
	"time"

	"github.com/pierhead/pierhead/internal/loop"
	"github.com/pierhead/pierhead/internal/message"
)

// The states of an answer.
type answerState uint8

const (
	answerOpen   answerState = iota // no final head yet
	answerBody                      // the head was given
	answerDone                      // whole
	answerBroken                    // aborted, or a write failed
	answerSwitch                    // a 101 was given
	answerTunnel                    // the Handler has the raw connection
)

// answer is the message.Writer of one request.
type answer struct {
	c     *ServerConn
	w     *work
	out   output
	state answerState
	asked bool // the connection may go on, as far as the request and the limits tell
	keep  bool // it does, as far as the answer tells
	mute  bool // no body is sent, whatever is written
}

// begin makes a ready to answer the request in w.
func (a *answer) begin(c *ServerConn, w *work, lim *Limits) {
	*a = answer{c: c, w: w, out: output{s: c.s, armed: true}} // by the request before
	a.out.begin(lim.SendTimeout)
	a.asked = w.head.persistent(w.req.Version) && lim.KeepAlive > 0 &&
		(lim.Requests <= 0 || c.requests < int64(lim.Requests))
}

// Stream returns the connection, to see whether the client is still there.
func (a *answer) Stream() loop.Stream { return a.c.s }

// Sent returns how many bytes of this answer went out.
func (a *answer) Sent() int64 { return a.out.sent }

// WriteHead sends a head. When it fails because of a field, nothing was sent and
// another head may be given.
func (a *answer) WriteHead(r *message.Response) error {
	if a.state != answerOpen || r.Status < 100 || r.Status > 999 {
		return ErrSequence
	}
	if r.Status < 200 && r.Status != 101 {
		return a.interim(r)
	}
	mark := len(a.out.buf)
	a.out.room(fieldBytes(&r.Header) + len(r.Upgrade) + 160)
	a.out.buf = append(a.out.buf, statusLine(r.Status)...)
	fault := a.out.fields(&r.Header)
	if fault == NoFault && r.Status == 101 {
		fault = a.switching(r)
	}
	if fault != NoFault {
		a.out.buf = a.out.buf[:mark]
		return fault
	}
	if r.Status != 101 {
		a.frame(r)
	}
	a.out.buf = append(a.out.buf, '\r', '\n')
	return nil
}

// interim sends a 1xx head at once. HTTP/1.0 knows none (RFC 9110, section 15.2).
func (a *answer) interim(r *message.Response) error {
	switch {
	case r.Status == 100 && a.w.body.asks != nil:
		return a.sendContinue()
	case r.Status == 100 || a.w.req.Version == message.HTTP10:
		return nil
	}
	mark := len(a.out.buf)
	a.out.room(fieldBytes(&r.Header) + 80)
	a.out.buf = append(a.out.buf, statusLine(r.Status)...)
	if fault := a.out.fields(&r.Header); fault != NoFault {
		a.out.buf = a.out.buf[:mark]
		return fault
	}
	a.out.buf = append(a.out.buf, '\r', '\n')
	return a.out.flush()
}

// sendContinue tells the client to send the body that it holds back. After the
// final head it is too late for that, and the body is not read.
func (a *answer) sendContinue() error {
	if a.state != answerOpen {
		return ErrSequence
	}
	a.w.body.asks = nil
	a.out.room(40)
	a.out.buf = append(a.out.buf, "HTTP/1.1 100 Continue\r\n\r\n"...)
	return a.out.flush()
}

// switching appends the fields of a 101, which only a client that asked gets.
func (a *answer) switching(r *message.Response) Fault {
	if a.w.req.Upgrade == "" {
		return UnexpectedUpgrade
	}
	if valueEnd(view(r.Upgrade), 0) != len(r.Upgrade) {
		return BadValue
	}
	a.out.buf = append(a.out.buf, "Connection: upgrade\r\nUpgrade: "...)
	a.out.buf = append(append(a.out.buf, r.Upgrade...), '\r', '\n')
	a.state = answerSwitch
	return NoFault
}

// frame appends the fields that tell the end of the body and what becomes of the
// connection (RFC 9112, section 6 and 9).
func (a *answer) frame(r *message.Response) {
	o, v10 := &a.out, a.w.req.Version == message.HTTP10
	head := a.w.req.Method == "HEAD"
	a.state = answerBody
	a.mute = head || r.Status == 204 || r.Status == 304
	a.keep = a.asked && !a.c.draining && a.w.body.mayGoOn() &&
		!fold(r.Header.GetKnown(message.Connection), "close")
	switch {
	case r.Status == 204:
	case r.Status == 304:
		if r.Length > 0 {
			o.contentLength(r.Length)
		}
	case r.Length >= 0:
		o.contentLength(r.Length)
		if !head {
			o.mode, o.left = byLength, r.Length
		}
	case head:
	case v10:
		o.mode, a.keep = untilClose, false
	default:
		o.mode = byChunks
		o.buf = append(o.buf, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case !a.keep:
		o.buf = append(o.buf, "Connection: close\r\n"...)
	case v10:
		o.buf = append(o.buf, "Connection: keep-alive\r\n"...)
	}
}

// Write sends bytes of the body.
func (a *answer) Write(p []byte) (int, error) {
	if a.state != answerBody {
		return 0, ErrSequence
	}
	if a.mute {
		return len(p), nil
	}
	if err := a.out.write(p); err != nil {
		a.state = answerBroken
		return 0, err
	}
	return len(p), nil
}

// Raw returns how many bytes of the body are still to be sent and may be put on the
// stream as they are, after a Flush: 0 where they have to be framed.
func (a *answer) Raw() int64 {
	if a.state == answerBody && !a.mute && a.out.mode == byLength && a.out.err == nil {
		return a.out.left
	}
	return 0
}

// PutRaw tells that n bytes of the body were put on the stream, and then what failed.
func (a *answer) PutRaw(n int64, err error) {
	a.out.left -= n
	a.out.sent += n
	if err != nil {
		a.out.err, a.state = err, answerBroken
	}
}

// Flush sends what is held back.
func (a *answer) Flush() error { return a.out.flush() }

// Finish ends the body.
func (a *answer) Finish(trailer *message.Header) error { return a.WriteLast(nil, trailer) }

// WriteLast is Write and then Finish, in one write where that is possible.
func (a *answer) WriteLast(p []byte, trailer *message.Header) error {
	if a.state != answerBody {
		return ErrSequence
	}
	if a.mute {
		p, trailer = nil, nil
	}
	a.out.final = !a.keep
	err := a.out.finish(p, trailer)
	if a.state = answerDone; err != nil {
		a.state = answerBroken
	}
	return err
}

// Abort gives the answer up: the connection will be closed without the end of the
// body.
func (a *answer) Abort(error) {
	if a.state != answerTunnel {
		a.state = answerBroken
		a.out.release()
	}
}

// Tunnel returns the raw connection after a 101.
func (a *answer) Tunnel() (loop.Stream, error) {
	if a.state != answerSwitch {
		return nil, ErrSequence
	}
	if err := a.out.flush(); err != nil {
		return nil, err
	}
	a.state = answerTunnel
	in := &a.w.in
	s := unread(a.c.s, in.buffered())
	in.r = in.w
	s.SetReadDeadline(time.Time{})
	s.SetWriteDeadline(time.Time{})
	return s, nil
}
