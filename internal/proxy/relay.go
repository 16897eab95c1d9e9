package proxy

import (
	"errors"
	"io"

	"github.com/pierhead/pierhead/internal/exchange"
	"github.com/pierhead/pierhead/internal/message"
	"github.com/pierhead/pierhead/internal/upstream"
	"github.com/pierhead/pierhead/internal/wire/http1"
	"github.com/pierhead/pierhead/internal/wire/http2"
)

// relay passes the answer on: the head, then pieces of the body as they come, then
// the trailers.
func (t *trip) relay(c *upstream.Conn, f *exchange.Forward, rec *exchange.Try) outcome {
	resp := &t.resp
	if f.HideServer {
		resp.Header.DelKnown(message.Server)
	}
	t.finishHead()
	if err := t.w.WriteHead(resp); err != nil {
		if !badField(err) {
			return t.clientGone(err)
		}
		t.headSent = false
		return outcome{kind: exchange.UpstreamInvalid, err: err}
	}
	if resp.Body == nil {
		if err := t.w.Finish(nil); err != nil {
			return t.clientGone(err)
		}
	} else if o := t.relayBody(c, f, rec); o.kind != exchange.OK {
		return o
	}
	t.x.Complete = true
	return outcome{}
}

// relayBody copies the body and ends the answer. A buffer is held only while there
// is something in it: an answer that trickles costs no memory while it waits.
func (t *trip) relayBody(c *upstream.Conn, f *exchange.Forward, rec *exchange.Try) outcome {
	l, s := t.slot.loop, c.Stream()
	var buf []byte
	defer func() { l.PutBig(buf) }()
	for first := true; ; first = false {
		if !s.Ready() && (!first || c.Buffered() == 0) {
			l.PutBig(buf)
			buf = nil
			if err := t.w.Flush(); err != nil {
				return t.clientGone(err)
			}
			if err := t.await(s, f); err != nil {
				return lostBody(err)
			}
		}
		if o, moved := t.move(c, f, rec); moved {
			if o.kind == exchange.OK && c.Raw() == 0 {
				return t.finishMoved()
			}
			if o.kind != exchange.OK {
				return o
			}
			continue
		}
		if buf == nil {
			buf = l.Big()
		}
		s.SetReadDeadline(l.Now().Add(f.ReadTimeout))
		n, err := t.resp.Body.Read(buf)
		rec.Length += int64(n)
		if err != nil && err != io.EOF {
			return t.brokenBody(buf[:n], err)
		}
		if werr := t.piece(buf[:n], err == io.EOF); werr != nil {
			return t.clientGone(werr)
		}
		if err == io.EOF {
			return outcome{}
		}
	}
}

// piece sends a piece of the body; after the last one the trailers and the end.
func (t *trip) piece(p []byte, last bool) error {
	if !last {
		n, err := t.w.Write(p)
		t.x.BodySent += int64(n)
		return err
	}
	trailer := &t.resp.Trailer
	if w, ok := t.w.(message.LastWriter); ok {
		err := w.WriteLast(p, trailer)
		if err == nil {
			t.x.BodySent += int64(len(p))
		}
		return err
	}
	if len(p) > 0 {
		n, err := t.w.Write(p)
		t.x.BodySent += int64(n)
		if err != nil {
			return err
		}
	}
	return t.w.Finish(trailer)
}

// brokenBody passes on what came before the endpoint broke off.
func (t *trip) brokenBody(p []byte, err error) outcome {
	if len(p) > 0 {
		if werr := t.piece(p, false); werr != nil {
			return t.clientGone(werr)
		}
	}
	return outcome{kind: exchange.UpstreamReset, err: err}
}

// lostBody is the outcome when a wait for more of the body failed.
func lostBody(err error) outcome {
	var client *clientError
	if errors.As(err, &client) {
		return outcome{kind: exchange.ClientGone, err: err}
	}
	return outcome{kind: exchange.UpstreamReset, err: err}
}

func (t *trip) clientGone(err error) outcome {
	return outcome{kind: exchange.ClientGone, err: err}
}

// badField tells whether a head was refused by the codec for what stands in it, so
// that another one may be given.
func badField(err error) bool {
	var f1 http1.Fault
	var f2 http2.Fault
	return errors.As(err, &f1) || errors.As(err, &f2)
}
